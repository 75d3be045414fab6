"""The paper's studies: which trainings they need, and how they are shown."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import program
import pytest
import torch
from torch import nn

from autosurrogate.examples import Examples
from autosurrogate.export import ready
from studies import rows
from studies.models._experiment import Experiment, mean_regular_loss
from studies.paper import toy
from studies.paper._page import section
from studies.paper._plots import scatter
from studies.paper._suite import STUDIES
from studies.spaces import SPACES
from studies.training import _refitting
from studies.training._guards import GUARDS
from studies.training._refitting import Refitted
from studies.training._runs import FACTORS, Plan, Results, Run

pytest.importorskip("PIL")
pytest.importorskip("sentencepiece")
TOY = Experiment(
    "scores", lambda folder: {}, lambda: nn.Linear(1, 1),
    lambda model, batch: Examples(model(batch["x"]).squeeze(1), batch["y"]), 4, 8, 0.1, (),
)  # fmt: skip
SMALL_SPACE = """
[training]
n_steps = 60
batch_points = 32
learning_rate = 1e-2
weight_decay = 1e-4
penalty = 0.1

[networks.counts]
thresholds = [[0.5]]
temperatures = [[1.0, 0.2]]
width = 8
"""
GAINS = {"approximation": 0.01, "fitted": 0.03, "alone": -0.02, "rank loss": -0.01}


@cache
def trained(study: str) -> list[dict[str, Any]]:
    """Rows of a study, all measured."""
    measured: list[dict[str, Any]] = []
    for name, comparison in STUDIES[study].parts().items():
        metric = STUDIES[study].experiments[name]
        digests = {(kind, metric): fit.like or kind for kind, fit in comparison.fits.items()}
        own: list[dict[str, Any]] = []
        for _ in range(3):
            own += [row(run, metric) for run in Plan(name, comparison, digests, (0, 1), Results(own)).wanted()]
        measured += own
    return measured


def row(run: Run, metric: str = "f1") -> dict[str, Any]:
    metrics = {metric: 0.6 + GAINS.get(run.arm.name, 0) + run.seed % 7 / 1000}
    known = {"loss": {"spearman": 0.9, "n_parameters": 100 * len(run.arm.name)}} if run.arm.digest else {}
    measured = {
        "validation": metrics,
        "test": metrics if run.final else None,
        "seconds": 1.0,
        "peak_mib": 500,
        "date": "",
    }
    return {**asdict(run), **measured, "curve": {}, **known}


def test_a_study_shows_its_losses_beside_the_regular_loss(tmp_path: Path) -> None:
    text = section(trained("table_8"), STUDIES, [], tmp_path, "plots")
    assert "### Table 8: Is a loss that ranks" in text
    assert "| haberman | f1 | regular | - | - | 60.05 ± 0.07 | - |" in text
    assert "| haberman | f1 | fitted | 90.0 | 600 | 63.05 ± 0.07 (+3.00: +3.00 to +3.00) | - |" in text
    of_other = "61.05 ± 0.07 (+1.00: +1.00 to +1.00) | -2.00: -2.00 to -2.00 |"
    assert f"| haberman | f1 | approximation | 90.0 | 1300 | {of_other}" in text
    assert "### Table 10" not in text
    assert section([], STUDIES, [], tmp_path, "plots") == ""


def test_a_study_may_have_a_loss_made_by_hand(tmp_path: Path) -> None:
    study = {"table_14": replace(STUDIES["table_14"], n_seeds=2)}
    text = section(trained("table_14"), study, [], tmp_path, "plots")
    difference = "-4.00: -4.00 to -4.00"
    assert f"| cifar10 | accuracy | rank loss | - | - | 59.05 ± 0.07 (-1.00: -1.00 to -1.00) | {difference} |" in text
    assert "label smoothing" not in text
    only_fitted = [row for row in trained("table_14") if row["arm"]["name"] != "rank loss"]
    assert section(only_fitted, study, [], tmp_path, "plots") == ""


@pytest.mark.slow
def test_seeds_that_a_study_does_not_ask_for_are_left_out(tmp_path: Path) -> None:
    measured = trained("table_8")
    more = [{**r, "seed": 2} for r in measured if r["final"] and r["arm"]["name"] != "approximation"]
    two = {"table_8": replace(STUDIES["table_8"], n_seeds=2)}
    assert section([*measured, *more], two, [], tmp_path, "plots") == section(measured, two, [], tmp_path, "plots")
    assert "| approximation |" not in section([*measured, *more], STUDIES, [], tmp_path, "plots")


def test_a_loss_alone_has_its_learning_rate_tuned_and_is_the_fitted_one_s_file(tmp_path: Path) -> None:
    comparison = STUDIES["table_10"].parts()["haberman"]
    digests = {("fitted", "f1"): "0123", ("alone", "f1"): "0123"}
    wanted = Plan("haberman", comparison, digests, (0,), Results([])).wanted()
    alone = [run for run in wanted if run.arm.name == "alone"]
    assert {(run.factor, run.weight) for run in alone} == {(factor, 0.0) for factor in FACTORS}
    text = section(trained("table_10"), STUDIES, [], tmp_path, "plots")
    assert "In the paper, alone it is worse" in text
    of_alone = "58.05 ± 0.07 (-2.00: -2.00 to -2.00) | -5.00: -5.00 to -5.00 |"
    assert f"| haberman | f1 | alone | 90.0 | 500 | {of_alone}" in text


def test_a_loss_that_is_fitted_again_has_the_settings_of_the_one_that_is_not() -> None:
    own = [row for row in trained("table_11") if row["experiment"] == "haberman"]
    settings = {
        kind: {(r["factor"], r["weight"]) for r in own if r["arm"]["name"] == kind and r["final"]}
        for kind in ("fitted", "refitted")
    }
    assert settings["refitted"] == settings["fitted"]
    assert len(settings["refitted"]) == 1
    assert all(r["final"] for r in own if r["arm"]["name"] == "refitted")


def test_losses_of_all_studies_are_drawn_by_rank_correlation_and_capacity(tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    assert not scatter([], STUDIES, path)
    assert scatter(trained("table_8"), STUDIES, path)
    assert path.stat().st_size > 1000


def test_every_study_is_of_experiments_that_there_are_and_of_spaces_that_there_are() -> None:
    for study in STUDIES.values():
        for name, comparison in study.parts().items():
            assert set(comparison.rows) == {study.experiments[name]}
            spaces = [fit.space for fit in comparison.fits.values() if fit.space is not None]
            assert all((SPACES / f"{space}_{comparison.model.task}.toml").exists() for space in spaces)


def test_both_losses_of_the_toy_follow_the_random_network_and_lead_uphill(tmp_path: Path) -> None:
    rows.append(tmp_path / "rows.jsonl", toy.measure(0, n_steps=100))
    (measured,) = rows.read(tmp_path / "rows.jsonl")
    for objective in toy.OBJECTIVES:
        assert measured[objective]["rank"]["100"] > 0.6
        assert 0.5 < measured[objective]["gained"]["1.0"] < measured[objective]["gained"]["4.0"]
    shown = toy.section([measured, measured])
    assert all(f"| {objective} |" in shown for objective in toy.OBJECTIVES)
    toy.plot([measured], tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1000


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
@pytest.mark.slow
def test_a_loss_is_refitted_on_the_outputs_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program.write(tmp_path / "small.toml", SMALL_SPACE)
    small = ("--space", str(tmp_path / "small.toml"), "--trials", "1", "--budget", "10s")
    monkeypatch.setattr(_refitting, "ARGUMENTS", (*small, "--force"))
    inputs = torch.randn(300, 1, generator=torch.Generator().manual_seed(0))
    data = {"x": inputs, "y": (inputs[:, 0] > 1).long()}
    loss = Refitted(ready.path("f1"), "f1", TOY, data, "cpu")
    trained = TOY.build()
    nn.init.ones_(trained.weight)  # or it may call nothing positive, and F1 be 0 throughout
    examples = TOY.forward(trained, data)
    before = loss(trained, data, examples).item()
    loss.refit(1, trained)
    after = loss(trained, data, examples)
    assert after.item() != before
    after.backward()
    assert trained.weight.grad.abs().item() > 0


def test_a_balanced_loss_pulls_at_the_predictions_as_the_regular_loss_does() -> None:
    examples = Examples(torch.randn(64, requires_grad=True), (torch.arange(64) % 3 == 0).long())
    regular = mean_regular_loss("scores")
    of = GUARDS["balanced"](lambda e: 100 * (e.preds.sigmoid() - e.target).square().mean(), TOY)
    norms = [
        torch.autograd.grad(loss, examples.preds)[0].norm() for loss in (of(None, {}, examples), regular(examples))
    ]
    torch.testing.assert_close(norms[0], norms[1])


def test_a_loss_begins_late_or_fades() -> None:
    examples = Examples(torch.ones(4), torch.ones(4))
    for guard, expected in {
        "late": [0, 0, 0, 1, 1, 1, 1, 1, 1, 1],
        "fading": [1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0],
    }.items():
        of = GUARDS[guard](lambda e: e.preds.mean(), replace(TOY, n_steps=10))
        assert [round(float(of(None, {}, examples)), 3) for _ in range(10)] == expected
