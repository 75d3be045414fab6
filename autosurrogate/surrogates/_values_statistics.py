"""A network for any metric of values: what metrics of regression are computed from."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _values_features as _features
from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._values_columns import columns


class Statistics(nn.Module):
    """Statistics of predictions and errors, in units of the target's spread, of the target itself, and as they are.

    Each is computed for each column, and the mean over the columns is taken; the group "columns" has the worst, the
    best and the first column, and all values as if they were of one. A single example counts as a set of its values.

    - errors: means, quantiles and extremes of the absolute errors, shares of the values within bounds
    - signed: means and quantiles of the errors with their sign; errors where the target is small to where it is large
    - relative: errors relative to the target, to its sum, to its zero and to its unit
    - order: correlations, ranks, the largest and the smallest values, the distributions of both

    Args:
        groups: which of these, and "columns".
        head: "monotone" or "free", see `build_head`.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("groups",)
    quantiles: Tensor
    signed_quantiles: Tensor

    def __init__(self, groups: list[str], head: str = "monotone", width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        unknown = set(groups) - set(_features.QUALITIES)
        if unknown:
            raise ValueError(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(_features.QUALITIES)}")
        self.groups = list(groups)
        self.bounds = list(_features.BOUNDS)
        self.relative_bounds = list(_features.RELATIVE_BOUNDS)
        self.register_buffer("quantiles", torch.tensor(_features.QUANTILES), persistent=False)
        self.register_buffer("signed_quantiles", torch.tensor(_features.SIGNED_QUANTILES), persistent=False)
        n_qualities = sum(len(_features.QUALITIES[group]) for group in groups)
        n_context = len(self.feature_names()) - n_qualities
        self.layers = build_head(head, n_qualities, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{group}: {name}" for group in self.groups for name in _features.QUALITIES[group]]
        return names + [f"{group}: {name}" for group in [*self.groups, "target"] for name in _features.CONTEXT[group]]

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        if set_size == 1:
            preds, target = preds.unsqueeze(1), target.unsqueeze(1)
        else:
            sizes = [preds.size(0) // set_size, set_size, preds.size(1)]
            preds, target = preds.view(sizes).transpose(1, 2), target.view(sizes).transpose(1, 2)
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        for group in self.groups:
            if group == "errors":
                qualities.append(_features.errors(preds, target, self.quantiles, self.bounds).mean(1))
            elif group == "columns":
                qualities.append(columns(preds, target).mean(1))
            else:
                if group == "signed":
                    of_group = _features.signed(preds, target, self.signed_quantiles)
                elif group == "relative":
                    of_group = _features.relative(preds, target, self.relative_bounds)
                else:
                    of_group = _features.order(preds, target)
                qualities.append(of_group[0].mean(1))
                context.append(of_group[1].mean(1))
        return torch.cat(qualities + context + [_features.of_target(target).mean(1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)
