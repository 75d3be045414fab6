"""Writing ready losses again in the current code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.errors import LossFileError
from autosurrogate.export import reader, ready, writer
from benchmarks.ready_losses import rewrite


@pytest.mark.slow
def test_a_rewritten_loss_is_the_same(tmp_path: Path) -> None:
    path = Path(shutil.copy(ready.path("accuracy"), tmp_path))
    old, metadata = reader.load(path)
    rewrite("accuracy", tmp_path)
    new, metadata_of_new = reader.load(path)
    assert metadata_of_new.to_json() == metadata.to_json()
    logits, target = torch.randn(9, 5), torch.randint(5, (9,))
    torch.testing.assert_close(new(logits, target), old(logits, target))
    assert [file.name for file in tmp_path.iterdir()] == ["accuracy.pt"]


def written(network: str, folder: Path, **settings: Any) -> Path:
    """A loss of another network than its metadata say."""
    _, metadata = reader.load(ready.path("accuracy"))
    loss = surrogates.build(tasks.get("classification"), "sample", network, **settings)
    arguments = torch.randn(9, 5), torch.randint(5, (9,))
    writer.write(loss, metadata, [arguments, arguments], folder / "accuracy.pt")
    return folder / "accuracy.pt"


@pytest.mark.slow
def test_numbers_that_mean_something_else_now_are_not_written(tmp_path: Path) -> None:
    settings = dict(ready.metadata("accuracy").network.settings)
    settings["temperatures"] = [3 * temperature for temperature in settings["temperatures"]]
    path = written("margin", tmp_path, **settings)
    before = path.read_bytes()
    with pytest.raises(LossFileError, match="something else"):
        rewrite("accuracy", tmp_path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_network_with_other_parameters_is_refused(tmp_path: Path) -> None:
    written("target_probability", tmp_path)
    with pytest.raises(LossFileError, match="other parameters"):
        rewrite("accuracy", tmp_path)
