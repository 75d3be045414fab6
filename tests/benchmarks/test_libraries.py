from __future__ import annotations

from pathlib import Path

import pytest

from autosurrogate.registry.lookup import find
from benchmarks.fits import fitted
from benchmarks.libraries import SPECS, section
from studies import rows


def test_the_sample_is_as_large_as_it_is_said_to_be_and_names_each_once() -> None:
    assert len(set(SPECS["torchmetrics"])) == len(SPECS["torchmetrics"]) >= 40
    assert len(set(SPECS["sklearn"])) == len(SPECS["sklearn"]) >= 15


@pytest.mark.parametrize("name", SPECS["sklearn"])
def test_every_one_of_scikit_learn_is_declared(name: str) -> None:
    assert find(f"sklearn:{name}").source == "scikit-learn"


@pytest.mark.slow
def test_a_fit_and_a_refusal_are_rows_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for spec in ("sklearn:r2", "sklearn:silhouette_score"):
        rows.append(path, {"spec": spec, **fitted(spec, "10s")})
    good, refused = rows.read(path)
    assert good["code"] == 0
    assert good["loss"] > good["regular"]
    assert refused["code"] == 2
    text = section([good, refused])
    assert f"| `sklearn:r2` | values | {100 * good['loss']:.1f} | {100 * good['regular']:.1f} | |\n" in text
    assert "| `sklearn:silhouette_score` | | | | metric 'sklearn:silhouette_score': it does not compare" in text
    assert f"Of 2 of sklearn: {int(good['loss'] >= 0.9)} fitted at 90 or more, 1 refused.\n" in text
    assert section([]) == ""
