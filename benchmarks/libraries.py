"""Fit a loss to many metrics of torchmetrics and of scikit-learn, and report how each fit ended.

    python -m benchmarks.libraries                     # all, a minute each
    python -m benchmarks.libraries --library sklearn --budget 30s
    python -m benchmarks.libraries --show

Each is `autosurrogate fit --metric SPEC --budget 60s` in a process of its own. Rows are appended to `--results`;
metrics that have a row are not fitted again. `python -m benchmarks` writes the table to docs/measurements/results.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from autosurrogate._utils.durations import seconds
from autosurrogate.export import reader
from studies import rows

RESULTS = Path(__file__).parent / "results" / "libraries.jsonl"
HANGS_S = 180.0  # beyond its budget, after which a fit is ended
GOOD = 0.9  # rank correlation on held-out generated points
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
                row = fitted(spec, options.budget)
                rows.append(options.results, row)
                print(_line(row), flush=True)


def fitted(spec: str, budget: str) -> dict[str, Any]:
    """How a fit ended: with a loss and its rank correlations, or with a reason."""
    began, limit_s = time.monotonic(), seconds(budget) + HANGS_S
    row = {
        "spec": spec,
        "budget": budget,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} CPU cores, Python {platform.python_version()}, torch {torch.__version__}",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "autosurrogate",
            "fit",
            "--metric",
            spec,
            "--budget",
            budget,
            "--out",
            "loss.pt",
        ]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s)
        except subprocess.TimeoutExpired:
            return {**row, "code": None, "reason": f"not done after {limit_s:.0f} s"}
        row |= {"code": done.returncode, "seconds": round(time.monotonic() - began, 1)}
        if done.returncode != 0:
            return {**row, "reason": reason(done.stderr)}
        _, metadata = reader.load(Path(folder) / "loss.pt")
    held_out = metadata.quality.held_out_generated
    return {
        **row,
        "task": metadata.task,
        "loss": held_out.loss.spearman,
        "regular": held_out.regular_loss.spearman,
    }


def reason(printed: str) -> str:
    """Why there is no loss: the last line of what was printed, without the folders of this machine's packages."""
    last = (printed.strip().splitlines() or [""])[-1].removeprefix("autosurrogate: ")
    return re.sub(r"[^\s(]*/site-packages/", "", last)


def section(measured: Sequence[Mapping[str, Any]]) -> str:
    """The table of docs/measurements/results.md; empty where nothing is measured."""
    if not measured:
        return ""
    text = HEAD.format(budget=" or ".join(sorted({row["budget"] for row in measured})))
    text += "\n".join(map(_line, measured)) + "\n\n"
    for library in SPECS:
        mine = [row for row in measured if row["spec"].startswith(f"{library}:")]
        good = sum(row.get("loss", 0) >= GOOD for row in mine)
        refused = sum("reason" in row for row in mine)
        text += f"Of {len(mine)} of {library}: {good} fitted at {100 * GOOD:.0f} or more, {refused} refused.\n"
    return text


def _line(row: Mapping[str, Any]) -> str:
    spec = row["spec"].replace("|", "\\|")
    if "reason" in row:
        return f"| `{spec}` | | | | {row['reason'].replace('|', '/')} |"
    return f"| `{spec}` | {row['task']} | {100 * row['loss']:.1f} | {100 * row['regular']:.1f} | |"


if __name__ == "__main__":
    main()
