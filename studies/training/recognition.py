"""Recognition of words in photographs, with CTC and with positions that attend."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.recogniser import EXPERIMENTS, LAST
from studies.training._comparison import Comparison, Rival, by_metrics

METRICS = ("exact_match", "normalized_edit_distance", "edit_distance")


def soft_edit_distance(examples: Examples) -> Tensor:
    """Expected-cost edit distance by dynamic programming, by the reference's length (after LS-ED, ECCV 2020).

    A frame costs what it deletes or substitutes by the probabilities of its tokens; where frames have a blank, they
    are deleted at the cost of the probability that they are not blank.
    """
    probability, target = examples.preds.float().softmax(-1), examples.target
    valid = target >= 0
    n_tokens = valid.sum(1)
    right = probability.gather(2, target.clamp_min(0)[:, None].expand(-1, probability.shape[1], -1))
    kept = 1 - probability[:, :, LAST] if "blank_id" in examples.extras else torch.ones_like(probability[:, :, 0])
    costs = [torch.arange(target.shape[1] + 1, dtype=torch.float32, device=target.device).expand(len(target), -1)]
    for frame in range(probability.shape[1]):
        before = costs[-1]
        best = torch.minimum(before[:, 1:] + kept[:, frame, None], before[:, :-1] + 1 - right[:, frame])
        row = [before[:, :1] + kept[:, frame, None]]
        for token in range(target.shape[1]):
            row.append(torch.minimum(best[:, token : token + 1], row[-1] + 1))
        costs.append(torch.cat(row, 1))
    return (costs[-1].gather(1, n_tokens[:, None])[:, 0] / n_tokens.clamp_min(1)).mean()


RIVALS = {"soft edit distance": Rival("after LS-ED: Patel et al., ECCV 2020", soft_edit_distance)}


def fine_tuned(head: str) -> Comparison:
    """A recogniser that the regular loss has trained on rendered words, and that is trained on photographs then."""
    model = EXPERIMENTS[f"recogniser_{head}"]
    pretraining = replace(model, load=partial(model.load, trained=("rendered",)), n_steps=3600)
    photographs = replace(model, load=partial(model.load, trained=("photographed",)), n_steps=400, learning_rate=2e-3)
    weights = (0.03, 0.1, 0.3, 1.0)  # larger ones cost accuracy, whatever the loss
    return by_metrics(photographs, METRICS, RIVALS, pretraining=pretraining, tuning_share=0.5, weights=weights)


COMPARISONS = {f"recognition_{head}": fine_tuned(head) for head in ("ctc", "positions")}
