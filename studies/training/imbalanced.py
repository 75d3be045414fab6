"""Classification of tables with few positives."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.imbalanced import EXPERIMENTS, split_again
from studies.training._comparison import Rival, by_metrics

METRICS = ("f1", "average_precision", "roc_auc", "mcc")


def focal(examples: Examples, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al., ICCV 2017), without class weights."""
    target = examples.target.float()
    cross_entropy = F.binary_cross_entropy_with_logits(examples.preds, target, reduction="none")
    return ((1 - (-cross_entropy).exp()) ** gamma * cross_entropy).mean()


def class_weights(examples: Examples) -> Tensor:
    """Cross-entropy in which both classes of the batch weigh the same."""
    target = examples.target.float()
    positive_rate = target.mean().clamp(1 / len(target), 1 - 1 / len(target))
    weight = torch.where(target > 0, 0.5 / positive_rate, 0.5 / (1 - positive_rate))
    return F.binary_cross_entropy_with_logits(examples.preds, target, weight)


def sigmoid_f1(examples: Examples, slope: float = 1.0, offset: float = 0.0) -> Tensor:
    """1 - F1 of sigmoid counts (Bénédict et al., TMLR 2022)."""
    return _one_minus_f1((slope * (examples.preds + offset)).sigmoid(), examples.target)


def any_loss(examples: Examples, amplifier: float = 73.0) -> Tensor:
    """1 - F1 of probabilities amplified about 0.5 (AnyLoss: Han et al., KDD 2024)."""
    amplified = (amplifier * (examples.preds.sigmoid() - 0.5)).sigmoid()
    return _one_minus_f1(amplified, examples.target)


def _one_minus_f1(called: Tensor, target: Tensor) -> Tensor:
    hits = (called * target).sum()
    return 1 - 2 * hits / (called.sum() + target.sum()).clamp_min(1e-6)


def auc_margin(examples: Examples, margin: float = 1.0) -> Tensor:
    """AUC margin loss (Yuan et al., ICCV 2021), its inner minimum and maximum of a batch in closed form."""
    probability, positive = examples.preds.sigmoid(), examples.target > 0
    if positive.all() or not positive.any():
        return 0 * probability.sum()
    high, low = probability[positive], probability[~positive]
    apart = (margin - high.mean() + low.mean()).clamp_min(0)
    return high.var(unbiased=False) + low.var(unbiased=False) + apart.square()


def average_precision_hinge(examples: Examples, margin: float = 1.0) -> Tensor:
    """1 - average precision with squared hinges for ranks, of a batch (SOAP: Qi et al., NeurIPS 2021)."""
    scores, positive = examples.preds.sigmoid(), examples.target > 0
    if not positive.any():
        return 0 * scores.sum()
    above = (margin - scores[positive][:, None] + scores[None]).clamp_min(0).square()
    return 1 - ((above * positive).sum(1) / above.sum(1).clamp_min(1e-6)).mean()


RIVALS = {
    "focal": Rival("Lin et al., ICCV 2017", focal, alone=True),
    "class weights": Rival("cross-entropy, both classes alike", class_weights, alone=True),
    "sigmoidF1": Rival("Bénédict et al., TMLR 2022", sigmoid_f1, rows=("f1", "mcc")),
    "AnyLoss": Rival("Han et al., KDD 2024", any_loss, rows=("f1", "mcc")),
    "AUC margin": Rival("Yuan et al., ICCV 2021 (LibAUC)", auc_margin, rows=("roc_auc",)),
    "AP hinge": Rival("Qi et al., NeurIPS 2021 (LibAUC)", average_precision_hinge, rows=("average_precision",)),
}


FIRST_TUNING_SEED = 1000
#: Splits that weights and learning rates are tuned on: more where a validation part has a few dozen rows of the rarer
#: class, or fewer, and chance would choose.
N_TUNING_SPLITS = {"oil_spill": 10, "phoneme": 3, "haberman": 10, "breast_cancer": 10}
N_STEPS = {"oil_spill": 300, "phoneme": 1600, "haberman": 100, "breast_cancer": 60}  # until cross-entropy overfits
COMPARISONS = {
    name: by_metrics(
        replace(EXPERIMENTS[name], batch_size=128, n_steps=n_steps),
        METRICS,
        RIVALS,
        tuning_seeds=tuple(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + N_TUNING_SPLITS[name])),
        weights=(0.3, 1.0, 3.0, 10.0, 30.0),
        split=split_again,
    )
    for name, n_steps in N_STEPS.items()
}
