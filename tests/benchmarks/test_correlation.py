from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autosurrogate import tasks
from autosurrogate.registry.lookup import find
from autosurrogate.registry.store import builtins
from benchmarks import correlation
from benchmarks.correlation_page import page
from studies.models.__main__ import experiments


def correlations(spearman: float, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}spearman": spearman, f"{prefix}kendall": spearman - 0.1}


def row(
    setting: str = "search", seed: int = 0, budget: str = "20s", value: float = 0.95, **more: Any
) -> dict[str, Any]:
    return {
        "setting": setting, "metric": "pck", "task": "heatmap", "seed": seed, "budget": budget, "refused": [],
        "held_out": {"loss": correlations(value), "regular": correlations(0.2)},
        "outputs": {"pose": {**correlations(value - 0.01), **correlations(0.5, "regular_")}},
        "machine": "a machine", "date": "2026-01-31", "jobs": 2, **more,
    }  # fmt: skip


def test_the_floors_show_the_worst_seed_whatever_the_order_of_measuring() -> None:
    rows = [row(seed=seed, budget="2m", value=0.91 + seed / 100) for seed in (2, 0, 1)]
    lines = page(rows, {"pck": (95, "pose"), "ndcg": (93, "ranker")}).splitlines()
    assert "| pck | pose | 50.0 / 40.0 | 90.0, 91.0, 92.0 | 90.0 | 95 |" in lines
    assert not any(line.startswith("| ndcg") for line in lines)  # not measured


def test_the_survey_shows_each_way_of_fitting_and_marks_what_would_be_refused() -> None:
    rows = [
        row(),
        row("approximation", value=0.8, refused=["its gain"]),
        row("paper's network", outputs={}, held_out={}),
    ]
    del rows[2]["held_out"]  # the fit failed
    lines = page(rows, {}).splitlines()
    assert "| pck | generated | 20.0 / 10.0 | failed | 80.0 / 70.0 † | 95.0 / 85.0 |" in lines
    assert "| pck | pose | 50.0 / 40.0 | failed | 79.0 / 69.0 † | 94.0 / 84.0 |" in lines


def test_a_correlation_that_is_not_defined_is_a_dash() -> None:
    measured = row(outputs={"pose": {"spearman": 0.9, "kendall": None, **correlations(0.5, "regular_")}})
    assert "| 90.0 / - |" in page([measured], {})


def test_a_loss_that_could_not_be_evaluated_or_is_constant_ranks_nothing() -> None:
    failed = row(seed=0, budget="2m", outputs={"pose": {"failure": "a reason", "spearman": 0.0}})
    constant = {"spearman": None, "kendall": None, **correlations(0.5, "regular_")}
    rows = [failed, row(seed=1, budget="2m", outputs={"pose": constant}), row(seed=2, budget="2m", value=0.93)]
    assert "| pck | pose | 50.0 / 40.0 | 0.0, 0.0, 92.0 | 0.0 | 95 |" in page(rows, {"pck": (95, "pose")})
    assert "| pck | pose | - | 0.0 | 0.0 | 95 |" in page([failed], {"pck": (95, "pose")})


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    results = tmp_path / "rows.jsonl"
    results.write_text(json.dumps(row("search")) + "\n")

    class Options:
        table, metrics, seeds, budget = "survey", ["pck"], None, None

    options: Any = Options()
    options.results = results
    assert [fit.setting.name for fit in correlation.wanted(options)] == ["approximation", "paper's network"]


def test_every_recorded_output_is_of_a_task_and_every_experiment_is_judged_by() -> None:
    pytest.importorskip("PIL")
    named = {name for outputs in correlation.OUTPUTS_OF.values() for name in outputs}
    assert set(correlation.OUTPUTS_OF) <= set(tasks.names())
    for name, experiment in experiments().items():
        assert name in correlation.OUTPUTS_OF[experiment.task]
    assert named - set(experiments()) == {"fashion_mnist_cnn", "nat_multi30k_de_en"}  # recorded elsewhere


def test_every_floor_is_of_a_metric_and_of_outputs_of_its_task() -> None:
    for metric, (floor, outputs) in correlation.FLOORS.items():
        assert outputs in correlation.OUTPUTS_OF[find(metric).task]
        assert 0 < floor < 100
    assert {m.name for m in builtins()} >= set(correlation.FLOORS)
