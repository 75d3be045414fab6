from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from metric_files import METRIC, imported, run, written

from autosurrogate import metric
from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.registry import store
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins

BUILT_IN = sorted(
    file.stem for file in Path(importlib.import_module("autosurrogate.metrics").__path__[0]).glob("[!_]*.py")
)
pytestmark = pytest.mark.usefixtures("own_registry")


def in_notebook(cell: str, number: int) -> Callable[[Any, Any], float]:
    """The function `score` of a cell, run as a notebook runs it."""
    names: dict[str, Any] = {"__name__": "__main__", "metric": metric}
    exec(compile(cell, f"/tmp/ipykernel_1/{number}.py", "exec"), names)
    score: Callable[[Any, Any], float] = names["score"]
    return score


def test_another_function_cannot_have_the_name(tmp_path: Path) -> None:
    imported(tmp_path, "first_owner", METRIC.format(name="owned", function="score", value=1))
    with pytest.raises(RegistryError) as caught:
        imported(tmp_path, "second_owner", METRIC.format(name="owned", function="score", value=2))
    assert str(caught.value) == (
        f"metric 'owned' already belongs to score of {tmp_path}/first_owner.py, so score of {tmp_path}/second_owner.py "
        "needs another name; only the names in a file that is given as file.py:function are its own"
    )
    assert find("owned").function("", "") == 1


def test_nor_another_one_of_the_same_file(tmp_path: Path) -> None:
    text = METRIC.format(name="owned", function="one", value=1) + METRIC.format(name="owned", function="two", value=2)
    with pytest.raises(RegistryError, match=r"belongs to one of .*twice\.py, so two of .*twice\.py needs another name"):
        find(str(written(tmp_path / "twice.py", text)))


def test_the_names_of_built_ins_are_taken_before_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_METRICS", {})
    for name in [name for name in sys.modules if name.startswith("autosurrogate.metrics.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        RegistryError, match=r"'bleu' already belongs to bleu of .*metrics/bleu\.py, so .*score of .*test"
    ):

        @metric("bleu", task="sequence", level="sample")
        def score(preds: str, target: str) -> float:
            return 0.0

    assert [m.name for m in builtins()] == BUILT_IN


def test_one_file_under_two_names_is_one_owner(tmp_path: Path) -> None:
    text = METRIC.format(name="two_names", function="score", value=1)
    one = imported(tmp_path, "inner", text)
    written(tmp_path / "outer" / "__init__.py", "")
    (tmp_path / "outer/inner.py").symlink_to(tmp_path / "inner.py")
    other = importlib.import_module("outer.inner")
    assert one.score is not other.score
    assert find(one.score).name == find(other.score).name == "two_names"


def test_built_ins_imported_beside_the_package_are_the_built_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(importlib.import_module("autosurrogate.metrics.bleu").__file__ or "").parent
    monkeypatch.syspath_prepend(folder)
    copy = importlib.import_module("bleu")
    monkeypatch.delitem(sys.modules, "bleu")
    assert copy.bleu("1 2", "1 2") == pytest.approx(100)
    assert find(copy.bleu).spec == "bleu"
    assert find("bleu").spec == "bleu"
    assert find("bleu").function.__module__ == "autosurrogate.metrics.bleu"


def test_a_cell_that_is_run_again_replaces_its_metric() -> None:
    cell = '@metric("cell", task="sequence", level="sample")\ndef score(preds, target):\n    return {}\n'
    old = in_notebook(cell.format(1), 1)
    new = in_notebook(cell.format(2), 2)
    assert find("cell").function is find(new).function is new
    with pytest.raises(MetricError, match="score of __main__ is a function that is not declared as a metric"):
        find(old)


def test_a_user_s_file_has_names_of_its_own(tmp_path: Path) -> None:
    files = [
        written(tmp_path / folder / "mine.py", METRIC.format(name="bleu", function="score", value=value))
        for folder, value in [("a", 1), ("b", 2)]
    ]
    assert [find(f"{file}:bleu").function("", "") for file in files] == [1, 2]
    assert find("bleu").source == "sacrebleu"
    assert len(builtins()) == len(BUILT_IN)


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = written(tmp_path / "edited.py", METRIC.format(name="old", function="score", value=1))
    assert find(str(file)).name == "old"
    file.write_text(METRIC.format(name="new", function="score", value=2))
    assert find(str(file)).name == "new"
    with pytest.raises(MetricError, match=r"edited\.py has no function 'old': expected one of new, score"):
        find(f"{file}:old")


def test_listing_the_built_ins_imports_neither_torch_nor_what_computes_them() -> None:
    printed = run(
        "import sys\nfrom autosurrogate.registry.store import builtins\n"
        "print(*[m.name for m in builtins()])\n"
        "print(*{'torch', 'numpy', 'scipy', 'sacrebleu', 'cloudpickle'} & set(sys.modules))"
    )
    names, imported, _ = printed.split("\n")
    assert names.split() == BUILT_IN
    assert imported == ""


def test_the_list_has_what_the_command_line_prints() -> None:
    listed = {m.name: (m.task, m.level, m.view, m.higher_is_better, m.source) for m in builtins()}
    assert listed["accuracy"] == ("classification", "set", "labels", True, "numpy")
    assert listed["bleu"] == ("sequence", "sample", "text", True, "sacrebleu")
    assert listed["top5_accuracy"] == ("classification", "set", "probabilities", True, "numpy")
