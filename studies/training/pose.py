"""Poses of rendered figures."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.pose import EXPERIMENTS
from studies.training._comparison import Rival, by_metrics

METRICS = ("pck", "oks_ap")
SHARPNESS = 10.0  # of the softmax over a map whose peaks are about 1
SIGMAS = (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89)  # COCO's, in thousandths


def _distances(examples: Examples) -> Tensor:
    """How far the soft maximum of each map is from its target's, squared, in cells, shape (n, n_keypoints)."""
    predicted = _centres((SHARPNESS * examples.preds).flatten(2).softmax(2).view_as(examples.preds))
    wanted = examples.target.float()
    wanted = _centres(wanted / wanted.sum((2, 3), keepdim=True).clamp_min(1e-6))
    return (predicted - wanted).square().sum(-1)


def _centres(weights: Tensor) -> Tensor:
    """The mean place (x, y), in cells, of maps that sum to 1, shape (n, n_keypoints, 2)."""
    y, x = (torch.arange(weights.shape[axis], dtype=weights.dtype, device=weights.device) for axis in (2, 3))
    return torch.stack([(weights.sum(2) * x).sum(-1), (weights.sum(3) * y).sum(-1)], -1)


def integral_regression(examples: Examples) -> Tensor:
    """Mean distance of the maps' soft maxima, in cells (Sun et al., ECCV 2018)."""
    weight = examples.extras["weight"]
    return ((_distances(examples) + 1e-6).sqrt() * weight).sum() / weight.sum().clamp_min(1)


def oks_loss(examples: Examples) -> Tensor:
    """1 - the mean object keypoint similarity of the maps' soft maxima (Maji et al., CVPRW 2022)."""
    weight = examples.extras["weight"]
    scale = 2 * examples.extras["area"][:, None] * (2 * torch.tensor(SIGMAS, device=weight.device) / 1000).square()
    similarity = (-_distances(examples) / scale).exp()
    return 1 - ((similarity * weight).sum(1) / weight.sum(1).clamp_min(1)).mean()


RIVALS = {
    "integral regression": Rival("Sun et al., ECCV 2018", integral_regression),
    "OKS loss": Rival("Maji et al., CVPRW 2022", oks_loss),
}


# After 500 steps the regular loss alone is far from done, and how far depends on the seed.
COMPARISONS = {"pose": by_metrics(replace(EXPERIMENTS["pose"], n_steps=1000), METRICS, RIVALS, tuning_share=0.5)}
