from __future__ import annotations

import warnings
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.export import ready
from autosurrogate.registry.lookup import find
from autosurrogate.search import search_space
from studies import rows
from studies.models._experiment import Data, Experiment, _epoch, record
from studies.models.imbalanced import split, split_again
from studies.training import _losses, _runs
from studies.training._comparison import Comparison, Fit, Rival, Row
from studies.training._page import section
from studies.training._runs import FACTORS, Arm, Plan, Results, Run, train_and_measure
from studies.training._statistics import holm, paired
from studies.training._suite import comparisons


def load(folder: Path) -> dict[str, Data]:
    x = torch.linspace(-1, 1, 40)[:, None]
    return {split: {"x": x, "y": (x[:, 0] > 0.3).long()} for split in ("train", "validation", "test")}


def forward(model: nn.Module, data: Data) -> Examples:
    return Examples(model(data["x"]).squeeze(1), data["y"])


def measure(model: nn.Module, data: Data, folder: Path) -> dict[str, float]:
    right = (forward(model, data).preds > 0) == (data["y"] > 0)
    return {"accuracy": float(right.float().mean()), "errors": float((~right).sum())}


MODEL = Experiment(
    task="scores", load=load, build=partial(nn.Linear, 1, 1), forward=forward, n_steps=8, batch_size=10,
    learning_rate=0.1, checkpoints=(),
)  # fmt: skip
COMPARISON = Comparison(
    MODEL,
    {"accuracy": Row("accuracy"), "errors": Row("errors", higher_is_better=False)},
    measure,
    {
        "hinge": Rival("a paper", lambda e: (1 - e.preds * (2 * e.target - 1)).clamp_min(0).mean(), rows=("accuracy",)),
        "alone": Rival("a paper", lambda e: (e.preds.sigmoid() - e.target).abs().mean(), alone=True),
    },
)
FITTED = Arm("fitted", "accuracy", "0123")


def plan(measured: list[dict[str, Any]], n_seeds: int = 2) -> Plan:
    return Plan("toy", COMPARISON, {("fitted", "accuracy"): "0123"}, tuple(range(n_seeds)), Results(measured))


def row(run: Run, accuracy: float) -> dict[str, Any]:
    values = {"accuracy": accuracy, "errors": 40 * (1 - accuracy)}
    slower = 1.5 if run.arm.name == "fitted" else 1.0
    measured = {"validation": values, "test": values if run.final else None, "seconds": 60 * slower, "peak_mib": 500}
    return {**asdict(run), **measured, "curve": {}, "date": "2026-11-01"}


def test_losses_that_stand_alone_have_their_learning_rate_tuned_and_added_ones_their_weight() -> None:
    first = plan([]).wanted()
    assert {(r.arm.name, r.factor, r.weight) for r in first} == {
        (name, factor, 0.0) for name in ("regular", "alone") for factor in FACTORS
    }
    assert not any(r.final for r in first)
    measured = [row(r, 0.9 if (r.arm.name, r.factor) == ("regular", 2.0) else 0.8) for r in first]
    then = plan(measured).wanted()
    assert {(r.factor, r.seed) for r in then if r.final and r.arm == Arm("regular")} == {(2.0, 0), (2.0, 1)}
    # With the learning rate that was best for the regular loss.
    assert {(r.arm.name, r.factor, r.weight) for r in then if not r.final} == {
        (name, 2.0, weight) for name in ("fitted", "hinge") for weight in COMPARISON.weights
    }


def test_an_added_loss_has_the_learning_rate_that_was_best_for_the_regular_loss_by_its_own_metric() -> None:
    digests = {("fitted", metric): "0123" for metric in ("accuracy", "errors")}

    def wanted(measured: list[dict[str, Any]]) -> list[Run]:
        return Plan("toy", COMPARISON, digests, (0, 1), Results(measured)).wanted()

    measured = [row(run, 0.8) for run in wanted([])]
    for measured_row in measured:
        if measured_row["arm"]["name"] == "regular":
            measured_row["validation"] = {
                "accuracy": 0.9 if measured_row["factor"] == 2 else 0.8,
                "errors": 3 if measured_row["factor"] == 0.3 else 5,
            }
    factors = {(r.arm.metric, r.factor) for r in wanted(measured) if r.arm.name == "fitted"}
    assert factors == {("accuracy", 2.0), ("errors", 0.3)}


def test_each_row_has_the_weight_that_was_best_for_it_and_nothing_is_missing_when_all_is_measured() -> None:
    measured: list[dict[str, Any]] = []
    for _ in range(5):
        for run in plan(measured).wanted():
            measured.append(row(run, 0.9 if run.weight == 3.0 else 0.8))
    assert not plan(measured).wanted()
    finals = plan(measured).finals(FITTED, "accuracy")
    assert finals is not None
    assert {run.weight for run in finals} == {3.0}
    assert [r.seed for r in plan(measured, 3).wanted() if r.arm == FITTED] == [2]  # goes on where it was
    assert "hinge" not in {arm.name for arm in plan(measured).arms("errors")}


