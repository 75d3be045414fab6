from __future__ import annotations

import copy
import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from loss_metadata import loss_metadata
from torch import Tensor, nn

from autosurrogate import surrogates, tasks
from autosurrogate.errors import LossFileError, OptionError
from autosurrogate.export import writer
from autosurrogate.surrogates import loss_arguments
from autosurrogate.testing.exports import ExportedLoss, exported, value_and_gradient

METADATA = loss_metadata()


def made(seed: int) -> tuple[Any, ...]:
    """Arguments of a loss of classification, of sizes that the seed decides."""
    generator = torch.Generator().manual_seed(seed)
    severity = torch.rand(2 + seed % 9, generator=generator)
    task = tasks.get("classification")
    return loss_arguments(task, task.generate(severity, generator))


def built() -> Any:
    """A loss of classification, of random parameters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        settings = {"temperatures": [1.0, 0.1], "n_competitors": 3, "width": 8, "n_outputs": 4}
        loss: Any = surrogates.build(tasks.get("classification"), "set", "margin", **settings)
    loss.calibration.stretch(1.7)
    return loss


@pytest.fixture(scope="module")
def one() -> ExportedLoss:
    """One exported loss, for what all have in common."""
    return exported("sequence", "target_attention", "sample")


def load(path: Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of TorchScript
        return torch.jit.load(str(path), **options)  # type: ignore[no-untyped-call]


def check_equal(loss: Any, other: Any, given: tuple[Any, ...]) -> None:
    for found, expected in zip(value_and_gradient(loss, *given), value_and_gradient(other, *given), strict=True):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_the_program_of_strided_examples_serves_contiguous_and_strided_tensors(tmp_path: Path) -> None:
    task = tasks.get("values")
    loss = surrogates.build(task, "set", "agreement", bandwidths=[0.1], anchors=[6], width=4, n_hidden=1)
    strided = [(torch.randn(n, 5)[:, :3], torch.randn(n, 5)[:, :3]) for n in (8, 6)]
    writer.write(loss, METADATA, strided, tmp_path / "loss.pt")
    program = torch.export.load(tmp_path / "loss.pt2").module()
    for n, n_values in ((4, 1), (9, 2), (30, 3)):
        preds, target = torch.randn(n, n_values), torch.randn(n, n_values)
        for given in ((preds, target), (preds.T.contiguous().T, target), (preds, target.T.contiguous().T)):
            check_equal(program, loss, given)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream")  # the capture's is its own
def test_a_gpu_can_capture_it(one: ExportedLoss) -> None:
    (examples,) = one.batches(5, n_batches=1)
    preds, target, _ = loss_arguments(one.task, examples)
    assert preds is not None
    assert target is not None
    there = preds.cuda().requires_grad_(), target.cuda()
    loss = load(one.path).to("cuda")
    captured = torch.cuda.make_graphed_callables(lambda preds, target: loss(preds, target), there)  # type: ignore[no-untyped-call]
    expected = value_and_gradient(one.loss, preds, target)
    for found, wanted in zip(value_and_gradient(captured, *there), expected, strict=True):
        torch.testing.assert_close(found.cpu(), wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("attribute", ["eos_id", "blank_id"])
@pytest.mark.slow
def test_eos_and_blank_can_be_set_in_the_loaded_file(one: ExportedLoss, attribute: str) -> None:
    loss, eager = load(one.path), copy.deepcopy(one.loss)
    (examples,) = one.batches(5, n_batches=1)
    preds, target, _ = loss_arguments(one.task, examples)
    assert preds is not None
    plain = loss(preds, target)
    assert getattr(loss, attribute) == -1
    for token in (int(preds.argmax(2).flatten().mode().values), 0, 1):
        setattr(loss, attribute, token)
        setattr(eager, attribute, token)
        for _ in range(3):  # what is compiled after the first calls must not have forgotten it
            check_equal(loss, eager, (preds, target))
        check_equal(copy.deepcopy(loss), eager, (preds, target))
        if token not in (0, 1):
            assert abs(float(loss(preds, target) - plain)) > 1e-6
    setattr(loss, attribute, -1)
    assert torch.equal(loss(preds, target), plain)


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, writer.WrittenLoss]:
    """Files that were written with examples of half precision, as the generator of segmentation gives them."""
    path = tmp_path_factory.mktemp("low") / "loss.pt"
    examples = [tuple(a.half() if a.is_floating_point() else a for a in made(seed)) for seed in (3, 4)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files = writer.write(built(), METADATA, examples, path)
    assert [str(warning.message) for warning in caught] == []
    return path, files


@pytest.mark.slow
def test_files_of_examples_of_half_precision_serve_float32(low: tuple[Path, writer.WrittenLoss]) -> None:
    for module in low[1][1:]:
        check_equal(module, built(), made(5))


@pytest.mark.slow
def test_the_sizes_are_those_of_the_files(low: tuple[Path, writer.WrittenLoss]) -> None:
    path, files = low
    assert files.sizes == {str(path): path.stat().st_size for path in path.parent.iterdir()}
    assert sorted(path.name for path in path.parent.iterdir()) == ["loss.pt", "loss.pt2"]


@pytest.mark.slow
def test_metadata_rides_in_both_files(low: tuple[Path, writer.WrittenLoss]) -> None:
    extra = {writer.METADATA: ""}
    load(low[0], _extra_files=extra)
    assert json.loads(extra["metadata.json"]) == json.loads(METADATA.to_json())
    extra = {writer.METADATA: ""}
    torch.export.load(writer.program_path(low[0]), extra_files=extra)
    assert json.loads(extra["metadata.json"]) == json.loads(METADATA.to_json())


def test_freezing_leaves_the_loss_as_it_is() -> None:
    loss = built().train()
    frozen = writer.freeze(loss)
    assert list(frozen.parameters()) == []
    assert set(frozen.state_dict()) == set(loss.state_dict())
    assert loss.training
    assert all(parameter.requires_grad for parameter in loss.parameters())
    check_equal(frozen, loss, made(1))
    loss.calibration.stretch(0.0)
    assert float(frozen.calibration.pieces[0, 2]) == pytest.approx(1.7)


class Liar(nn.Module):
    """Says something else once it is scripted."""

    def forward(self, preds: Tensor, target: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            return preds.sum() + 1
        return preds.sum()


def test_a_file_that_gives_other_numbers_is_not_written(tmp_path: Path) -> None:
    message = r"TorchScript file: returns 7 where the loss returns 6; nothing was written"
    with pytest.raises(LossFileError, match=message):
        writer.write(Liar(), METADATA, [(torch.ones(3, 2), torch.zeros(3))], tmp_path / "loss.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_file_that_gives_nan_is_not_written(tmp_path: Path) -> None:
    loss = built()
    loss.sign.fill_(float("nan"))
    with pytest.raises(LossFileError, match="returns nan where the loss returns nan"):
        writer.write(loss, METADATA, [made(3)], tmp_path / "loss.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", ["torch.export.save", "torch.export.load", "os.replace"])
@pytest.mark.slow
def test_a_failure_leaves_nothing_behind_and_what_was_there(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*arguments: Any, **more: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(fails, no_space)
    for before in ({}, {"loss.pt": b"old", "loss.pt2": b"older"}):
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
        with pytest.raises(OSError, match="No space left"):
            writer.write(built(), METADATA, [made(3)], tmp_path / "loss.pt")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_place_that_can_be_written_is_left_empty(tmp_path: Path) -> None:
    writer.check_writable(tmp_path / "loss.pt", overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["loss.pt", "loss.pt2"])
def test_files_are_replaced_only_if_told_to(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"old")
    with pytest.raises(OptionError, match=rf"{name}: exists already; choose another name, or pass --overwrite"):
        writer.check_writable(tmp_path / "loss.pt", overwrite=False)
    writer.check_writable(tmp_path / "loss.pt", overwrite=True)
    assert (tmp_path / name).read_bytes() == b"old"


def test_places_that_cannot_be_written_are_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.pt").mkdir()
    for out, message in (
        (tmp_path / "loss.bin", r"loss\.bin: must end in \.pt, as in --out .*loss\.pt$"),
        (tmp_path / "loss", r"must end in \.pt"),
        (tmp_path / "folder.pt", r"is a folder; name a file, such as"),
        (tmp_path / "none" / "loss.pt", r"cannot be written: there is no folder .*none; create it first"),
        (tmp_path / "file" / "loss.pt", r"cannot be written: Not a directory"),
    ):
        with pytest.raises(OptionError, match=message):
            writer.check_writable(out, overwrite=True)
