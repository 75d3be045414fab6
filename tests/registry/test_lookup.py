from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosurrogate import metric
from autosurrogate.errors import MetricError
from autosurrogate.registry import metric_type, store
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins

METRICS = Path(importlib.import_module("autosurrogate.metrics").__path__[0])
HEAD = "from autosurrogate import metric\n"
GLEU = """
@metric("glue", task="sequence", level="sample", view="tokens")
def sentence_glue(preds: list, target: list) -> float:
    return len(set(preds) & set(target)) / max(len(preds), len(target))
"""
LENGTH = """
@metric("length", task="sequence", level="sample", higher_is_better=False)
def length(preds: str, target: str) -> float:
    return abs(len(preds) - len(target))
"""
PLAIN = """
def plain(preds, target):
    return 1.0
"""


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    builtins()
    monkeypatch.setattr(store, "_METRICS", dict(store._METRICS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def written(name: str, *parts: str) -> Path:
    file = Path(name).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(parts))
    return file


def run(code_or_file: str | Path, folder: str | Path = ".") -> str:
    """What another process prints."""
    command = [str(code_or_file)] if isinstance(code_or_file, Path) else ["-W", "error", "-c", code_or_file]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Built-ins


def test_listing_the_built_ins_imports_neither_torch_nor_what_computes_them() -> None:
    printed = run(
        "import sys\nfrom autosurrogate.registry.store import builtins\n"
        "print(*[m.name for m in builtins()])\n"
        "print(*{'torch', 'numpy', 'scipy', 'sacrebleu', 'cloudpickle'} & set(sys.modules))"
    )
    names, imported, _ = printed.split("\n")
    assert names.split() == sorted(file.stem for file in METRICS.glob("[!_]*.py"))
    assert imported == ""


def test_the_list_has_what_the_command_line_prints() -> None:
    listed = {m.name: (m.task, m.level, m.view, m.higher_is_better, m.source) for m in builtins()}
    assert listed["accuracy"] == ("classification", "set", "labels", True, "numpy")
    assert listed["bleu"] == ("sequence", "sample", "text", True, "sacrebleu")
    assert listed["top5_accuracy"] == ("classification", "set", "probabilities", True, "numpy")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("blue", "unknown metric 'blue'; did you mean 'bleu'"),
        ("acuracy", "unknown metric 'acuracy'; did you mean 'accuracy' or 'top5_accuracy'"),
        ("zzz", "unknown metric 'zzz'. `autosurrogate metrics` lists the built-in ones; a function of yours is given"),
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
    with pytest.raises(MetricError, match=r"no module 'yours'; a file is given with its ending, as in yours\.py:glue$"):
        find("yours:glue")


# Files


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
        ("mine.py", "mine.py has 2 metrics, glue, length: say which, as in mine.py:glue"),
        ("none.py", 'none.py has no metric: put @autosurrogate.metric("name", task=...) above its function'),
        ("none.py:glue", "none.py has no function 'glue': there is no metric in it at all"),
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


def test_what_a_file_imports_is_found_by_way_of_it() -> None:
    written("lib/imported_by_it.py", HEAD, GLEU)
    file = written("lib/imports.py", "from imported_by_it import sentence_glue\n")
    found = find("lib/imports.py:sentence_glue")
    assert (found.name, found.spec) == ("glue", f"{file}:sentence_glue")
    assert sent(found) == "glue 0.5"


def test_a_class_that_fails_in_the_middle_leaves_nothing() -> None:
    written("half.py", HEAD, GLEU, "import nothing_of_that_name\n")
    for _ in range(2):
        with pytest.raises(MetricError, match=r"ModuleNotFoundError: No module named 'nothing_of_that_name'"):
            find("half.py:glue")


# Modules, functions, metrics


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
    with pytest.raises(MetricError, match=r"a metric is given by name, as file\.py:function, or as a function, got 3"):
        find(3)  # type: ignore[arg-type]


def test_a_function_made_like_a_declared_one_is_not_declared() -> None:
    def scaled(scale: float):  # type: ignore[no-untyped-def]
        return lambda preds, target: scale

    metric("scaled", task="sequence")(scaled(2.0))
    with pytest.raises(MetricError, match="is not declared as a metric"):
        find(scaled(3.0))


# Other processes


def sent(found: metric_type.Metric) -> str:
    """What another process, in another folder and without torch, makes of a pickled metric."""
    Path("sent.pkl").write_bytes(pickle.dumps(found))
    Path("elsewhere").mkdir(exist_ok=True)
    return run(
        "import pickle, sys\n"
        "found = pickle.load(open('../sent.pkl', 'rb'))\n"
        "print(found.name, found.function([1, 2], [2, 3]))\n"
        "assert 'torch' not in sys.modules\n"
        f"assert found.view == {found.view!r}\n"
        f"assert found.spec == {found.spec!r}\n"
        "from autosurrogate.registry import validation\nassert validation.check(found) == found\n",
        "elsewhere",
    ).strip()


def test_a_file_s_metric_in_another_process() -> None:
    written("my-own metrics.py", HEAD, GLEU.replace(', view="tokens"', ""), LENGTH)
    with pytest.raises(MetricError, match=r"hinted list, but .* view='text' it is given str; .* view='tokens'$"):
        find("my-own metrics.py:glue")
    written("my-own metrics.py", HEAD, GLEU.replace(', view="tokens"', "").replace(": list", ""), LENGTH)
    found = find("my-own metrics.py:glue")
    assert found.view == "text"
    assert sent(found) == "glue 0.5"


def test_a_function_of_a_function_in_another_process() -> None:
    scale = 3.0

    @metric("local", task="sequence", level="sample")
    def score(preds, target):  # type: ignore[no-untyped-def]
        return scale * len(preds)

    assert find(score).spec is None
    assert sent(find(score)) == "local 6.0"


def test_a_script_s_own_metric_in_another_process() -> None:
    script = written(
        "script.py",
        HEAD,
        "import pickle, sys\nfrom autosurrogate.registry.lookup import find\nSCALE = 5\n",
        GLEU.replace("return ", "return SCALE * "),
        "pickle.dump(find(sentence_glue), open('sent.pkl', 'wb'))\n"
        "print(find('glue').spec, find('glue').source, find('__main__:sentence_glue') == find('glue'))\n",
    )
    assert run(script) == "None __main__ True\n"
    found = pickle.loads(Path("sent.pkl").read_bytes())
    assert found.function([1, 2], [2, 3]) == 2.5
    assert sent(found) == "glue 2.5"


def test_a_metric_that_cannot_be_sent() -> None:
    stream = Path("open").open("w")

    @metric("unsendable", task="sequence", level="sample")
    def score(preds: str, target: str) -> float:
        return float(stream.write(preds))

    with (
        stream,
        pytest.raises(MetricError, match=r"metric 'unsendable' \(.*score of .*cannot be sent .*my_metrics\.py:uns"),
    ):
        pickle.dumps(find(score))


def test_a_built_in_in_another_process() -> None:
    assert pickle.loads(pickle.dumps(find("bleu"))) == find("bleu")
    assert (
        run(
            "import pickle, sys\n"
            f"found = pickle.loads({pickle.dumps(find('bleu'))!r})\n"
            "print(found.function('1 2', '3'), 'torch' in sys.modules)"
        )
        == "0.0 False\n"
    )


# Of installed packages


def shipped(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Put a package on the path, with a metric as its entry point."""
    written("site/shipping.py", HEAD, GLEU, "def plain(preds, target):\n    return 1.0\n")
    written(
        "site/shipping_metrics-2.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: shipping-metrics\nVersion: 2.1\n"
    )
    written("site/shipping_metrics-2.1.dist-info/entry_points.txt", f"[autosurrogate.metrics]\n{name} = {value}\n")
    monkeypatch.syspath_prepend("site")


def test_an_installed_package_ships_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch, "glue", "shipping:sentence_glue")
    found = find("glue")
    assert (found.name, found.spec) == ("glue", "shipping:glue")
    assert pickle.loads(pickle.dumps(found)).function([1, 2], [1]) == 0.5


def test_a_name_that_is_nearly_a_package_s_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch, "glue", "shipping:sentence_glue")
    with pytest.raises(MetricError, match="did you mean 'glue'"):
        find("glues")


def test_a_built_in_goes_before_a_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch, "bleu", "shipping:sentence_glue")
    assert find("bleu").source == "sacrebleu"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("shipping:plain", "is no function that is declared as one metric"),
        ("shipping:nothing", "cannot be imported: AttributeError"),
        ("shopping:plain", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_a_package_ships_wrongly_names_the_package(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    shipped(monkeypatch, "glue", value)
    with pytest.raises(MetricError, match="of package shipping-metrics") as error:
        find("glue")
    assert says in str(error.value)
