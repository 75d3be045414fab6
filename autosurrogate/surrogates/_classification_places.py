"""How many classes stand before the target: what top-k accuracies and reciprocal ranks are computed from."""

import torch
from torch import Tensor

from autosurrogate.surrogates._classification_rows import TargetRows

PLACES = ("1 / place", "-log place", "among 2", "among 3", "among 5", "among 10")


def places(relative: Tensor, target: Tensor, rows: TargetRows, temperature: float) -> Tensor:
    """`PLACES` of sets, shape (n_points, 6).

    Args:
        relative: logits relative to the mean margin of the point, shape (n, C).
        target: shape (n,).
        rows: of the targets.
        temperature: at which one class is before another.
    """
    ahead = relative - relative.gather(1, target.unsqueeze(1))
    n_before = (torch.sigmoid(ahead / temperature).sum(1) - 0.5).clamp_min(0)  # the target is half before itself
    of_examples = [1 / (1 + n_before), -torch.log1p(n_before) / 3]
    of_examples += [torch.sigmoid(4 * (k - 0.5 - n_before)) for k in (2.0, 3.0, 5.0, 10.0)]
    values = torch.stack(of_examples, 1).view(rows.weight.size(0), -1, 6)
    return (values * rows.weight.unsqueeze(2)).sum(1) / rows.n.unsqueeze(1)
