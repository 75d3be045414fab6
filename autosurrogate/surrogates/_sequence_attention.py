"""The paper's network for sequences."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._layers import Linear, SelfAttention, bounded
from autosurrogate.surrogates._sequence_batch import SequenceBatch


class TargetAttention(nn.Module):
    """The paper's network for translation: self-attention over the probabilities of the target's tokens.

    Token t of the hypothesis is compared with token t of the reference, as cross-entropy does.

    Args:
        width: size of the description of a token.
        n_layers: layers of self-attention.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 32, n_layers: int = 1) -> None:
        super().__init__()
        self.embed = Linear(1, width)
        self.layers = nn.ModuleList([SelfAttention(width) for _ in range(n_layers)])
        self.head = Linear(width, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`: none, as their number is that of the positions."""
        return []

    def features(self, batch: SequenceBatch, set_size: int) -> Tensor:
        """Shape (n, 2T): by position, the probability of its target and whether there is one."""
        logits, n_positions = bounded(batch.logits), batch.logits.size(1)
        place = (batch.hyp_mask.cumsum(1) - 1).clamp_min(0)  # of a position among those of the hypothesis
        target = F.pad(batch.target, (0, n_positions)).gather(1, place)
        paired = (batch.hyp_mask & F.pad(batch.ref_mask, (0, n_positions)).gather(1, place)).to(logits.dtype)
        probability = logits.softmax(2).gather(2, target.unsqueeze(2)).squeeze(2)
        return torch.stack([probability * paired, paired], 2).flatten(1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n // n_rows,)."""
        tokens = features.view(features.size(0), -1, 2)
        paired = tokens[:, :, 1:]
        hidden = self.embed(tokens[:, :, :1])
        for layer in self.layers:
            hidden = layer(hidden, paired)
        mean = (hidden * paired).sum(1) / paired.sum(1).clamp_min(1)
        return self.head(mean).view(-1, n_rows).mean(1)
