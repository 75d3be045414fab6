"""Which positions of a sequence count: one scriptable definition for metrics and for networks."""

import torch
from torch import Tensor

IGNORE_INDEX = -100


def reference_positions(target: Tensor, eos_id: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Positions of the references' tokens, bool (n, S): not -100, and before the first `eos_id` if that is not -1.

    Args:
        target: token, shape (n, S), any integer dtype.
        eos_id: the token that ends a sequence; -1: none.
        ignore_index: -100; a scripted function sees a constant only as the default of an argument.
    """
    tokens = target.long()  # in uint8, -100 is token 156
    valid = tokens != ignore_index
    if eos_id >= 0:
        valid = valid & _before_end(tokens, eos_id)
    return valid


def hypothesis_positions(
    logits: Tensor, target: Tensor, preds_mask: Tensor | None, eos_id: int, blank_id: int
) -> tuple[Tensor, Tensor]:
    """Which positions are valid, and which of them hold a token of the hypothesis, each bool (n, T).

    Valid are those of `preds_mask`; without it all, or, if neither id is set and T = S, those that have a target.
    With `blank_id`, a hypothesis is decoded as in CTC (Graves et al., ICML 2006): the first of each run of equal tokens
    counts, and no blank. Else it ends before its first `eos_id`, unless there is a mask, which decides alone.

    Args:
        logits: shape (n, T, V).
        target: token, shape (n, S), any integer dtype.
        preds_mask: shape (n, T), bool or convertible to it.
        eos_id: the token that ends a sequence; -1: none.
        blank_id: the blank of CTC; -1: none.
    """
    if preds_mask is not None:
        valid = preds_mask.to(torch.bool)
    elif eos_id < 0 and blank_id < 0 and logits.size(1) == target.size(1):
        valid = reference_positions(target, -1)
    else:
        valid = torch.ones(logits.size(0), logits.size(1), dtype=torch.bool, device=logits.device)
    if blank_id >= 0:
        best = logits.argmax(2).masked_fill(~valid, -1)
        before = torch.cat([torch.full_like(best[:, :1], -1), best[:, :-1]], 1)
        return valid, valid & (best != blank_id) & (best != before)
    if eos_id >= 0 and preds_mask is None:
        return valid, valid & _before_end(logits.argmax(2), eos_id)
    return valid, valid


def _before_end(tokens: Tensor, eos_id: int) -> Tensor:
    """Which tokens come before the first `eos_id`, bool (n, T)."""
    return (tokens == eos_id).cumsum(1) == 0
