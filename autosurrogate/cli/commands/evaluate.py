"""`autosurrogate evaluate`: computes the rank correlations of a loss on recorded outputs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from autosurrogate.cli.printing import agreement_table, console, strata_table
from autosurrogate.export import ready
from autosurrogate.pipeline.evaluating import N_SHUFFLES, evaluate


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    evaluation = evaluate(
        ready.resolve(options.loss),
        options.outputs,
        metric=options.metric,
        tokenizer=options.tokenizer,
        set_size=options.set_size,
        seed=options.seed,
    )
    if options.json:
        print(json.dumps(evaluation.as_dict(), indent=2))
        return 0
    out = console()
    out.print(agreement_table({"": {Path(options.loss).name: evaluation.loss, "regular loss": evaluation.regular}}))
    if evaluation.strata:
        out.print()
        out.print(strata_table(evaluation.strata, evaluation.behind))
    if evaluation.set_size is not None:
        out.print(f"sets of {evaluation.set_size} examples, mean of {N_SHUFFLES} shuffles")
    if evaluation.n_dropped:
        most = "" if evaluation.set_size is None else " at most in a shuffle"
        out.print(f"the metric failed on {evaluation.n_dropped} points{most}, which are left out")
    return 0
