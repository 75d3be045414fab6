"""What the networks for sequences are given."""

from typing import NamedTuple

from torch import Tensor


class SequenceBatch(NamedTuple):
    """A batch of n hypotheses and references.

    Attributes:
        logits: shape (n, T, V), as models give them: see `bounded`.
        valid: bool (n, T), the positions that are no padding.
        hyp_mask: bool (n, T), the positions that hold a token of the hypothesis.
        target: int64 (n, S), the tokens of the reference first, 0 where there is no token.
        ref_mask: bool (n, S), the tokens of the reference.
        eos_id: the token whose probability ends a hypothesis; -1: none, or a mask says where it ends.
        blank_id: the blank of CTC; -1: none.
    """

    logits: Tensor
    valid: Tensor
    hyp_mask: Tensor
    target: Tensor
    ref_mask: Tensor
    eos_id: int
    blank_id: int


def with_logits(batch: SequenceBatch, logits: Tensor) -> SequenceBatch:
    """The same batch with other logits; TorchScript knows no `_replace`."""
    return SequenceBatch(
        logits, batch.valid, batch.hyp_mask, batch.target, batch.ref_mask, batch.eos_id, batch.blank_id
    )
