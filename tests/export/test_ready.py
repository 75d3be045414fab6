"""The losses that come with the package."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import torch

import autosurrogate
from autosurrogate import tasks
from autosurrogate.errors import LossFileError, OptionError
from autosurrogate.evaluation import point_losses
from autosurrogate.evaluation.shortfalls import shortfalls
from autosurrogate.export import reader, ready, writer
from autosurrogate.outputs.recorder import Recorder
from autosurrogate.points import metric_calls, sampling, severity_calibration
from autosurrogate.rank_correlation import rank_agreement
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.store import builtins
from autosurrogate.tasks import REGIMES, TRAINED

COSTLY = {"coco_ap", "coco_ap50"}  # metrics that take minutes on that many points
ALONE = """
import sys, warnings
try:
    import autosurrogate
    raise SystemExit("autosurrogate is here")
except ModuleNotFoundError:
    pass
warnings.simplefilter("ignore")
import torch
for path in sys.argv[1:]:
    torch.jit.load(path)
"""


def valued(metric: Metric, points: list[tuple[Any, Any]]) -> np.ndarray:
    return np.array([metric.function(*point) for point in points], np.float64)


def test_there_are_some_and_all_are_of_built_in_metrics() -> None:
    assert ready.names()
    assert set(ready.names()) <= {metric.name for metric in builtins()}
    assert set(ready.missing()) == {metric.name for metric in builtins()} - set(ready.names())


@pytest.mark.parametrize("name", ready.names())
def test_each_is_what_the_command_makes_of_what_the_metric_is_now(name: str) -> None:
    metadata, metric = reader.load(ready.path(name))[1], find(name)
    fitted = (metadata.metric_spec, metadata.seed, metadata.budget_s, metadata.recorded_outputs)
    assert fitted == (name, 0, 300.0, ())
    declared = ("task", "level", "view", "set_size", "higher_is_better")
    assert {field: getattr(metadata, field) for field in declared} == {
        field: getattr(metric, field) for field in declared
    }
    assert shortfalls(metadata.quality) == []
    assert ready.metadata(name).to_json() == metadata.to_json()
    assert ready.spearman(name) == metadata.quality.held_out_generated.loss.spearman


@pytest.mark.parametrize("name", [name for name in ready.names() if name not in COSTLY])
@pytest.mark.slow
def test_each_ranks_points_made_afresh_as_well_as_it_says(name: str) -> None:
    loss, metadata = reader.load(ready.path(name))
    metric, task = find(name), tasks.get(metadata.task)
    points, severity, is_trained = sampling.generate_pilot(task, metric, seed=0)
    # Losses without strata were fitted before there were other regimes than that of trained models.
    counted = is_trained | bool(metadata.quality.held_out_generated.strata)
    severities = severity_calibration.calibrate(severity[counted], valued(metric, points)[counted])
    losses, values, sizes = [], [], []
    for index in range(4):  # of as many sizes of set, or of example
        chunk = sampling.generate_chunk(task, metric, severities, 12345, "afresh", index)
        examples, set_size = chunk.examples, chunk.set_size
        if not metadata.quality.held_out_generated.strata:
            examples = examples[torch.from_numpy(chunk.regime == REGIMES.index(TRAINED)).repeat_interleave(set_size)]
        value_of = valued(metric, metric_calls.points_of(task, metric, examples, set_size))
        there = np.isfinite(value_of)
        losses.append(point_losses.loss_of_points(loss, task)(examples, set_size).numpy()[there])
        values.append(value_of[there])
        sizes.append(int(there.sum()))
    found = rank_agreement(np.concatenate(losses), np.concatenate(values), metric.higher_is_better, 0, sizes)
    reported = metadata.quality.held_out_generated.loss
    assert found.spearman_interval[1] >= reported.spearman_interval[0]
    assert found.spearman >= reported.spearman - 0.1


@pytest.mark.parametrize("name", [name for name in ready.names() if find(name).task != "detection"])
def test_none_outweighs_the_regular_loss_where_predictions_are_flat_as_in_an_untrained_model(name: str) -> None:
    """Detections are left out, for what they are made flat by is not one number."""
    loss, metadata = reader.load(ready.path(name))
    metric, task = find(name), tasks.get(metadata.task)
    set_size = 32 if metric.level == "set" else 1
    made = task.generate(torch.full((8,), 0.5), torch.Generator().manual_seed(0), set_size, metric.view)
    preds = made.preds.float()
    there = torch.isfinite(preds)
    centre = preds[there].mean()
    ratios = []
    for scale in (1.0, 0.03):
        flat = made.with_preds(torch.where(there, centre + scale * (preds - centre), preds))
        own, regular = (
            point_losses.gradient(of_points, flat, set_size).norm()
            for of_points in (point_losses.loss_of_points(loss, task), point_losses.regular_of_points(task))
        )
        ratios.append(float(own / regular))
    assert ratios[1] < 10 * max(1.0, ratios[0])


@pytest.mark.slow
def test_each_loads_with_torch_alone(python_with_torch_alone: Path, tmp_path: Path) -> None:
    files = [str(ready.path(name)) for name in ready.names()]
    done = subprocess.run(
        [python_with_torch_alone, "-c", ALONE, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ready.names())
def test_none_tells_where_the_code_lay_that_made_it(name: str) -> None:
    with zipfile.ZipFile(ready.path(name)) as archive:
        assert not [record for record in archive.namelist() if record.endswith(writer.SOURCES)]


def test_load_gives_the_file_s_loss() -> None:
    preds, target = torch.randn(64), torch.randint(2, (64,))
    assert autosurrogate.load("f1")(preds, target) == reader.load(ready.path("f1"))[0](preds, target)


@pytest.mark.slow
def test_export_writes_a_file_of_the_user_s_own(tmp_path: Path) -> None:
    done = program.run("export", "f1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [file.name for file in tmp_path.iterdir()] == ["f1.pt"]
    assert (tmp_path / "f1.pt").read_bytes() == ready.path("f1").read_bytes()
    assert "torch.jit.load('f1.pt')" in done.stdout
    assert f"{100 * ready.metadata('f1').quality.held_out_generated.loss.spearman:.1f}" in done.stdout

    again = program.run("export", "f1", cwd=tmp_path)
    assert again.returncode == 2
    assert "--out f1.pt: exists already; choose another name, or pass --overwrite" in again.stderr
    (tmp_path / "f1.pt").write_bytes(b"old")
    assert program.run("export", "f1", "--overwrite", cwd=tmp_path).returncode == 0
    assert (tmp_path / "f1.pt").read_bytes() == ready.path("f1").read_bytes()


def test_what_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"--out .*f1\.txt: must end in \.pt"):
        ready.export("f1", tmp_path / "f1.txt")
    with pytest.raises(OptionError, match="there is no folder"):
        ready.export("f1", tmp_path / "none" / "f1.pt")


@pytest.mark.slow
def test_metrics_without_a_ready_loss_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(LossFileError, match=r"no ready loss 'mc': expected one of .*; did you mean 'mcc'"):
        ready.path("mc")
    with pytest.raises(
        LossFileError, match=r"there is no ready loss of 'pck\?threshold=0.1': fit one with `autosurrogate"
    ):
        autosurrogate.load("pck?threshold=0.1")
    done = program.run("export", "chrf", cwd=tmp_path)
    assert done.returncode == 2
    assert "fit --metric chrf` (with --tokenizer FILE if it depends on how tokens are spelled)" in done.stderr


@pytest.mark.slow
def test_a_ready_loss_is_inspected_and_evaluated_by_its_name(tmp_path: Path) -> None:
    done = program.run("inspect", "f1", cwd=tmp_path)
    assert done.stdout.startswith("f1: scores, sets of 128, higher is better; created ")
    target = torch.randint(2, (1280,))
    with Recorder(tmp_path / "outputs.npz") as record:
        record(torch.randn(1280) + target, target, source=0)
    done = program.run("evaluate", "f1", "--outputs", "outputs.npz", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "regular loss" in done.stdout


def test_a_file_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ready.resolve("f1") == ready.path("f1")
    (tmp_path / "f1").write_text("not a loss")
    assert ready.resolve("f1") == Path("f1")