def test_another_fitted_loss_is_trained_with_anew() -> None:
    measured: list[dict[str, Any]] = []
    for _ in range(5):
        measured += [row(run, 0.8) for run in plan(measured).wanted()]
    again = Plan("toy", COMPARISON, {("fitted", "accuracy"): "4567"}, (0, 1), Results(measured)).wanted()
    assert {run.arm for run in again} == {Arm("fitted", "accuracy", "4567")}


def test_a_training_is_repeated_exactly_and_read_on_the_test_split_only_when_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runs, "CACHE", tmp_path)
    runs = [Run("toy", Arm("hinge"), 1.0, 1.0, 0, final) for final in (False, True)]
    measured = [train_and_measure(run, COMPARISON, tmp_path, None, torch.get_num_threads()) for run in runs]
    assert measured[0]["test"] is None
    assert measured[1]["test"] == measured[1]["validation"] == measured[0]["validation"]
    assert list(measured[0]["curve"]) == [0, 2, 4, 6, 8]
    path = tmp_path / "rows.jsonl"
    rows.append(path, measured[1])
    assert Results(list(rows.read(path))).get(runs[1]) is not None
    assert Results(list(rows.read(path))).get(runs[0]) is None


def test_small_tables_are_split_again_for_each_seed_with_the_same_fraction_of_positives() -> None:
    generator = np.random.default_rng(0)
    y = np.arange(100) % 10 == 0
    whole = split(np.stack([np.arange(100.0), generator.normal(size=100)], 1), y.astype(np.int64), 0)
    splits = [split_again(whole, seed) for seed in (1, 1, 2)]
    assert torch.equal(splits[0]["test"]["x"], splits[1]["test"]["x"])
    assert not torch.equal(splits[0]["test"]["x"], splits[2]["test"]["x"])
    for data in splits:
        assert [len(arrays["y"]) for arrays in data.values()] == [50, 20, 30]
        assert [int(arrays["y"].sum()) for arrays in data.values()] == [5, 2, 3]
        assert data["train"]["x"].mean(0).abs().max() < 1e-5
        order = torch.cat([arrays["x"][:, 0] for arrays in data.values()])
        assert len(order.unique()) == 100  # every row is in one part


def test_outputs_of_a_pretraining_are_those_that_recording_it_would_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runs, "CACHE", tmp_path)
    model = replace(MODEL, checkpoints=(0, 3, 8))
    record(model, tmp_path, tmp_path / "recorded.npz", split="validation")
    _losses._record_pretraining(model, tmp_path, tmp_path / "kept.npz", "cpu")
    with np.load(tmp_path / "recorded.npz") as recorded, np.load(tmp_path / "kept.npz") as kept:
        assert np.unique(kept["source"]).tolist() == [0, 3, 8]
        assert all(np.array_equal(recorded[name], kept[name]) for name in recorded)
    last = _runs.start(replace(COMPARISON, pretraining=model), tmp_path)
    assert last is not None
    assert torch.equal(last["weight"], _runs.pretrained(model, tmp_path)[8]["weight"])


def test_a_space_has_the_settings_of_its_fit(tmp_path: Path) -> None:
    path = _losses._space(Fit(settings={"penalty": "0.0"}), "scores", tmp_path / "loss.pt")
    assert search_space.load(tasks.get("scores"), path).training["penalty"] == 0.0
    with pytest.raises(ValueError, match="no setting 'penalties'"):
        _losses._space(Fit(settings={"penalties": "0.0"}), "scores", tmp_path / "loss.pt")


def test_paired_differences_are_scipy_s() -> None:
    ours, theirs = np.random.default_rng(0).normal(size=(2, 5))
    difference, expected = paired(ours, theirs), scipy.stats.ttest_rel(ours, theirs)
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert paired([1.0, 2.0], [1.0, 2.0]).p == 1
    assert paired([2.0, 3.0], [1.0, 2.0]).p == 0


def test_holm_is_statsmodels_example() -> None:
    assert holm([0.01, 0.2, 0.03, 0.005]) == pytest.approx([0.03, 0.2, 0.06, 0.02])


def all_measured(n_seeds: int) -> list[dict[str, Any]]:
    """Rows of the whole experiment, in which the fitted loss is best."""
    measured: list[dict[str, Any]] = []
    better = {"fitted": 0.9, "alone": 0.85}
    while wanted := plan(measured, n_seeds).wanted():
        for run in wanted:
            measured.append(row(run, better.get(run.arm.name, 0.8) + run.seed % 7 / 1000 * (1 + (run.arm == FITTED))))
    return measured


