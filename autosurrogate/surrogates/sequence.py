"""Networks for sequences; each is given a `SequenceBatch`. No parameter depends on T, S, V or n."""

import torch
from torch import Tensor

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._contracts import Network
from autosurrogate.surrogates._sequence_align import Align
from autosurrogate.surrogates._sequence_attention import TargetAttention
from autosurrogate.surrogates._sequence_batch import SequenceBatch
from autosurrogate.surrogates._sequence_general import General
from autosurrogate.surrogates._sequence_ngrams import Match
from autosurrogate.surrogates._sequence_spelling import Spelled
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._sequence_positions import hypothesis_positions, reference_positions

NETWORKS = {"match": Match, "align": Align, "general": General, "target_attention": TargetAttention}
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
        """The network's features of examples, `set_size` for each point."""
        fits = preds.dim() == 3 and target.dim() == 2 and preds.size(0) == target.size(0)
        fits = fits and (preds_mask is None or preds_mask.shape == preds.shape[:2])
        expect(fits, preds, target, "logits (n, T, V), tokens (n, S), and preds_mask (n, T) or none")
        valid, hyp_mask = hypothesis_positions(preds, target, preds_mask, self.eos_id, self.blank_id)
        ref_mask = reference_positions(target, self.eos_id)
        # The tokens first, also where -100 does not come last.
        order = torch.argsort((~ref_mask).to(torch.uint8), dim=1, stable=True)
        ref_mask = ref_mask.gather(1, order)
        tokens = target.long().gather(1, order) * ref_mask
        eos_id = self.eos_id if preds_mask is None else -1
        batch = SequenceBatch(preds, valid, hyp_mask, tokens, ref_mask, eos_id, self.blank_id)
        return self.network.features(batch, set_size)

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
