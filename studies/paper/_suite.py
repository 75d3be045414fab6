"""All studies that are trainings with losses fitted or used in another way."""

from __future__ import annotations

from typing import Any

from autosurrogate.ready_losses import N_TRIALS
from studies.paper._study import Study
from studies.training._comparison import FITS, Fit
from studies.training._guards import GUARDS

TABLES = dict.fromkeys(("oil_spill", "phoneme", "haberman"), "f1")  # seconds a training, so that many seeds can be had
FITTED = {"fitted": FITS["fitted"]}
N_OTHER_SEEDS = 3


def other(*arguments: str, **more: Any) -> Fit:
    """A loss that differs from the fitted one, which comes ready, in these arguments alone: as many trials, and forced.

    Args:
        arguments: of the command line.
        more: other fields of `Fit`.
    """
    return Fit(("--trials", str(N_TRIALS), "--force", *arguments), **more)


STUDIES = {
    "table_6": Study(
        "Does the loss help beside a stronger one, cross-entropy and the bag of n-grams?",
        {"translation_de_en_bag_of_ngrams": "bleu"},
        FITTED,
        scale="studies",
        n_seeds=5,
    ),
    "table_8": Study(
        "Is a loss that ranks as the metric does better than one that approximates its values?",
        TABLES,
        {**FITTED, "approximation": other("--objective", "approximation")},
    ),
    "table_9": Study(
        "Is one loss, fitted to generated predictions, as good as one for each data set, fitted to its outputs, too?",
        TABLES,
        {**FITTED, "of its own": other(recorded=True)},
    ),
    "table_10": Study(
        "Can the loss take the place of the regular loss?",
        TABLES,
        {**FITTED, "alone": Fit(like="fitted", alone=True)},
        paper="alone it is worse than beside cross-entropy on three sets of images, and than cross-entropy on two",
    ),
    "table_11": Study(
        "Is a loss better that is fitted again on the model's outputs, three times during training?",
        TABLES,
        {**FITTED, "refitted": Fit(like="fitted", refitted=True)},
        n_seeds=10,
    ),
    "table_12": Study(
        "Does the gradient penalty help?",
        TABLES,
        {**FITTED, "no penalty": other(settings={"penalty": "0.0"})},
        paper="without it a loss of a rank correlation of 98.31 % is worse to train with than cross-entropy",
    ),
    "table_13": Study(
        "How much do independent fits differ?",
        TABLES,
        {**FITTED, **{f"seed {n}": other("--seed", str(n)) for n in range(1, N_OTHER_SEEDS + 1)}},
    ),
    "table_14": Study(
        "How does the loss compare with one of soft ranks, made by hand (Blondel et al., ICML 2020)?",
        {"fashion_mnist": "accuracy", "cifar10": "accuracy"},
        FITTED,
        rivals=("rank loss",),
        n_seeds=5,
    ),
    "guards": Study(
        "Does the loss need less tuning if it is balanced with the regular loss, begins late, or fades?",
        TABLES,
        {**FITTED, **{guard: Fit(like="fitted", guard=guard) for guard in GUARDS}},
    ),
    "figure_3": Study(
        "Is a larger network a better loss?",
        TABLES,
        {**FITTED, **{f"width {n}": other(settings={"width": str(n)}) for n in (4, 16, 64, 256)}},
    ),
}
