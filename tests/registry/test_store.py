from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autosurrogate import metric
from autosurrogate.errors import MetricError, RegistryError
from autosurrogate.registry import store
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins

BUILT_IN = sorted(
    file.stem for file in Path(importlib.import_module("autosurrogate.metrics").__path__[0]).glob("[!_]*.py")
)
METRIC = """
from autosurrogate import metric

@metric({name!r}, task="sequence", level="sample")
def {function}(preds: str, target: str) -> float:
    return {value}
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    builtins()
    monkeypatch.setattr(store, "_METRICS", dict(store._METRICS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def imported(folder: Path, name: str, text: str) -> ModuleType:
    """A module imported as usual."""
    written(folder, f"{name}.py", text)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return importlib.import_module(name)


def in_notebook(cell: str, number: int) -> Callable[[Any, Any], float]:
    """The function `score` of a cell, run as a notebook runs it."""
    names: dict[str, Any] = {"__name__": "__main__", "metric": metric}
    exec(compile(cell, f"/tmp/ipykernel_1/{number}.py", "exec"), names)
    score: Callable[[Any, Any], float] = names["score"]
    return score


def test_the_function_comes_back_unchanged() -> None:
    def score(preds: str, target: str) -> float:
        return 0.0

    before = dict(vars(score))
    assert metric("unchanged", task="sequence", level="sample")(score) is score
    assert vars(score) == before


def test_what_is_kept() -> None:
    @metric("kept", task="sequence", view="tokens", higher_is_better=False, set_size=7)
    def score(preds: list[list[int]], target: list[list[int]]) -> float:
        return 0.0

    found = find(score)
    assert found.function is score
    assert (found.name, found.task, found.level, found.view) == ("kept", "sequence", "set", "tokens")
    assert (found.higher_is_better, found.set_size, found.source) == (False, 7, __name__)
    assert found.spec is None  # for no other process could find a function inside a function


@pytest.mark.parametrize(("task", "view"), [("classification", "labels"), ("sequence", "text")])
def test_the_default_view_is_the_task_s_first(task: str, view: str) -> None:
    @metric("default", task=task)
    def score(preds, target):  # type: ignore[no-untyped-def]
        return 0.0

    assert find(score).view == view
    assert find(score).set_size == 128


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
        find(str(written(tmp_path, "twice.py", text)))


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
    written(tmp_path / "outer", "__init__.py", "")
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
        written(tmp_path / folder, "mine.py", METRIC.format(name="bleu", function="score", value=value))
        for folder, value in [("a", 1), ("b", 2)]
    ]
    assert [find(f"{file}:bleu").function("", "") for file in files] == [1, 2]
    assert find("bleu").source == "sacrebleu"
    assert len(builtins()) == len(BUILT_IN)


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    file = written(tmp_path, "edited.py", METRIC.format(name="old", function="score", value=1))
    assert find(str(file)).name == "old"
    file.write_text(METRIC.format(name="new", function="score", value=2))
    assert find(str(file)).name == "new"
    with pytest.raises(MetricError, match=r"edited\.py has no function 'old': expected one of new, score"):
        find(f"{file}:old")


def nothing(preds: Any, target: Any) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "sequnce"}, "unknown task 'sequnce': expected one of .*; did you mean 'sequence'"),
        ({"task": None}, "its type hints and the names of its parameters do not settle what it judges"),
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
    with pytest.raises(MetricError, match=rf"^metric 'wrong' \(nothing of .*test_store\.py\): .*{message}"):
        metric("wrong", **{"task": "sequence", **arguments})(nothing)
    with pytest.raises(MetricError, match="unknown metric 'wrong'"):
        find("wrong")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "-a", 3])
def test_names_that_could_not_name_a_file(name: Any) -> None:
    with pytest.raises(MetricError, match=rf"nothing of .*a metric's name starts with .*, got {name!r}; write @metric"):
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
    file = written(tmp_path, "contradicts.py", text)
    with pytest.raises(MetricError) as caught:
        find(f"{file}:gleu")
    assert str(caught.value) == (
        f"metric 'gleu' (gleu of {file}): parameter 'preds' is hinted list[str], but with level='sample' and "
        "view='text' it is given str; hint it str"
    )


def test_other_callables(tmp_path: Path) -> None:
    module = imported(
        tmp_path,
        "callables",
        """
        import functools
        from autosurrogate import metric
        from os.path import commonprefix as foreign

        class Scorer:
            def __call__(self, preds: str, target: str) -> float:
                return 1.0

        def top(preds, target, k):
            return float(k)

        sequence = metric("callable_instance", task="sequence", level="sample")(Scorer())
        partial = metric("callable_partial", task="sequence", level="sample")(functools.partial(top, k=3))
        anonymous = metric("callable_lambda", task="sequence", level="sample")(lambda preds, target: 2.0)
        """.replace("\n        ", "\n"),
    )
    assert find("callables:sequence").function is module.sequence
    assert find("callables:callable_partial").function("", "") == 3
    assert [find(f).spec for f in (module.sequence, module.partial, module.anonymous)] == [
        f"callables:callable_{kind}" for kind in ("instance", "partial", "lambda")
    ]


def test_a_finished_function_of_another_module_belongs_to_who_declares_it(tmp_path: Path) -> None:
    imported(tmp_path, "library", "def similarity(preds, target):\n    return 1.0\n")
    declaration = (
        "import library\nfrom autosurrogate import metric\n"
        'metric({!r}, task="sequence", level="sample")(library.similarity)\n'
    )
    imported(tmp_path, "declares", declaration.format("foreign"))
    assert find("foreign").spec == "declares:foreign"
    file = written(tmp_path, "file.py", declaration.format("bleu"))
    assert find(str(file)).spec == f"{file}:bleu"


def test_a_function_declared_by_a_helper_belongs_to_its_own_module(tmp_path: Path) -> None:
    imported(
        tmp_path,
        "helping",
        "from autosurrogate import metric\n\n"
        'def sentence(function):\n    return metric(function.__name__, task="sequence", level="sample")(function)\n',
    )
    imported(
        tmp_path, "helped", "import helping\n\n@helping.sentence\ndef helped_score(preds, target):\n    return 1.0\n"
    )
    assert find("helped_score").spec == "helped:helped_score"
