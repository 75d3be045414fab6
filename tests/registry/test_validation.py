from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
from metric_files import METRIC, written

from autosurrogate import metric
from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import find

pytestmark = pytest.mark.usefixtures("own_registry")


def nothing(preds: Any, target: Any) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "sequnce"}, "unknown task 'sequnce': expected one of .*; did you mean 'sequence'"),
        ({"task": None}, "its type hints and the names of its parameters do not settle its task"),
        ({"task": 3}, "task must be a name or a subclass of autosurrogate.Task, got 3"),
        ({"level": "sampel"}, "no level 'sampel': expected one of sample, set; did you mean 'sample'"),
        ({"view": "tokns"}, "'sequence' has no view 'tokns': expected one of text, tokens; did you mean 'tokens'"),
        ({"view": 3}, "view must be a name, got 3"),
        ({"set_size": 1}, "set_size must be a whole number of at least 2, got 1"),
        ({"set_size": 2.0}, r"set_size must be a whole number of at least 2, got 2\.0"),
        ({"set_size": True}, "set_size must be a whole number of at least 2, got True"),
        ({"higher_is_better": "no"}, "higher_is_better must be True or False, got 'no'"),
    ],
    ids=str,
)
def test_arguments_that_are_not_valid(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricError, match=rf"^metric 'wrong' \(nothing of .*test_validation\.py\): .*{message}"):
        metric("wrong", **{"task": "sequence", **arguments})(nothing)
    with pytest.raises(MetricError, match="unknown metric 'wrong'"):
        find("wrong")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "-a", 3])
def test_names_that_could_not_name_a_file(name: Any) -> None:
    with pytest.raises(
        MetricError, match=rf"nothing of .*a metric's name must start with .*, got {name!r}; write @metric"
    ):
        metric(name, task="sequence")(nothing)


@pytest.mark.parametrize("name", ["hits@10", "f0.5", "chrf++", "rouge-l", "_x", "1-nn", "größe"])
def test_names_that_can(name: str) -> None:
    assert find(metric(name, task="sequence")(functools.partial(nothing))).name == name


@pytest.mark.parametrize("what", [3, "bleu", float])
def test_what_is_no_function(what: Any) -> None:
    with pytest.raises(MetricError, match=r"metric 'wrong' must be a function of \(preds, target\), got "):
        metric("wrong", task="sequence")(what)


def test_hints_that_contradict_are_refused_at_once(tmp_path: Path) -> None:
    text = METRIC.format(name="gleu", function="gleu", value=1).replace("preds: str", "preds: list[str]")
    file = written(tmp_path / "contradicts.py", text)
    with pytest.raises(MetricError) as caught:
        find(f"{file}:gleu")
    assert str(caught.value) == (
        f"metric 'gleu' (gleu of {file}): parameter 'preds' is hinted list[str], but with level='sample' and "
        "view='text' it gets str; hint it str"
    )
