"""Non-autoregressive translation, fine-tuned from one model that was pretrained with cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment, mean_regular_loss
from studies.models.translator import EXPERIMENTS, PAD, Translator, translations
from studies.training._comparison import Comparison, Measure, Rival, Row


def measure(model: nn.Module, data: Data, folder: Path) -> dict[str, float]:
    """Corpus BLEU and chrF of detokenised translations, both in [0, 100], as sacrebleu computes them."""
    return corpus_scores(*translations(model, data, folder))


def corpus_scores(hypotheses: list[str], references: list[str]) -> dict[str, float]:
    """Corpus BLEU and chrF of translations, a reference each, in [0, 100]."""
    return {name: scorer.corpus_score(hypotheses, [references]).score for name, scorer in _scorers().items()}


@cache
def _scorers() -> dict[str, Any]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    return {"bleu": BLEU(), "chrf": CHRF()}


def expected_matches(preds: Tensor, target: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Expected n-grams of independent positions.

    Args:
        preds: logits, shape (batch, T, vocabulary).
        target: shape (batch, T), -100 pads; the hypothesis is as long as the reference.
        n: the order.

    Returns:
        For each n-gram of the reference: the expected number of times that it is in the hypothesis, shape
        (batch, T - n + 1); in the reference; and one over that number, 0 for padding.
    """
    valid = target != PAD
    probability = preds.float().softmax(-1)
    tokens = target.clamp_min(0)[:, None, :].expand(-1, preds.shape[1], -1)
    of_token = probability.gather(2, tokens) * valid[:, :, None] * valid[:, None, :]
    same_token = (target[:, :, None] == target[:, None, :]) & valid[:, :, None] & valid[:, None, :]
    size = preds.shape[1] - n + 1
    if size < 1:
        nothing = preds.new_zeros(len(preds), 1)
        return nothing, nothing, nothing
    expected, same = torch.ones_like(of_token[:, :size, :size]), torch.ones_like(same_token[:, :size, :size])
    for k in range(n):
        expected = expected * of_token[:, k : k + size, k : k + size]
        same = same & same_token[:, k : k + size, k : k + size]
    of_reference = same.sum(1).float()
    return expected.sum(1), of_reference, (of_reference > 0) / of_reference.clamp_min(1)


def bag_of_ngrams(examples: Examples, n: int = 2) -> Tensor:
    """L1 distance between the expected bag of n-grams and the reference's, in [0, 1] (Shao et al., AAAI 2020)."""
    expected, wanted, weight = expected_matches(examples.preds, examples.target, n)
    matched = (torch.minimum(expected, wanted) * weight).sum(1)
    total = ((examples.target != PAD).sum(1) - n + 1).clamp_min(1)
    return (1 - matched / total).mean()


def with_bag_of_ngrams(examples: Examples) -> Tensor:
    """Cross-entropy and the bag-of-n-grams loss, its weight the best for BLEU on the validation split."""
    return mean_regular_loss("sequence")(examples) + 30 * bag_of_ngrams(examples)


def expected_bleu(examples: Examples, largest: int = 4) -> Tensor:
    """1 - BLEU of expected clipped counts, smoothed by one (after Zhukov and Kretov, arXiv 1712.04708)."""
    logs = []
    for n in range(1, largest + 1):
        expected, wanted, weight = expected_matches(examples.preds, examples.target, n)
        matched = (torch.minimum(expected, wanted) * weight).sum(1)
        total = ((examples.target != PAD).sum(1) - n + 1).clamp_min(0)
        smoothing = 0.0 if n == 1 else 1.0
        logs.append(((matched + smoothing).clamp_min(1e-6) / (total + smoothing).clamp_min(1)).log())
    return (1 - torch.stack(logs).mean(0).exp()).mean()


RIVALS = {
    "bag of n-grams": Rival("Shao et al., AAAI 2020", bag_of_ngrams),
    "expected BLEU": Rival("after Zhukov and Kretov, arXiv 1712.04708", expected_bleu),
}


def fine_tuned(
    pretraining: Experiment, *, rivals: Mapping[str, Rival], of: Measure, names: tuple[str, ...], **settings: Any
) -> Comparison:
    """A comparison of fine-tunings for BLEU.

    Args:
        pretraining: where they start.
        rivals: losses made by hand.
        of: the metrics of a model.
        names: of the metrics; the losses of all of them are fitted to BLEU.
        settings: of the model that differ from the pretraining's.
    """
    return Comparison(
        model=replace(pretraining, **settings),
        rows={name: Row("bleu") for name in names},
        measure=of,
        rivals=rivals,
        pretraining=pretraining,
        recorded_alone=True,
        tuning_share=0.4,
        weights=(1.0, 3.0, 10.0, 30.0),
    )


_comparison = partial(fine_tuned, rivals=RIVALS, of=measure, names=("bleu", "chrf"))
PAIRS = ("de_en", "en_de")
COMPARISONS = {
    f"translation_{pair}": _comparison(EXPERIMENTS[f"translator_{pair}"], n_steps=1100, learning_rate=1.2e-3)
    for pair in PAIRS
}
STUDIED = {
    f"{name}_bag_of_ngrams": replace(
        comparison,
        model=replace(comparison.model, regular_loss=with_bag_of_ngrams),
        rows={"bleu": comparison.rows["bleu"]},
        rivals={},
    )
    for name, comparison in COMPARISONS.items()
}
BASE = partial(Translator, width=512, n_layers=6)
PAPER_SCALE = {
    f"translation_{pair}_base": _comparison(
        replace(
            EXPERIMENTS[f"translator_{pair}"],
            build=BASE,
            n_steps=30_000,
            learning_rate=5e-4,
            batch_size=256,
            checkpoints=(1_000, 3_000, 10_000, 30_000),
        ),
        n_steps=3000,
        learning_rate=1e-4,
    )
    for pair in PAIRS
}
