from __future__ import annotations

from pathlib import Path
from typing import Any

from studies import compact, predictors, rows
from studies.training._running import RESULTS

ROOT = Path(__file__).parents[2]
MAX_BYTES = 3_000_000  # of all results in the tree


def row(arm: str, metric: str = "", digest: str = "", *, seed: int = 0, final: bool = True) -> dict[str, Any]:
    values = {"f1": 0.5, "mcc": 0.4, "average_precision": 0.3, "roc_auc": 0.2}
    return {
        "experiment": "oil_spill",
        "arm": {"name": arm, "metric": metric, "digest": digest},
        "factor": 1.0,
        "weight": 0.0,
        "seed": seed,
        "final": final,
        "validation": values,
        "test": values if final else None,
        "curve": {"0": values, "10": values},
    }


def test_a_loss_keeps_the_metrics_that_it_is_compared_by_and_the_curve_that_is_plotted() -> None:
    regular, tuning, first, other = compact.trainings(
        [row("regular"), row("regular", final=False), row("fitted", "f1", "a"), row("fitted", "mcc", "b")]
    )
    assert [*regular["test"]] == [*regular["validation"]] == ["f1", "average_precision", "roc_auc", "mcc"]
    assert regular["curve"] == first["curve"] == {"0": {"f1": 0.5}, "10": {"f1": 0.5}}
    assert tuning["test"] is None
    assert tuning["curve"] == other["curve"] == {}
    assert first["test"] == first["validation"] == {"f1": 0.5}
    assert other["test"] == other["validation"] == {"mcc": 0.4}


def test_the_last_file_of_a_loss_and_the_last_row_of_a_training_are_kept() -> None:
    measured = [row("fitted", "f1", "old"), row("fitted", "mcc", "b"), row("fitted", "f1", "new")]
    again = {**row("fitted", "f1", "new"), "seconds": 2.0}
    kept = list(compact.trainings([*measured, again]))
    assert [line["arm"]["digest"] for line in kept] == ["new", "b"]  # in the order of the losses' first rows
    assert kept[0]["seconds"] == 2.0


def test_the_results_in_the_tree_are_compact() -> None:
    trained, predicted = list(rows.read(RESULTS)), list(rows.read(predictors.RESULTS))
    assert trained
    assert predicted
    assert list(compact.trainings(trained)) == trained
    assert list(map(compact.of_predictors, predicted)) == predicted
    assert sum(path.stat().st_size for path in ROOT.glob("*/results/*")) < MAX_BYTES
