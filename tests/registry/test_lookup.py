from __future__ import annotations

import re
from pathlib import Path

import pytest
from metric_files import GLEU, HEAD, LENGTH, PLAIN, written

from autosurrogate import metric
from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import find

pytestmark = pytest.mark.usefixtures("own_registry")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blue", "unknown metric 'blue'; did you mean 'bleu'"),
        ("acuracy", "unknown metric 'acuracy'; did you mean 'accuracy' or 'top5_accuracy'"),
        ("zzz", "unknown metric 'zzz'. `autosurrogate metrics` lists the built-in ones; pass your own function as"),
    ],
)
def test_names_that_are_not_there(name: str, message: str) -> None:
    with pytest.raises(MetricError, match=re.escape(message)) as caught:
        find(name)
    assert "`autosurrogate metrics` lists" in str(caught.value)


def test_a_file_without_its_ending() -> None:
    written("mine.py", HEAD, GLEU)
    with pytest.raises(MetricError, match=r"unknown metric 'mine'; did you mean .*'mine\.py'\?"):
        find("mine")
    with pytest.raises(MetricError, match=r"there is no module 'mine'; write mine\.py:glue$"):
        find("mine:glue")
    with pytest.raises(MetricError, match=r"no module 'yours'; write a file with its ending, as in yours\.py:glue$"):
        find("yours:glue")


@pytest.mark.parametrize("spec", ["mine.py:glue", "mine.py:sentence_glue", "./mine.py:glue", "mine.py"])
def test_a_file_s_metric(spec: str) -> None:
    file = written("mine.py", HEAD, GLEU)
    found = find(spec)
    assert (found.name, found.view, found.level) == ("glue", "tokens", "sample")
    assert (found.spec, found.source) == (f"{file}:glue", str(file))
    assert found.function([1, 2], [2, 3]) == 0.5


def test_a_file_of_one_s_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written("mine.py", HEAD, GLEU)
    assert find("~/mine.py:glue").name == "glue"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("my.py:glue", "there is no file {folder}/my.py; did you mean mine.py, in the same folder?"),
        (
            "mine.py:glueu",
            "mine.py has no function 'glueu': expected one of glue, length, sentence_glue; did you mean",
        ),
        ("mine.py:metricc", "mine.py has no function 'metricc': expected one of glue, length, sentence_glue"),
        ("mine.py:NUMBER", "mine.py has no function 'NUMBER': expected one of glue, length, sentence_glue"),
        ("mine.py:", "mine.py has no function '': expected one of glue, length, sentence_glue"),
        ("mine.py", "mine.py has 2 metrics, glue, length: name one, as in mine.py:glue"),
        ("none.py", 'none.py has no metric: put @autosurrogate.metric("name", task=...) above its function'),
        ("none.py:glue", "none.py has no function 'glue': there is no metric in it"),
        (
            "none.py:plain",
            'plain of none.py is a function that is not declared as a metric: put @autosurrogate.metric("plain", ',
        ),
        ("raises.py:glue", "{folder}/raises.py cannot be loaded (line 2): ValueError: not today"),
    ],
)
def test_what_is_not_in_a_file(spec: str, message: str, tmp_path: Path) -> None:
    written("mine.py", HEAD, GLEU, LENGTH, "NUMBER = 1\n")
    written("none.py", PLAIN)
    written("raises.py", HEAD, "raise ValueError('not\\n today')\n")
    with pytest.raises(MetricError, match=re.escape(message.format(folder=tmp_path))) as caught:
        find(spec)
    assert "\n" not in str(caught.value)


def test_the_function_s_own_name_comes_before_another_metric_s_when_it_alone_is_declared() -> None:
    written("names.py", HEAD, PLAIN, GLEU.replace('"glue"', '"plain"'))
    assert find("names.py:plain").function([1], [1]) == 1  # the metric `plain`, for the function is no metric


def test_names_that_stand_for_two_metrics() -> None:
    written("crossed.py", HEAD, GLEU.replace('"glue"', '"length"'), LENGTH.replace('"length"', '"other"'))
    with pytest.raises(MetricError, match=r"'length' may be metric 'other' and 'length' of crossed\.py: pass a name"):
        find("crossed.py:length")
    written("twice.py", HEAD, '@metric("a", task="sequence")\n@metric("b", task="sequence", set_size=4)', PLAIN)
    assert (find("twice.py:a").set_size, find("twice.py:b").set_size) == (128, 4)
    with pytest.raises(MetricError, match=r"'plain' may be metric 'b' and 'a' of twice\.py"):
        find("twice.py:plain")
    with pytest.raises(MetricError, match=r"plain of .*twice\.py is declared as 2 metrics, b, a: pass a name"):
        find(find("twice.py:a").function)


def test_a_class_that_fails_in_the_middle_leaves_nothing() -> None:
    written("half.py", HEAD, GLEU, "import nothing_of_that_name\n")
    for _ in range(2):
        with pytest.raises(MetricError, match=r"ModuleNotFoundError: No module named 'nothing_of_that_name'"):
            find("half.py:glue")


def test_a_module_s_metric(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written("a_package/__init__.py")
    written("a_package/scores.py", HEAD, GLEU, PLAIN)
    written("a_package/broken.py", "import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find("a_package.scores:glue")
    assert found.spec == "a_package.scores:glue"
    assert found.source == "a_package.scores"
    assert find("a_package.scores:sentence_glue") == find("glue") == found
    with pytest.raises(MetricError, match=r"plain of a_package\.scores is a function that is not declared as a metric"):
        find("a_package.scores:plain")
    with pytest.raises(MetricError, match=r"a_package\.scores has no function 'gleu': .*did you mean 'glue'"):
        find("a_package.scores:gleu")
    with pytest.raises(MetricError, match=r"there is no module 'a_package\.score'"):
        find("a_package.score:glue")
    with pytest.raises(
        MetricError, match=r"'a_package\.broken' cannot be imported: ModuleNotFoundError: No module named"
    ):
        find("a_package.broken:glue")


def test_functions_and_metrics() -> None:
    @metric("of_this_test", task="sequence", level="sample")
    def score(preds: str, target: str) -> float:
        return 1.0

    found = find(score)
    assert found.name == "of_this_test"
    assert find(found) is found
    with pytest.raises(
        MetricError, match=r"len of builtins is a function that is not declared .*metric\(\"len\", task"
    ):
        find(len)
    with pytest.raises(MetricError, match=r"a metric must be a name, file\.py:function or a function, got 3"):
        find(3)  # type: ignore[arg-type]


def test_a_function_made_like_a_declared_one_is_not_declared() -> None:
    def scaled(scale: float):  # type: ignore[no-untyped-def]
        return lambda preds, target: scale

    metric("scaled", task="sequence")(scaled(2.0))
    with pytest.raises(MetricError, match="is not declared as a metric"):
        find(scaled(3.0))
