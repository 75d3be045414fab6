from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import predictors, rows
from benchmarks.training import _runs

ARGUMENTS = ("f1", "breast_cancer", "--trials", "3", "--weights", "1", "--seeds", "2", "--budget", "8s")
OTHERS = ("--share", "0.5", "--space", "smooth_scores")


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|load|save):DeprecationWarning")
def test_trials_of_a_search_are_trained_with_and_a_second_run_adds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predictors, "LOSSES", tmp_path / "losses")
    monkeypatch.setattr(_runs, "CACHE", tmp_path)
    monkeypatch.setattr(predictors, "N_PROBLEMS", 1)
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
        assert "| gain in micro-training, weight 1 |" in shown
        assert "| known before | breast_cancer, weight 1 |" in shown
        assert "--space smooth_scores`" in predictors.section(measured)
    assert predictors.section([row | {"space": None} for row in measured]).count("--space") == 0
