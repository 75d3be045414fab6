from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import program
import pytest

from autosurrogate import metric, tasks
from autosurrogate.errors import MetricError
from autosurrogate.registry import store
from autosurrogate.registry.lookup import find


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    store.builtins()
    monkeypatch.setattr(store, "_METRICS", dict(store._METRICS))


def hinted(preds: Any, target: Any, names: tuple[str, str] = ("preds", "target")) -> Any:
    """A function whose two parameters have these hints and names."""
    made: dict[str, Any] = {}
    exec(f"def function({names[0]}, {names[1]}): return 0.0", made)
    function = made["function"]
    function.__annotations__ = {
        name: hint for name, hint in zip(names, (preds, target), strict=True) if hint is not None
    }
    return function


Classes = npt.NDArray[np.int64]


@pytest.mark.parametrize(
    ("preds", "target", "expected"),
    [
        (str, str, ("sequence", "text", "sample")),
        (list[str], list[str], ("sequence", "text", "set")),
        (Sequence[str], list[str], ("sequence", "text", "set")),
        (list[int], list[int], ("sequence", "tokens", "sample")),
        (list[list[int]], list[list[int]], ("sequence", "tokens", "set")),
        (Sequence[Sequence[int]], Sequence[Sequence[int]], ("sequence", "tokens", "set")),
        (int, int, ("classification", "labels", "sample")),
        (np.ndarray, int, ("classification", "probabilities", "sample")),
        (npt.NDArray[np.float64], int, ("classification", "probabilities", "sample")),
        (str, list[str], ("span", "text", "sample")),
        (list[str], list[list[str]], ("span", "text", "set")),
        (list[np.ndarray], list[np.ndarray], ("ranking", "lists", "set")),
    ],
)
def test_type_hints_settle_it(preds: Any, target: Any, expected: tuple[str, str, str]) -> None:
    function = metric(hinted(preds, target))
    found = find(function)
    assert (found.task, found.view, found.level) == expected
    assert found.name == "function"


@pytest.mark.parametrize(
    ("names", "hint", "expected"),
    [
        (("hypothesis", "reference"), None, ("sequence", "text", "sample")),
        (("hyps", "refs"), None, ("sequence", "text", "set")),
        (("hypotheses", "references"), None, ("sequence", "text", "set")),
        (("boxes", "true_boxes"), dict, ("detection", "boxes", "sample")),
        (("keypoints", "target"), dict, ("heatmap", "keypoints", "sample")),
        (("pred_boxes", "boxes"), list[dict[str, Any]], ("detection", "boxes", "set")),
    ],
)
def test_the_names_of_the_parameters_settle_it(
    names: tuple[str, str], hint: Any, expected: tuple[str, str, str]
) -> None:
    found = find(metric("by_name")(hinted(hint, hint, names)))
    assert (found.task, found.view, found.level) == expected


def test_the_level_settles_what_is_left() -> None:
    found = find(metric("by_level", level="set")(hinted(None, None, ("scores", "relevance"))))
    assert (found.task, found.view, found.level, found.set_size) == ("ranking", "lists", "set", 128)
    found = find(metric("by_view", view="multilabel", level="sample")(hinted(None, None)))
    assert (found.task, found.view, found.level) == ("scores", "multilabel", "sample")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (
            hinted(np.ndarray, np.ndarray),
            'in the decorator: task="classification", level="set", view="labels" '
            "(called with numpy.ndarray, numpy.ndarray)",
        ),
        (hinted(None, None, ("scores", "relevance")), 'task="ranking", level="sample", view="lists"'),
        (
            hinted(dict, dict),
            'task="detection", level="sample", view="boxes" (called with dict, dict); or task="heatmap"',
        ),
        (hinted(None, None), "more, see docs/reference/tasks.md"),
        (hinted(set, set), "no task calls a metric with the types that its hints ask for"),
        (hinted(list, list), "do not settle its task"),
    ],
)
def test_where_they_do_not_the_choices_are_reported(function: Any, says: str) -> None:
    with pytest.raises(MetricError) as error:
        metric("open")(function)
    assert says in str(error.value)
    assert str(error.value).startswith("metric 'open' (function of ")


@pytest.mark.parametrize(
    ("given", "says"), [({"level": "sampel"}, "no level 'sampel'"), ({"view": "txt"}, "no view 'txt'")]
)
def test_a_word_that_there_is_not_is_reported(given: Any, says: str) -> None:
    with pytest.raises(MetricError, match=f"{says}: expected one of .*did you mean"):
        metric("open", **given)(hinted(list[str], list[str]))


def test_a_task_of_bare_lists_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = type(tasks.get("sequence"))
    monkeypatch.setattr(sequence, "views", {**sequence.views, "bare": {"set": (list, list)}})
    assert find(metric("listed")(hinted(list[str], list[str]))).view == "text"


def test_a_function_of_one_argument_is_told_what_it_is_called_with() -> None:
    def one(preds: str) -> float:
        return 0.0

    with pytest.raises(MetricError, match=r"called with \(preds, target\), but: too many positional arguments"):
        metric(one)


def test_beside_a_task_the_level_is_that_of_sets() -> None:
    found = find(metric("plain", task="sequence")(hinted(None, None)))
    assert (found.level, found.view) == ("set", "text")


@pytest.mark.slow
def test_of_a_file_it_is_found_again_in_a_worker(tmp_path: Path) -> None:
    program.write(tmp_path / "mine.py", """
        from autosurrogate import metric


        @metric
        def shared(preds: list[int], target: list[int]) -> float:
            return len(set(preds) & set(target)) / max(len(preds), len(target), 1)
    """)  # fmt: skip
    done = program.run("check", "mine.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sequence, view 'tokens', one example a call" in done.stdout
