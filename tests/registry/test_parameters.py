from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from autosurrogate._utils import digests
from autosurrogate.errors import MetricError
from autosurrogate.registry import parameters, source_digests
from autosurrogate.registry.lookup import find
from autosurrogate.run.run_dir import as_file_name

FILE = """
from autosurrogate import metric

@metric("near", task="sequence", level="sample", view="tokens")
def near(
    preds: list, target: list, *, by: int = 0, strict: bool = False, kind: str = "all", share: float | None = None
):
    return float(abs(len(preds) - len(target)) <= by) + 10 * strict + len(kind) + (share or 0)

@metric("plain", task="sequence", level="sample", view="tokens")
def plain(preds: list, target: list):
    return 1.0
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "nearness.py").write_text(FILE)
    return str(tmp_path / "nearness.py")


def test_parameters_are_set_by_their_hints(file: str) -> None:
    found = find(f"{file}:near?by=2&strict=yes&kind=few&share=0.25")
    assert found.function([1], [1, 2, 3]) == 1 + 10 + 3 + 0.25
    assert found.name == "near?by=2&strict=True&kind=few&share=0.25"
    assert find(f"{file}:near").function([1], [1, 2, 3]) == 3


def test_a_metric_with_parameters_is_the_same_in_another_process(file: str) -> None:
    found = find(f"{file}:near?by=1&kind=a/b")
    again = pickle.loads(pickle.dumps(found))
    assert again.function([1], [1, 2]) == found.function([1], [1, 2]) == 1 + 3
    assert (again.name, again.spec, again.view) == (found.name, found.spec, found.view)
    assert find(str(found.spec)).name == found.name


def test_a_loss_and_its_run_are_called_after_the_parameters(file: str) -> None:
    assert as_file_name(find(f"{file}:near?by=1").name) == "near-by-1"
    assert source_digests.of_metric(find(f"{file}:near?by=1")) == digests.of_file(file) != ""


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("far=1", "metric 'near' has no parameter 'far': expected one of by, strict, kind, share"),
        ("by=1.5", "metric 'near': parameter 'by' is a whole number, got '1.5'"),
        ("by=", "metric 'near': parameter 'by' is a whole number, got ''"),
        ("strict=perhaps", "metric 'near': parameter 'strict' is true or false, got 'perhaps'"),
        ("share=half", "metric 'near': parameter 'share' is a number, got 'half'"),
        ("by=1&by=2", "metric 'near': parameter 'by' is set twice"),
        ("by", "metric 'near': parameters must be written as name=value, with & between them, got 'by'"),
        ("", "the metric's parameters must follow the \\?, as in .*nearness.py:near\\?name=value"),
    ],
)
def test_a_wrong_parameter_is_reported(file: str, query: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        find(f"{file}:near?{query}")


def test_a_metric_without_parameters_says_so(file: str) -> None:
    with pytest.raises(MetricError, match="'plain' has no parameter 'k': it has no parameters"):
        find(f"{file}:plain?k=1")


def test_a_function_without_a_signature_has_no_parameters() -> None:
    assert parameters._parameters(max) == {}
