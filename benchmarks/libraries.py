"""Fit a loss to many metrics of torchmetrics and of scikit-learn, and report how each fit ended.

    python -m benchmarks.libraries                     # all, a minute each
    python -m benchmarks.libraries --library sklearn --budget 30s
    python -m benchmarks.libraries --show

Each is `autosurrogate fit --metric SPEC --budget 60s` in a process of its own. Rows are appended to `--results`;
metrics that have a row are not fitted again. `python -m benchmarks` writes the table to docs/measurements/results.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.fits import GOOD, counted, fitted, line
from studies import rows

RESULTS = Path(__file__).parent / "results" / "libraries.jsonl"
UP = "higher_is_better=true"
DOWN = "higher_is_better=false"
SPECS = {
    # Of torchmetrics, classes with `is_differentiable = False`: every kind of each domain, each for the number of
    # classes that it is mostly used with.
    "torchmetrics": (
        "BinaryAccuracy", "MulticlassAccuracy", "MultilabelAccuracy", "BinaryAUROC", "MulticlassAUROC",
        "MultilabelAUROC", "BinaryAveragePrecision", "MulticlassAveragePrecision", "BinaryCalibrationError",
        "MulticlassCalibrationError", "BinaryCohenKappa", "MulticlassCohenKappa",
        "MulticlassCohenKappa?weights=quadratic", f"BinaryEER?{DOWN}", "MultilabelExactMatch", "BinaryF1Score",
        "MulticlassF1Score", "MultilabelF1Score", "BinaryFBetaScore?beta=2", "MulticlassHammingDistance",
        "MulticlassJaccardIndex", "MultilabelJaccardIndex", "BinaryLogAUC", "BinaryMatthewsCorrCoef",
        "MulticlassMatthewsCorrCoef", f"BinaryNegativePredictiveValue?{UP}", "BinaryPrecision", "MulticlassPrecision",
        "BinaryRecall", f"BinarySpecificity?{UP}", "MulticlassConfusionMatrix?higher_is_better=true",
        "MultilabelCoverageError", "MultilabelRankingAveragePrecision", "MultilabelRankingLoss",
        "BinaryFairness?num_groups=2", "SpearmanCorrCoef", f"KendallRankCorrCoef?{UP}",
        "CriticalSuccessIndex?threshold=0",
        "BLEUScore", "CharErrorRate", "CHRFScore", "EditDistance", "MatchErrorRate",
        "ROUGEScore?rouge_keys=rougeL&key=rougeL_fmeasure", "SacreBLEUScore", "SQuAD", "TranslationEditRate",
        "WordErrorRate", "WordInfoPreserved", "PanopticQuality", "DiceScore", "GeneralizedDiceScore", "MeanIoU",
        "RetrievalMAP", "RetrievalMRR", "RetrievalNormalizedDCG", "RetrievalPrecision?top_k=10", "RetrievalRPrecision",
        "RetrievalHitRate?top_k=5", "RetrievalFallOut?top_k=10", "CramersV", "TheilsU", "ProcrustesDisparity",
    ),
    "sklearn": (
        "accuracy", "balanced_accuracy", "average_precision", "f1", "f1_macro", "f1_samples", "jaccard_weighted",
        "matthews_corrcoef", "precision_macro", "roc_auc", "roc_auc_ovr", "top_k_accuracy", "adjusted_rand_score",
        "explained_variance", "r2", "neg_mean_absolute_error", "neg_median_absolute_error", "neg_max_error",
        "neg_mean_squared_log_error",
    ),
}  # fmt: skip
HEAD = """
## Metrics of libraries

`python -m benchmarks.libraries`: {budget} a fit with the defaults, one seed; rank correlations (Spearman, per cent) on
held-out generated points, of the loss and of the regular loss. Of torchmetrics, classes that say of themselves that
they are not differentiable, of every domain. Rows of the task scores are of its former search space.

| metric | task | loss | regular loss | or why there is none |
| --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Fit what has not been fitted yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.libraries", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--library", choices=SPECS, help="one of them (both)")
    parser.add_argument("--budget", default="60s", help="of a fit (60s)")
    parser.add_argument("--show", action="store_true", help="print the table of what is measured and fit nothing")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.show:
        print(section(list(rows.read(options.results))))
        return
    done = {(row["spec"], row["budget"]) for row in rows.read(options.results)}
    for library, names in SPECS.items():
        for name in names if options.library in (None, library) else ():
            spec = f"{library}:{name}"
            if (spec, options.budget) not in done:
                row = {"spec": spec, **fitted(spec, options.budget)}
                rows.append(options.results, row)
                print(_line(row), flush=True)


def section(measured: Sequence[Mapping[str, Any]]) -> str:
    """The table of docs/measurements/results.md; empty where nothing is measured."""
    if not measured:
        return ""
    text = HEAD.format(budget=" or ".join(sorted({row["budget"] for row in measured})))
    text += "\n".join(map(_line, measured)) + "\n\n"
    for library in SPECS:
        mine = [row for row in measured if row["spec"].startswith(f"{library}:")]
        good, refused = counted(mine)
        text += f"Of {len(mine)} of {library}: {good} fitted at {100 * GOOD:.0f} or more, {refused} refused.\n"
    return text


def _line(row: Mapping[str, Any]) -> str:
    spec = row["spec"].replace("|", "\\|")
    return line((f"`{spec}`", row.get("task", "")), row)


if __name__ == "__main__":
    main()
