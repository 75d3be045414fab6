"""Networks for sequences.

Every network is given, for n examples of which each `set_size` make a point:

    logits    (n, T, V), as models give them: see `bounded`
    there     (n, T), bool: the positions there are
    keep      (n, T), bool: those that hold a token of the hypothesis
    target    (n, S), int64, the tokens of the reference first, 0 where there is no token
    real      (n, S), bool: the tokens of the reference
    eos_id    the token whose probability ends a hypothesis; -1: none, or a mask tells where it ends
    blank_id  the blank of CTC; -1: none

No parameter depends on T, S, V or n.
"""

import torch
from torch import Tensor

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._contracts import Network
from autosurrogate.surrogates._sequence_align import Align
from autosurrogate.surrogates._sequence_attention import TargetAttention
from autosurrogate.surrogates._sequence_ngrams import Match
from autosurrogate.surrogates._sequence_spelling import Spelled
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._sequence_positions import hypothesis_positions, reference_positions

NETWORKS = {"match": Match, "align": Align, "target_attention": TargetAttention}
#: Those of a task that knows how tokens are spelled.
SPELLED = {"spelled": Spelled, **NETWORKS}


class SetLoss(_losses.SetLossWithExtra):
    """The loss of a whole batch as one set.

    Args:
        network: see `NETWORKS`.

    Attributes:
        eos_id: the token that ends a sequence; -1: none.
        blank_id: the blank of CTC; -1: none.
    """

    eos_id: int
    blank_id: int

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.eos_id = -1
        self.blank_id = -1

    def features(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        fits = preds.dim() == 3 and target.dim() == 2 and preds.size(0) == target.size(0)
        fits = fits and (preds_mask is None or preds_mask.shape == preds.shape[:2])
        expect(fits, preds, target, "logits (n, T, V), tokens (n, S), and preds_mask (n, T) or none")
        there, keep = hypothesis_positions(preds, target, preds_mask, self.eos_id, self.blank_id)
        real = reference_positions(target, self.eos_id)
        order = torch.argsort((~real).to(torch.uint8), dim=1, stable=True)  # the tokens first, where -100 is not last
        real = real.gather(1, order)
        tokens = target.long().gather(1, order) * real
        ends = self.eos_id if preds_mask is None else -1
        return self.network.features(preds, there, keep, tokens, real, ends, self.blank_id, set_size)

    def forward(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """Scalar, lower is better.

        Args:
            preds: logits, shape (n, T, V).
            target: token, shape (n, S), any integer dtype; -100 pads.
            preds_mask: bool, shape (n, T), the positions of the hypothesis. Without it a hypothesis ends at its first
                `eos_id`; without `eos_id` and `blank_id`, and where T = S, positions whose target is -100 are left out.
        """
        return self.points(preds, target, preds_mask, preds.size(0))[0]


class SampleLoss(SetLoss):
    """The mean loss of the examples of a batch."""

    def forward(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """Scalar, lower is better: the mean of `per_sample`."""
        return self.per_sample(preds, target, preds_mask).mean()

    @torch.jit.export
    def per_sample(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """The loss of each example, shape (n,)."""
        return self.points(preds, target, preds_mask, 1)
