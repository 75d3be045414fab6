"""What is taken of a softmax, beside the softmax itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autosurrogate.surrogates._sequence_match import softmax_parts

TEMPERATURES = [2.0, 1.0, 0.2, 0.05]


def parts_of(function: object, logits: Tensor, target: Tensor, **sizes: int) -> tuple[list[Tensor], Tensor]:
    """What the function gives, and the gradient of a sum of it."""
    moving = logits.clone().requires_grad_()
    found = function(moving, target, TEMPERATURES, 3, **sizes)  # type: ignore[operator]
    weights = torch.Generator().manual_seed(5)
    total = sum((part * torch.randn(part.shape, generator=weights)).sum() for part in found)
    (gradient,) = torch.autograd.grad(total, moving)  # type: ignore[arg-type]
    return [part.detach() for part in found], gradient


def plainly(logits: Tensor, target: Tensor, temperatures: list[float], eos_id: int) -> tuple[Tensor, Tensor, Tensor]:
    finite = logits.float().clamp(-1e4, 1e4)
    normalisers = torch.stack([(finite / t).logsumexp(2) for t in temperatures], 2)
    return finite.gather(2, target[:, None].expand(-1, logits.shape[1], -1)), finite[:, :, eos_id], normalisers


@pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize("sizes", [{}, {"piece": 64}, {"piece": 64, "many": 1}, {"many": 1}])
def test_pieces_and_powers_are_the_softmax_s(infinite: bool, sizes: dict[str, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(5, 4, 11, generator=generator)
    target = torch.randint(11, (5, 6), generator=generator)
    if infinite:
        logits[0, 0, 2], logits[1, 1, 3], logits[2, 2, 5] = -torch.inf, -torch.inf, torch.inf
    expected, gradient = parts_of(plainly, logits, target)
    for function in (softmax_parts, torch.jit.script(softmax_parts)):
        found, own = parts_of(function, logits, target, **sizes)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(own, gradient, rtol=1e-3, atol=1e-4)
        assert own.isfinite().all()
