from __future__ import annotations

from pathlib import Path

import pytest
from metric_files import imported, written

from autosurrogate import metric
from autosurrogate.registry.lookup import find

pytestmark = pytest.mark.usefixtures("own_registry")


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
    file = written(tmp_path / "file.py", declaration.format("bleu"))
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
