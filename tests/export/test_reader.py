from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import program
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.errors import LossFileError
from autosurrogate.export.reader import load, losses_of_points
from autosurrogate.export.writer import METADATA


class Twice(torch.nn.Module):
    """Some TorchScript file that is not ours."""

    def forward(self, preds: torch.Tensor) -> torch.Tensor:
        return 2 * preds


def scripted(path: Path, **extra: str) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Twice()).save(str(path), _extra_files=extra)  # type: ignore[no-untyped-call]
    return path


def test_a_loss_comes_with_its_metadata(fitted: Path) -> None:
    loss, metadata = load(fitted / "accuracy.pt")
    assert metadata.metric == "accuracy"
    assert loss(torch.eye(5), torch.arange(5)).shape == ()


def test_losses_of_points_are_those_of_calls_with_each_set(fitted: Path) -> None:
    loss, _ = load(fitted / "accuracy.pt")
    task, generator = tasks.get("classification"), torch.Generator().manual_seed(0)
    examples = task.generate(torch.rand(3, generator=generator), generator, 10)
    found = losses_of_points(loss, task, examples, 10)
    for k in range(3):
        one = examples[slice(10 * k, 10 * k + 10)]
        assert found[k] == loss(one.preds, one.target)


def other_metadata(**changes: Any) -> str:
    return json.dumps({"metric": "mine", **changes})


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LossFileError, match=r"bleu\.pt: no such file; expected a loss written by `autosurrogate fit`"):
        load(tmp_path / "bleu.pt")
    with pytest.raises(LossFileError, match=r": is a folder; expected a loss"):
        load(tmp_path)


@pytest.mark.parametrize("kind", ["empty", "text", "checkpoint", "script", "other metadata", "no metadata", "cut"])
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path, fitted: Path) -> None:
    path = tmp_path / "loss.pt"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("a loss")
    elif kind == "checkpoint":
        torch.save({"weight": torch.ones(3)}, path)
    elif kind == "script":
        scripted(path)
    elif kind == "other metadata":
        scripted(path, **{METADATA: other_metadata()})
    elif kind == "no metadata":
        scripted(path, **{METADATA: "3"})
    else:
        path.write_bytes((fitted / "accuracy.pt").read_bytes()[:-500])
    reason = {
        "other metadata": ": metadata: key 'created' is missing: expected a string",
        "no metadata": ": metadata: expected an object, got 3",
    }.get(kind, " (a TorchScript file with metadata)")
    with pytest.raises(LossFileError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: is not a loss written by `autosurrogate fit`{reason}"


def test_the_program_beside_a_loss_is_answered_with_the_loss(fitted: Path) -> None:
    with pytest.raises(LossFileError, match=r"accuracy\.pt2: is not a loss .*; pass .*accuracy\.pt$"):
        load(fitted / "accuracy.pt2")


def test_loading_gives_no_warning(fitted: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(fitted / "accuracy.pt")
    assert not caught
    assert program.load(fitted / "accuracy.pt")
