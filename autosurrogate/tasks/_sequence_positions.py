"""Which positions of a sequence count: one definition for metrics and for networks, scriptable."""

import torch
from torch import Tensor

IGNORE_INDEX = -100


def reference_positions(target: Tensor, eos_id: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Where the tokens of the references stand, bool (n, S): not -100, and before the first `eos_id` if that is not -1.

    Args:
        target: token, shape (n, S), any integer dtype.
        eos_id: the token that ends a sequence; -1: none.
        ignore_index: -100; a scripted function sees a constant only as the default of an argument.
    """
    tokens = target.long()  # in uint8, -100 is token 156
    real = tokens != ignore_index
    if eos_id >= 0:
        real = real & _before_end(tokens, eos_id)
    return real


def hypothesis_positions(
    logits: Tensor, target: Tensor, preds_mask: Tensor | None, eos_id: int, blank_id: int
) -> tuple[Tensor, Tensor]:
    """Which positions there are, and which of them hold a token of the hypothesis, each bool (n, T).

    There are those of `preds_mask`; without it all, or, where neither id is set and T = S, those that have a target.
    With `blank_id`, a hypothesis is read as CTC's are (Graves et al., ICML 2006): of a run of equal tokens the first
    counts, and no blank. Else it ends before its first `eos_id`, unless there is a mask, which speaks for itself.

    Args:
        logits: shape (n, T, V).
        target: token, shape (n, S), any integer dtype.
        preds_mask: shape (n, T), bool or what becomes it.
        eos_id: the token that ends a sequence; -1: none.
        blank_id: the blank of CTC; -1: none.
    """
    if preds_mask is not None:
        there = preds_mask.to(torch.bool)
    elif eos_id < 0 and blank_id < 0 and logits.size(1) == target.size(1):
        there = reference_positions(target, -1)
    else:
        there = torch.ones(logits.size(0), logits.size(1), dtype=torch.bool, device=logits.device)
    if blank_id >= 0:
        best = logits.argmax(2).masked_fill(~there, -1)
        before = torch.cat([torch.full_like(best[:, :1], -1), best[:, :-1]], 1)
        return there, there & (best != blank_id) & (best != before)
    if eos_id >= 0 and preds_mask is None:
        return there, there & _before_end(logits.argmax(2), eos_id)
    return there, there


def _before_end(tokens: Tensor, eos_id: int) -> Tensor:
    """Which tokens come before the first `eos_id`, bool (n, T)."""
    return (tokens == eos_id).cumsum(1) == 0
