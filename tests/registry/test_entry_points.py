from __future__ import annotations

import pickle

import pytest
from metric_files import GLEU, HEAD, written

from autosurrogate.errors import MetricError
from autosurrogate.registry.lookup import find

pytestmark = pytest.mark.usefixtures("own_registry")


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


def test_a_name_that_is_nearly_a_package_s_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch, "glue", "shipping:sentence_glue")
    with pytest.raises(MetricError, match="did you mean 'glue'"):
        find("glues")


def test_a_built_in_goes_before_a_package_s(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped(monkeypatch, "bleu", "shipping:sentence_glue")
    assert find("bleu").source == "sacrebleu"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("shipping:plain", "is not a function that is declared as one metric"),
        ("shipping:nothing", "cannot be imported: AttributeError"),
        ("shopping:plain", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_a_package_ships_wrongly_names_the_package(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    shipped(monkeypatch, "glue", value)
    with pytest.raises(MetricError, match="of package shipping-metrics") as error:
        find("glue")
    assert says in str(error.value)
