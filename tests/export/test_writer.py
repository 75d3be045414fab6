from __future__ import annotations

import copy
import functools
import json
import os
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from loss_metadata import loss_metadata
from torch import Tensor, nn

import autosurrogate
from autosurrogate import surrogates, tasks
from autosurrogate.errors import LossFileError, OptionError
from autosurrogate.export import writer
from autosurrogate.surrogates import loss_arguments

NETWORKS: dict[tuple[str, str], dict[str, Any]] = {
    ("classification", "margin"): {"temperatures": [1.0, 0.1], "n_competitors": 3, "width": 8, "n_outputs": 4},
    ("classification", "confusion"): {"temperatures": [1.0, 0.1], "width": 8},
    ("classification", "target_probability"): {"width": 8, "n_hidden": 2},
    ("sequence", "match"): {"temperatures": [1.0, 0.2], "width": 8},
    ("sequence", "align"): {"temperatures": [0.2], "width": 8},
    ("sequence", "target_attention"): {"width": 8, "n_layers": 1},
}
METADATA = loss_metadata()
Arguments = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Exported:
    """A loss as it is in this process, and where its files are."""

    task: str
    level: str
    loss: Any
    path: Path

    @functools.cached_property
    def scripted(self) -> Any:
        return self.load()

    @functools.cached_property
    def program(self) -> Any:
        return torch.export.load(writer.program_path(self.path)).module()

    def load(self, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, of TorchScript
            return torch.jit.load(str(self.path), **options)  # type: ignore[no-untyped-call]


def made(task: str, seed: int) -> Arguments:
    """Arguments of a loss, of sizes that the seed decides."""
    generator = torch.Generator().manual_seed(seed)
    severity = torch.rand(2 + seed % 9, generator=generator)
    return loss_arguments(tasks.get(task), tasks.get(task).generate(severity, generator))


def tiny(task: str, n: int) -> Arguments:
    if task == "classification":
        return torch.randn(n, 2), torch.arange(n) % 2
    return torch.randn(n, 3, 2), torch.arange(2 * n).view(n, 2) % 2, torch.ones(n, 3, dtype=torch.bool)


def built(task: str, network: str, level: str) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss: Any = surrogates.build(tasks.get(task), level, network, **NETWORKS[task, network])
    loss.calibration.stretch(1.7)
    return loss


@pytest.fixture(
    scope="module",
    params=[(*key, level) for key in NETWORKS for level in ("sample", "set")],
    ids=lambda param: "-".join(param),
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    task, network, level = request.param
    loss, path = built(task, network, level), tmp_path_factory.mktemp("losses") / "loss.pt"
    writer.write(loss, METADATA, [made(task, seed) for seed in (3, 4)], path)
    return Exported(task, level, loss, path)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One exported loss, for what all have in common."""
    loss, path = built("sequence", "target_attention", "sample"), tmp_path_factory.mktemp("losses") / "one.pt"
    writer.write(loss, METADATA, [made("sequence", seed) for seed in (3, 4)], path)
    return Exported("sequence", "sample", loss, path)


def value_and_gradient(loss: Any, given: Arguments) -> tuple[Tensor, Tensor]:
    preds, *rest = given
    assert preds is not None
    preds = preds.clone().requires_grad_()
    value = loss(preds, *rest)
    (gradient,) = torch.autograd.grad(value, preds)
    return value.detach(), gradient


def check_equal(loss: Any, other: Any, given: Arguments) -> None:
    for found, expected in zip(value_and_gradient(loss, given), value_and_gradient(other, given), strict=True):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_the_file_gives_the_loss_s_values_and_gradients_at_all_sizes(exported: Exported) -> None:
    loss = exported.scripted
    for seed in range(12):
        check_equal(loss, exported.loss, made(exported.task, seed))
    for n in (1, 2):
        check_equal(loss, exported.loss, tiny(exported.task, n))


@pytest.mark.slow
def test_the_program_gives_the_loss_s_values_and_gradients_at_all_sizes(exported: Exported) -> None:
    program = exported.program
    for seed in range(10):
        check_equal(program, exported.loss, made(exported.task, seed))
    for n in (1, 2) if exported.level == "sample" else (2,):  # a set of one is no use
        check_equal(program, exported.loss, tiny(exported.task, n))


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


@pytest.mark.slow
def test_the_program_serves_the_shortest_sequences(exported: Exported) -> None:
    if (exported.task, exported.level) != ("sequence", "sample"):
        pytest.skip("has no sequences, or sets of them")
    for n_positions in (1, 2, 3, 4, 5, 9):
        for n_tokens in (1, 2, 3, 4, 6):
            preds = torch.randn(3, n_positions, 5, generator=torch.Generator().manual_seed(0))
            given = (preds, torch.arange(3 * n_tokens).view(3, -1) % 5, torch.ones(3, n_positions, dtype=torch.bool))
            check_equal(exported.program, exported.loss, given)


def test_the_check_catches_another_scale(exported: Exported) -> None:
    other = copy.deepcopy(exported.loss)
    other.calibration.stretch(1.001)
    with pytest.raises(AssertionError):
        check_equal(exported.scripted, other, made(exported.task, 1))


def test_the_mask_may_be_left_out(exported: Exported) -> None:
    if exported.task != "sequence":
        pytest.skip("has no mask")
    loss = exported.scripted
    for seed in range(6):
        preds, target, _ = made(exported.task, seed)
        check_equal(loss, exported.loss, (preds, target))
        check_equal(loss, exported.loss, (preds, target, None))


def test_no_parameter_reaches_an_optimiser(exported: Exported) -> None:
    for module in (exported.scripted, exported.program):
        assert list(module.parameters()) == []
        assert all(not buffer.requires_grad for buffer in module.buffers())
    assert len(list(exported.loss.parameters())) > 0  # the loss itself keeps its own


def test_per_sample_is_there_for_a_loss_of_single_examples_alone(exported: Exported) -> None:
    loss, given = exported.scripted, made(exported.task, 5)
    assert hasattr(loss, "per_sample") == (exported.level == "sample")
    if exported.level == "sample":
        torch.testing.assert_close(loss.per_sample(*given), exported.loss.per_sample(*given), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(loss(*given), loss.per_sample(*given).mean())


def test_it_is_the_same_again_and_in_training_and_evaluation(exported: Exported) -> None:
    loss, given = exported.scripted, made(exported.task, 5)
    check_equal(loss, exported.loss, given)
    check_equal(loss, exported.loss, given)  # TorchScript has compiled it by now
    first = value_and_gradient(loss, given)
    for module in (loss, loss.train(), loss.eval()):
        for found, expected in zip(value_and_gradient(module, given), first, strict=True):
            assert torch.equal(found, expected)


def test_a_copy_is_the_same(exported: Exported) -> None:
    check_equal(copy.deepcopy(exported.scripted), exported.loss, made(exported.task, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_predictions_of_any_dtype_are_worked_on_in_float32(exported: Exported, dtype: torch.dtype) -> None:
    loss, (preds, *rest) = exported.scripted, made(exported.task, 5)
    assert preds is not None
    value, gradient = value_and_gradient(loss, (preds.to(dtype), *rest))
    expected, expected_gradient = value_and_gradient(loss, (preds.to(dtype).float(), *rest))
    assert (value.dtype, gradient.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient.to(dtype))


def test_autocast_changes_nothing_to_speak_of(exported: Exported) -> None:
    loss = exported.scripted
    for seed in range(4):
        given = made(exported.task, seed)
        expected, expected_gradient = value_and_gradient(loss, given)
        with torch.autocast("cpu", torch.bfloat16):
            found, gradient = value_and_gradient(loss, given)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)
        assert (gradient - expected_gradient).norm() <= 1e-2 * expected_gradient.norm()


def test_the_program_under_autocast_changes_nothing_to_speak_of(exported: Exported) -> None:
    program = exported.program
    given = made(exported.task, 5)
    expected = program(*given)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(program(*given).float(), expected, rtol=1e-2, atol=1e-3)


def test_a_model_of_half_precision_may_contain_it(exported: Exported) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(()))
            self.loss = exported.load()

        def forward(self, preds: Tensor, *rest: Tensor | None) -> Tensor:
            found: Tensor = self.loss(preds + self.bias, *rest)
            return found

    preds, *rest = made(exported.task, 5)
    assert preds is not None
    expected = exported.loss(preds, *rest).detach()
    for dtype in (torch.float16, torch.bfloat16):
        model = Model().to(dtype)
        assert [name for name, _ in model.named_parameters()] == ["bias"]
        found = model(preds.to(dtype), *rest)
        found.backward()
        assert model.bias.grad is not None
        assert model.bias.grad.isfinite()
        torch.testing.assert_close(found.detach().float(), expected, rtol=0.05, atol=0.05)


def test_training_with_it_lowers_it(exported: Exported) -> None:
    loss, (preds, *rest) = exported.scripted, made(exported.task, 5)
    assert preds is not None
    logits = nn.Parameter(preds.clone())
    optimiser = torch.optim.Adam([logits, *loss.parameters()], lr=0.05)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    values = []
    for _ in range(10):
        optimiser.zero_grad()
        value = loss(logits, *rest)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] < values[0]
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_it_moves_to_a_gpu(exported: Exported) -> None:
    loss, given = exported.load().to("cuda"), made(exported.task, 5)
    there = tuple(None if a is None else a.cuda() for a in given)
    for found, expected in zip(value_and_gradient(loss, there), value_and_gradient(exported.loss, given), strict=True):
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-3)
    with torch.autocast("cuda", torch.float16):
        value = value_and_gradient(loss, there)[0]
    torch.testing.assert_close(value.cpu(), exported.loss(*given).detach(), rtol=1e-2, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node's stream")  # the capture's is its own
def test_a_gpu_can_capture_it(one: Exported) -> None:
    loss, (preds, target, _) = one.load().to("cuda"), made(one.task, 5)
    assert preds is not None
    there = preds.cuda().requires_grad_(), target.cuda()
    captured = torch.cuda.make_graphed_callables(lambda preds, target: loss(preds, target), there)  # type: ignore[no-untyped-call]
    expected = value_and_gradient(one.loss, (preds, target))
    for found, wanted in zip(value_and_gradient(captured, there), expected, strict=True):
        torch.testing.assert_close(found.cpu(), wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("attribute", ["eos_id", "blank_id"])
@pytest.mark.slow
def test_eos_and_blank_can_be_set_in_the_loaded_file(one: Exported, attribute: str) -> None:
    loss, eager = one.load(), copy.deepcopy(one.loss)
    preds, target, _ = made("sequence", 5)
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


def test_metadata_rides_in_both_files(one: Exported) -> None:
    extra = {writer.METADATA: ""}
    one.load(_extra_files=extra)
    assert json.loads(extra["metadata.json"]) == json.loads(METADATA.to_json())
    extra = {writer.METADATA: ""}
    torch.export.load(writer.program_path(one.path), extra_files=extra)
    assert json.loads(extra["metadata.json"]) == json.loads(METADATA.to_json())


def test_the_files_do_not_tell_where_the_code_lay_that_made_them(exported: Exported) -> None:
    for path in (exported.path, writer.program_path(exported.path)):
        with zipfile.ZipFile(path) as archive:
            records = [archive.read(name) for name in archive.namelist()]
        for package in (autosurrogate, torch):
            folder = str(Path(package.__file__).parent).encode()
            assert not [record for record in records if folder in record]


@pytest.mark.slow
def test_no_warning_reaches_the_user_and_the_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sizes = writer.write(
            built("classification", "margin", "set"), METADATA, [made("classification", 3)], tmp_path / "loss.pt"
        )
    assert [str(warning.message) for warning in told] == []
    assert sizes == {str(path): path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loss.pt", "loss.pt2"]


def test_freezing_leaves_the_loss_as_it_is() -> None:
    loss = built("classification", "margin", "set").train()
    frozen = writer.freeze(loss)
    assert list(frozen.parameters()) == []
    assert set(frozen.state_dict()) == set(loss.state_dict())
    assert loss.training
    assert all(parameter.requires_grad for parameter in loss.parameters())
    check_equal(frozen, loss, made("classification", 1))
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
    loss = built("classification", "margin", "set")
    loss.sign.fill_(float("nan"))
    with pytest.raises(LossFileError, match="returns nan where the loss returns nan"):
        writer.write(loss, METADATA, [made("classification", 3)], tmp_path / "loss.pt")
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
            writer.write(
                built("classification", "margin", "set"), METADATA, [made("classification", 3)], tmp_path / "loss.pt"
            )
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
        (tmp_path / "folder.pt", r"is a folder; name a file in it"),
        (tmp_path / "none" / "loss.pt", r"cannot be written: there is no folder .*none; create it first"),
        (tmp_path / "file" / "loss.pt", r"cannot be written: Not a directory"),
    ):
        with pytest.raises(OptionError, match=message):
            writer.check_writable(out, overwrite=True)
