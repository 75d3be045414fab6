from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import program
import pytest
from torch import nn

import autosurrogate
from studies import micro_training, predictors, rows
from studies.models._experiment import Experiment, train
from studies.training import _runs

ARGUMENTS = ("f1", "breast_cancer", "--trials", "2", "--weights", "1", "--seeds", "2", "--budget", "20s")
OTHERS = ("--step-fraction", "0.1", "--space", "smooth_scores")
SMALL_SPACE = """
[training]
n_steps = 40
batch_points = 32
learning_rate = { low = 2e-3, high = 2e-2, log = true }
weight_decay = 1e-4
penalty = { low = 0.02, high = 10.0, log = true }
window = [1.0, 0.3]

[networks.counts]
thresholds = [[0.5]]
temperatures = [[1.0, 0.3]]
width = 8
"""


def train_briefly(experiment: Experiment, *arguments: Any, **options: Any) -> nn.Module:
    """As `train`, in few steps."""
    return train(replace(experiment, n_steps=10), *arguments, **options)


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|load|save):DeprecationWarning")
@pytest.mark.slow
def test_trials_of_a_search_are_trained_with_and_a_second_run_adds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predictors, "LOSSES", tmp_path / "losses")
    monkeypatch.setattr(_runs, "CACHE", tmp_path)
    monkeypatch.setattr(predictors, "N_PROBLEMS", 1)
    monkeypatch.setattr(predictors, "DISTANCES", (0.1, 1.0))
    monkeypatch.setattr(micro_training, "train", train_briefly)
    monkeypatch.setattr(predictors, "SPACES", tmp_path / "spaces")
    program.write(tmp_path / "spaces" / "smooth_scores.toml", SMALL_SPACE)
    monkeypatch.setattr(autosurrogate, "fit", partial(autosurrogate.fit, trials=3))  # else it fills its budget
    results = tmp_path / "predictors.jsonl"
    for _ in range(2):
        monkeypatch.setattr(
            "sys.argv",
            ["predictors", *ARGUMENTS, "--data", str(tmp_path), "--results", str(results), *OTHERS],
        )
        predictors.main()
        measured = list(rows.read(results))
        trials = {row["trial"] for row in measured}
        assert predictors.REGULAR in trials
        assert len(trials) > 1
        assert len(measured) == 2 * len(trials)
        shown = capsys.readouterr().out
        assert "| gain over 0.1 |" in shown
        # Not looked for in the table, which leaves out what is the same for all trials, as this may be of one problem.
        assert all(
            "gain in micro-training, weight 1" in r["known"] for r in measured if r["trial"] != predictors.REGULAR
        )
        assert "| known before | breast_cancer, weight 1 |" in shown
        assert "--space smooth_scores`" in predictors.section(measured)
    assert predictors.section([row | {"space": None} for row in measured]).count("--space") == 0


def test_the_table_leaves_out_what_is_the_same_for_all_trials() -> None:
    def row(trial: int, f1: float, micro: float) -> dict[str, Any]:
        known = {"lambda": 1.0, "gain in micro-training, weight 1": micro} if trial != predictors.REGULAR else {}
        weight = 0.0 if trial == predictors.REGULAR else 1.0
        return {
            "metric": "f1", "experiment": "toy", "trial": trial, "weight": weight, "seed": 0, "known": known,
            "validation": {"f1": f1},
        }  # fmt: skip

    measured = [row(predictors.REGULAR, 0.5, 0.0), row(0, 0.6, 0.1), row(1, 0.7, 0.3), row(2, 0.4, 0.2)]
    assert list(predictors.table(measured)) == [
        "| known before | toy, weight 1 |",
        "| --- | --- |",
        "| gain in micro-training, weight 1 | 50 |",
        "| gained: median (range) | 0.1000 (-0.1000 to 0.2000) |",
    ]


def test_a_run_that_was_stopped_while_it_searched_shows_nothing() -> None:
    regular = {"metric": "f1", "experiment": "toy", "trial": predictors.REGULAR, "weight": 0.0, "seed": 0}
    assert list(predictors.table([{**regular, "known": {}, "validation": {"f1": 0.5}}])) == []
