"""Edits of the best alignment: the material of error rates and of counts of sequences with few errors."""

import torch
from torch import Tensor

from autosurrogate.surrogates._sequence_align import sums_along
from autosurrogate.surrogates._sequence_own import OwnMatches

EDITS = (
    *("similarity", "-edits by reference", "-log edits", "no edit", "at most 1 edit", "at most 2 edits"),
    *("at most 3 edits", "common f", "common recall", "common precision", "-all edits by all references"),
)


def edits(matches: OwnMatches, set_size: int) -> Tensor:
    """`EDITS`, shape (n, k, 11); the last is the same for all examples of a point.

    Args:
        matches: of the batch.
        set_size: examples of each point.
    """
    written, reference = matches.written, matches.tokens.sum(1, keepdim=True)
    saved = (matches.mass.unsqueeze(3) + matches.match) * matches.tokens.unsqueeze(1).unsqueeze(1)
    most = sums_along(saved, matches.match)
    n_edits, common = (written + reference - most[0]).clamp_min(0), most[1]
    at_least_one = reference.clamp_min(1)
    of_all = n_edits.view(-1, set_size, written.size(1)).sum(1, keepdim=True)
    of_all = of_all / at_least_one.view(-1, set_size, 1).sum(1, keepdim=True)
    values = [
        1 - n_edits / torch.maximum(written, reference).clamp_min(1),
        -(n_edits / at_least_one).clamp(max=4.0),
        -torch.log1p(n_edits) / 2,
        torch.exp(-n_edits),
        torch.sigmoid(4 * (1.5 - n_edits)),
        torch.sigmoid(4 * (2.5 - n_edits)),
        torch.sigmoid(4 * (3.5 - n_edits)),
        2 * common / (written + reference).clamp_min(1),
        common / at_least_one,
        common / written.clamp_min(1),
        -of_all.clamp(max=4.0).expand(-1, set_size, -1).reshape(written.shape),
    ]
    return torch.stack(values, 2)
