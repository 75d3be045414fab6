"""The autoregressive translator: what it writes by itself follows from what it wrote before."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.autoregressive import END, Autoregressive, after_start, with_end
from studies.models.translator import PAD
from studies.training.autoregressive import minimum_risk

NOTHING = Examples(torch.zeros(0), torch.zeros(0))


@pytest.fixture
def model() -> Autoregressive:
    torch.manual_seed(0)
    return Autoregressive(width=16, n_layers=1).eval()


@pytest.fixture
def source() -> Tensor:
    return torch.tensor([[5, 6, 7, 8], [9, 4, PAD, PAD]])


def test_each_piece_is_the_strongest_after_those_before(model: Autoregressive, source: Tensor) -> None:
    written = model.translate(source)
    strongest = model(source, after_start(written)).argmax(-1)
    valid = written != PAD
    assert valid[:, 0].all()
    assert torch.equal(strongest[valid], written[valid])


def test_no_piece_is_seen_before_it_is_written(model: Autoregressive, source: Tensor) -> None:
    before = torch.tensor([[1, 20, 30, 40], [1, 50, 60, 70]])
    changed = before.clone()
    changed[:, 2:] = 99
    logits, other = model(source, before), model(source, changed)
    torch.testing.assert_close(logits[:, :2], other[:, :2])
    assert not torch.allclose(logits[:, 2:], other[:, 2:])


def test_an_end_follows_the_last_piece() -> None:
    assert with_end(torch.tensor([[5, 6], [7, PAD]])).tolist() == [[5, 6, END], [7, END, PAD]]


def test_less_risk_makes_what_matches_the_reference_likelier(model: Autoregressive, source: Tensor) -> None:
    reference = torch.tensor([[11, 12, 13], [14, 15, PAD]])
    batch = {"source": source, "target": reference}

    def log_probability() -> Tensor:
        target = with_end(reference)
        of_piece = model(source, after_start(target)).log_softmax(-1).gather(2, target.clamp_min(0)[:, :, None])
        return (of_piece[:, :, 0] * (target != PAD)).sum()

    before = log_probability().item()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(5):
        optimiser.zero_grad()
        minimum_risk(model, batch, NOTHING).backward()
        optimiser.step()
    assert log_probability().item() > before
