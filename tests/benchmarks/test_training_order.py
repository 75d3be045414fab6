from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autosurrogate import outputs, tasks
from autosurrogate.export import ready
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.outputs import Recorder
from autosurrogate.registry.lookup import find
from benchmarks import training_order
from benchmarks.training_order_page import section
from studies.training_outputs.__main__ import recordings
from studies.training_outputs._recording import Recording

NAME = "scores/breast_cancer-linear"


def row(metric: str, loss_d: float | None, regular_d: float = 0.5, half: str = "development") -> dict[str, Any]:
    return {
        "half": half, "task": "scores", "outputs": f"scores/{metric}", "metric": metric, "loss_d": loss_d,
        "regular_d": regular_d, "loss_spearman": 0.9, "regular_spearman": None, "n_points": 96,
    }  # fmt: skip


@pytest.fixture
def recording() -> Recording:
    return next(r for r in recordings() if r.name == NAME)


@pytest.fixture
def folder(tmp_path: Path, recording: Recording) -> Path:
    """Outputs that get better from source to source: F1 rises, and the logits stay small."""
    path = recording.path(tmp_path)
    path.parent.mkdir()
    generator = torch.Generator().manual_seed(0)
    with Recorder(path, "scores") as recorder:
        for step in range(6):
            target = (torch.rand(200, generator=generator) < 0.3).long()
            logits = (target - 0.5) * step / 5 + 0.5 * torch.randn(200, generator=generator)
            recorder(logits, target, source=step)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|load|save):DeprecationWarning")
@pytest.mark.slow
def test_a_ready_loss_is_measured_once(folder: Path, recording: Recording) -> None:
    results, losses = folder / "rows.jsonl", {"f1": ready.path("f1"), "ndcg": ready.path("ndcg")}
    (measured,) = training_order.measure(losses, [recording], "development", folder, results)
    assert 0.5 < measured["regular_d"] < measured["loss_d"] <= 1
    assert (measured["set_size"], measured["n_points"], measured["failure"]) == (64, 18, None)
    results.write_text(json.dumps(measured) + "\n")
    assert not list(training_order.measure(losses, [recording], "development", folder, results))


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|load|save):DeprecationWarning")
@pytest.mark.slow
def test_what_the_metric_fails_on_is_reported(folder: Path, recording: Recording) -> None:
    path = recording.path(folder)
    arrays = dict(np.load(path))
    path.unlink()
    np.savez(path, **{**arrays, "target": np.zeros_like(arrays["target"])})
    losses = {"roc_auc": ready.path("roc_auc")}
    (measured,) = training_order.measure(losses, [recording], "final", folder, folder / "rows.jsonl")
    assert measured["loss_d"] is None
    assert "metric 'roc_auc'" in measured["failure"]
    assert "metric 'roc_auc'" in training_order.described(measured)


def test_sets_are_of_one_checkpoint(folder: Path, recording: Recording) -> None:
    recorded = outputs.read(recording.path(folder), tasks.get("scores"))
    constant = outputs.reader.Recorded(  # each row says which checkpoint it is of
        recorded.examples.with_preds(recorded.source.float()), recorded.source
    )
    with Labeller(find("f1"), n_workers=1) as labeller:
        shuffles = list(training_order.labelled(find("f1"), constant, 64, labeller))
    assert len(shuffles) == training_order.N_SHUFFLES
    for shuffle in shuffles:
        assert not shuffle.examples.preds.view(-1, 64).std(1).any()
        assert len(shuffle.values) == 18


def test_sets_are_smaller_where_rows_are_few(folder: Path, recording: Recording) -> None:
    recorded = outputs.read(recording.path(folder), tasks.get("scores"))
    assert training_order.set_size(find("f1"), recorded) == 64  # three of the 200 rows, where 128 would be one
    few = recorded[torch.arange(3 * 16)]
    assert training_order.set_size(find("f1"), few) == 16


def test_losses_of_a_folder_are_found_by_the_name_of_their_metric(tmp_path: Path) -> None:
    (tmp_path / "f1.pt").touch()
    assert training_order.loss_files(tmp_path) == {"f1": tmp_path / "f1.pt"}
    assert list(training_order.loss_files(None)) == ready.names()


def test_the_summary_counts_pairs_and_names_the_worst() -> None:
    lines = section([row("f1", 0.9), row("mcc", 0.4), row("roc_auc", 0.86, 0.87)]).splitlines()
    assert "The final half is not measured yet." in lines
    assert "| scores | 3 | 2 | 1 | 86.0 | 50.0 | 40.0 |" in lines
    worst = lines[
        lines.index("| development: the worst | outputs | D | regular loss | Spearman | regular loss | points |") :
    ]
    assert worst[2] == "| mcc | scores/mcc | 40.0 | 50.0 | 90.0 | - | 96 |"


def test_a_pair_that_was_measured_again_counts_once_and_halves_are_apart() -> None:
    text = section([row("f1", 0.2), row("f1", 0.95), row("mcc", 0.7, half="final"), row("roc_auc", None)])
    assert "| scores | 1 | 0 | 0 | 95.0 | 50.0 | 95.0 |" in text
    assert "| scores | 1 | 0 | 1 | 70.0 | 50.0 | 70.0 |" in text
    assert text.index("development: task") < text.index("final: task")
    assert "Left out, as the metric is constant or not defined: roc_auc on scores/roc_auc." in text