def test_the_table_shows_what_is_measured_and_counts_rows_beyond_noise() -> None:
    text = section(all_measured(5), {"toy": COMPARISON})
    line = next(line for line in text.splitlines() if line.startswith("| toy | accuracy"))
    assert "| 80.20 ± 0.16 | **90.40 ± 0.32 (+10.20: +10.00 to +10.40)**, weight 0.3 | - |" in line
    assert "85.20 ± 0.16 (+5.00: +5.00 to +5.00)** alone |" in line
    assert "| toy | 60 s, 500 MiB | 90 s (+50 %), 500 MiB | - | 60 s (+0 %), 500 MiB, alone |" in text
    assert "Against the regular loss: ahead in 1 of 1 rows, beyond noise in 1; behind beyond noise in 0." in text
    assert "Seeds: 5 of toy." in text
    assert section([], {"toy": COMPARISON}) == ""


def test_losses_with_fewer_seeds_are_compared_on_those_that_both_have_and_left_out_below_five() -> None:
    def without(name: str, n_seeds: int) -> list[dict[str, Any]]:
        return [r for r in measured if not (r["final"] and r["arm"]["name"] == name and r["seed"] >= n_seeds)]

    measured = all_measured(7)
    text = section(without("fitted", 5), {"toy": COMPARISON})
    assert "| 80.30 ± 0.22 | **90.40 ± 0.32 (+10.20: +10.00 to +10.40)**, weight 0.3 | - |" in text
    assert "Seeds: 7 of toy (5 with the fitted loss)." in text
    assert "| 80.30 ± 0.22 | - | - |" in section(without("fitted", 4), {"toy": COMPARISON})
    # Of the means 0.904 and 0.802 of five seeds; the regular loss's of seven is 0.803.
    assert "Mean relative reduction of the error over the 1 rows: 51.5 %." in text


def test_losses_trained_on_another_day_have_no_overhead_and_start_from_another_pretraining() -> None:
    measured = all_measured(5)
    for trained in measured:
        if trained["arm"]["name"] == "fitted":
            trained["date"] = "2026-11-02"
    text = section(measured, {"toy": replace(COMPARISON, pretraining=MODEL)})
    assert "| toy | 60 s, 500 MiB | 90 s, 500 MiB | - | 60 s (+0 %), 500 MiB, alone |" in text
    assert "differ as rounding does: toy accuracy with the fitted loss.\n" in text
    assert "Trained on another day" not in section(measured, {"toy": COMPARISON})
    assert "Median overhead in wall-clock time" not in text
    for trained in measured:
        if trained["arm"]["name"] == "regular" and trained["seed"] == 0:
            trained.update(date="2026-11-02", seconds=50)
    assert "| toy | 60 s, 500 MiB | 90 s (+80 %), 500 MiB | - |" in section(measured, {"toy": COMPARISON})


def test_an_experiment_is_cut_to_some_losses_beside_the_regular_one() -> None:
    cut = COMPARISON.only(["fitted", "alone", "another's"])
    assert (list(cut.fits), list(cut.rivals)) == (["fitted"], ["alone"])
    assert {arm.name for arm in Plan("toy", cut, {}, (0,), Results([])).arms("accuracy")} == {"regular", "alone"}


def test_every_experiment_is_measured_by_metrics_that_its_losses_are_fitted_to() -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("sentencepiece")
    for name, comparison in comparisons().items():
        assert comparison.rows, name
        assert {find(row.fitted).task for row in comparison.rows.values()} == {comparison.model.task}
        assert all(set(rival.rows) <= set(comparison.rows) for rival in comparison.rivals.values())
        assert not set(comparison.rivals) & {"regular", "fitted", "paper"}


def test_an_epoch_has_every_example_once_and_batches_of_like_size() -> None:
    data = {"x": torch.randint(0, 1000, (640,), generator=torch.Generator().manual_seed(0))}
    model = replace(MODEL, size=lambda arrays: arrays["x"])
    first, again, other = (_epoch(model, data, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert sorted(first.tolist()) == list(range(640))
    assert first.tolist() == again.tolist() != other.tolist()
    spread = [float(data["x"][rows].float().std()) for rows in first.split(10)]
    assert np.mean(spread) < 0.2 * float(data["x"].float().std())


def test_a_loss_is_known_by_its_numbers_and_not_by_the_bytes_of_its_file(tmp_path: Path) -> None:
    f1, mcc = ready.path("f1"), ready.path("mcc")
    copy = tmp_path / "f1.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.load(str(f1)).save(str(copy))
    assert copy.read_bytes() != f1.read_bytes()
    assert _losses.digest(copy) == _losses.digest(f1) != _losses.digest(mcc)
