"""`autosurrogate check`: runs a metric on generated points and reports what it returns."""

from __future__ import annotations

import argparse
import json
import math

from autosurrogate import tasks
from autosurrogate.cli.printing import console, print_lines
from autosurrogate.errors import QualityError
from autosurrogate.evaluation import Dependence
from autosurrogate.pipeline.checking import Report, check


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    report = check(options.metric, tokenizer=options.tokenizer, seed=options.seed)
    code = QualityError.exit_code if report.reasons else 0
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
        return code
    out = console()
    print_lines(out, report_lines(report))
    out.print()
    verdict = ["no loss should be fitted:", *report.reasons] if report.reasons else ["a loss can be fitted"]
    out.print("\n".join(verdict), markup=False, soft_wrap=True)
    return code


def report_lines(report: Report) -> list[tuple[str, str]]:
    """What was observed of a metric: name and text."""
    metric = report.metric
    level = "one example" if metric.level == "sample" else f"a set of {metric.set_size} examples"
    better = "higher" if metric.higher_is_better else "lower"
    lines = [
        ("metric", f"{metric.name}, {better} is better; computed by {metric.source}"),
        ("task", f"{tasks.name_without_vocabulary(metric.task)}, view {metric.view!r}, {level} a call"),
    ]
    for call in report.shown:
        lines += [("called with", f"preds {call.preds}"), ("", f"target {call.target}"), ("", f"-> {call.returned}")]
    dropped = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
    lines.append(("calls", f"{report.n_points:,}, {dropped or 'none failed'}; {report.calls_per_s:,.0f} a second"))
    if not math.isnan(report.low):
        ends = f"mean {report.easy:.4g} on the easiest tenth of the points, {report.hard:.4g} on the hardest"
        lines += [
            ("values", f"{report.low:.4g} to {report.high:.4g}; {ends}"),
            ("coverage", f"{100 * report.coverage:.0f} % of that range by the points that a fit generates"),
            ("ties", f"{100 * report.ties:.0f} % of the points share their value with another"),
            (
                "called again",
                f"{100 * report.changed:.0f} % of the values changed" if report.changed else "the same values",
            ),
        ]
    for dependence in report.dependences:
        lines.append((dependence.what, _reaction(dependence)))
    return lines


def _reaction(dependence: Dependence) -> str:
    """How the metric and the networks react to a change."""
    if not dependence.matters:
        return "does not matter"
    seen = f"which {', '.join(dependence.seen_by)} sees" if dependence.seen_by else "which no network sees"
    fitted = dependence.fitted_spearman
    short_fit = "" if fitted is None else f"; a short fit ranks at {100 * fitted:.0f}"
    return f"changes {100 * dependence.changed:.0f} % of the values, {seen}{short_fit}"
