from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from metric_files import GLEU, HEAD, LENGTH, run, written

from autosurrogate import metric
from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric

pytestmark = pytest.mark.usefixtures("own_registry")


def sent(found: Metric) -> str:
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


@pytest.mark.slow
def test_what_a_file_imports_is_found_by_way_of_it() -> None:
    written("lib/imported_by_it.py", HEAD, GLEU)
    file = written("lib/imports.py", "from imported_by_it import sentence_glue\n")
    found = find("lib/imports.py:sentence_glue")
    assert (found.name, found.spec) == ("glue", f"{file}:sentence_glue")
    assert sent(found) == "glue 0.5"


@pytest.mark.slow
def test_a_file_s_metric_in_another_process() -> None:
    written("my-own metrics.py", HEAD, GLEU.replace(', view="tokens"', ""), LENGTH)
    with pytest.raises(MetricError, match=r"hinted list, but .* view='text' it gets str; .* view='tokens'$"):
        find("my-own metrics.py:glue")
    written("my-own metrics.py", HEAD, GLEU.replace(', view="tokens"', "").replace(": list", ""), LENGTH)
    found = find("my-own metrics.py:glue")
    assert found.view == "text"
    assert sent(found) == "glue 0.5"


@pytest.mark.slow
def test_a_function_of_a_function_in_another_process() -> None:
    scale = 3.0

    @metric("local", task="sequence", level="sample")
    def score(preds, target):  # type: ignore[no-untyped-def]
        return scale * len(preds)

    assert find(score).spec is None
    assert sent(find(score)) == "local 6.0"


@pytest.mark.slow
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
