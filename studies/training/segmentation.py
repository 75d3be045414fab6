"""Segmentation of blood cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.segmenter import EXPERIMENTS
from studies.training._comparison import Rival, by_metrics

METRICS = ("miou", "dice", "boundary_f1")


def soft_dice(examples: Examples) -> Tensor:
    """1 - the mean over classes of Dice of probabilities, of all pixels of the batch (Milletari et al., 3DV 2016)."""
    probability = examples.preds.softmax(1)
    wanted = F.one_hot(examples.target, probability.shape[1]).permute(0, 3, 1, 2)
    overlap, total = (probability * wanted).sum((0, 2, 3)), (probability + wanted).sum((0, 2, 3))
    present = wanted.sum((0, 2, 3)) > 0
    return (1 - 2 * overlap / total.clamp_min(1e-6))[present].mean()


def lovasz_softmax(examples: Examples) -> Tensor:
    """Lovász-softmax, of all pixels of the batch, over the classes that are present (Berman et al., CVPR 2018)."""
    probability = examples.preds.softmax(1).transpose(0, 1).flatten(1)
    losses = []
    for own, wanted in zip(probability, _one_hot(examples.target, len(probability)), strict=True):
        if wanted.any():
            errors, order = (wanted.float() - own).abs().sort(descending=True)
            sorted_wanted = wanted[order].float()
            union = wanted.sum() + (1 - sorted_wanted).cumsum(0)
            jaccard = 1 - (wanted.sum() - sorted_wanted.cumsum(0)) / union
            losses.append((errors * jaccard.diff(prepend=jaccard.new_zeros(1))).sum())
    return torch.stack(losses).mean()


def _one_hot(target: Tensor, n_classes: int) -> Tensor:
    """Shape (n_classes, pixels), bool."""
    return target.flatten() == torch.arange(n_classes, device=target.device)[:, None]


RIVALS = {
    "Lovász-softmax": Rival("Berman et al., CVPR 2018", lovasz_softmax),
    "soft Dice": Rival("Milletari et al., 3DV 2016", soft_dice),
}


COMPARISONS = {"segmentation": by_metrics(EXPERIMENTS["segmenter"], METRICS, RIVALS)}
