"""Classification of images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.classifier import EXPERIMENTS, ResNet, cifar10
from studies.training._comparison import Rival, by_metrics


def label_smoothing(examples: Examples, smoothing: float = 0.1) -> Tensor:
    """Cross-entropy with smoothed labels (Szegedy et al., CVPR 2016)."""
    return F.cross_entropy(examples.preds, examples.target, label_smoothing=smoothing)


def rank_loss(examples: Examples) -> Tensor:
    """How many classes stand above the target: its soft rank less one (Blondel et al., ICML 2020), by sigmoids."""
    logits = examples.preds
    margins = logits - logits.gather(1, examples.target[:, None])
    others = F.one_hot(examples.target, logits.shape[1]) == 0
    return torch.where(others, margins.sigmoid(), 0.0).sum(1).mean()


RIVALS = {
    "label smoothing": Rival("Szegedy et al., CVPR 2016", label_smoothing, alone=True),
    "rank loss": Rival("Blondel et al., ICML 2020", rank_loss),
}


N_LARGE = 48_000
RESNET56 = replace(  # 200 epochs, as in the paper
    EXPERIMENTS["cifar10"],
    load=partial(cifar10, n_train=N_LARGE, n_test=10_000),
    build=partial(ResNet, 3, n_blocks=9),
    n_steps=200 * N_LARGE // 128,
    checkpoints=(0, 400, 2_000, 10_000, 30_000, 75_000),
)
COMPARISONS = {name: by_metrics(model, ("accuracy",), RIVALS) for name, model in EXPERIMENTS.items()}
PAPER_SCALE = {"cifar10_resnet56": by_metrics(RESNET56, ("accuracy",), RIVALS)}
