"""The command line: parses, calls one library function, prints."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autosurrogate._utils.json_values import without_nan
from autosurrogate.errors import AutosurrogateError, OptionError

if TYPE_CHECKING:
    from autosurrogate.pipeline.fit_run import FitResult

REFUSED = 3
INTERRUPTED = 130
FULL = (
    "a file cannot be written: the disk is full, or its quota; make room and run it again. "
    "A fit keeps its trials: go on with --resume and the folder of its run"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 2 wrong input, 3 refused for quality, 130 interrupted."""
    options = _parser().parse_args(argv)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except AutosurrogateError as e:
        print(f"autosurrogate: {' '.join(str(e).split())}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt as e:
        print(f"autosurrogate: {e}" if str(e) else "autosurrogate: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # as of `autosurrogate inspect LOSS --json | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as e:
        if not _is_of_a_full_disk(e):
            raise
        print(f"autosurrogate: {FULL}", file=sys.stderr)
        return AutosurrogateError.exit_code
    return code


def _is_of_a_full_disk(error: Exception) -> bool:
    """Whether a file could not be written whole; torch and safetensors have errors of their own for it."""
    numbers = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError) and error.errno in numbers:
        return True
    return any(text in str(error) for text in ("PytorchStreamWriter", *map(os.strerror, numbers)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autosurrogate", description="Differentiable losses for evaluation metrics that have no gradient."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    metrics = commands.add_parser("metrics", help="list what can be fitted")
    metrics.set_defaults(run=_metrics)

    check = commands.add_parser("check", help="run a metric on generated points and tell what it does")
    check.add_argument("metric", metavar="SPEC", help="a name, file.py:function, sklearn:NAME or torchmetrics:CLASS")
    check.add_argument("--tokenizer", metavar="FILE", help="for metrics of how tokens are spelled, as fit takes it")
    check.add_argument("--seed", type=int, default=0, metavar="N", help="of the generated points (0)")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check)

    fit = commands.add_parser("fit", help="fit a loss to a metric and export it")
    fit.add_argument(
        "--metric", action="append", metavar="SPEC", help="a name, file.py:function, sklearn:NAME, torchmetrics:CLASS; "
        "several of them for their weighted mean"
    )  # fmt: skip
    fit.add_argument("--weights", nargs="+", type=float, metavar="W", help="of several metrics, in their order (all 1)")
    fit.add_argument("--out", metavar="FILE.pt", help="file to write (default: <name of the metric>.pt)")
    fit.add_argument("--budget", metavar="TIME", help="wall-clock time for everything, such as 90s, 5m, 1h30m (5m)")
    fit.add_argument("--trials", type=int, metavar="N", help="stop after N trials if the budget is not spent before")
    fit.add_argument("--outputs", nargs="+", metavar="FILE", help="recorded outputs of real models to train on, too")
    fit.add_argument(
        "--random-share", type=float, metavar="P", help="with --outputs: how often a batch is of generated points, "
        "0 to 1 (default: searched)"
    )  # fmt: skip
    fit.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N (auto)")
    fit.add_argument("--workers", type=int, metavar="N", help="processes that label and that train (one a core)")
    fit.add_argument("--seed", type=int, metavar="N", help="of everything random (0)")
    fit.add_argument("--run-dir", metavar="DIR", help="folder of the run (default: runs/<name>-<date>)")
    fit.add_argument("--resume", metavar="RUN_DIR", help="continue a run, with its own options")
    fit.add_argument(
        "--objective", choices=("correlation", "approximation"), help="what networks learn: the order of points by the "
        "metric, or its values (correlation)"
    )  # fmt: skip
    fit.add_argument("--space", metavar="FILE.toml", help="search space (default: the task's own)")
    fit.add_argument(
        "--tokenizer", metavar="FILE", help="of metrics of how tokens are spelled: tokenizer.json, or a token a line"
    )
    fit.add_argument("--force", action="store_true", default=None, help="write the loss even if refused for quality")
    fit.add_argument("--overwrite", action="store_true", default=None, help="replace the file if it exists")
    fit.add_argument("--quiet", action="store_true", help="print nothing but errors")
    fit.set_defaults(run=_fit)

    export = commands.add_parser("export", help="write a ready loss of a built-in metric, without fitting")
    export.add_argument("metric", metavar="METRIC", help="one with a ready loss, see `autosurrogate metrics`")
    export.add_argument("--out", metavar="FILE.pt", help="file to write (default: METRIC.pt)")
    export.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    export.set_defaults(run=_export)

    evaluate = commands.add_parser("evaluate", help="rank correlations of a loss on recorded outputs")
    evaluate.add_argument("loss", metavar="LOSS", help="a file written by fit, or the name of a ready loss")
    evaluate.add_argument("--outputs", nargs="+", required=True, metavar="FILE", help="recorded outputs")
    evaluate.add_argument("--metric", metavar="SPEC", help="default: the one the loss was fitted to")
    evaluate.add_argument("--tokenizer", metavar="FILE", help="default: the one the loss was fitted with")
    evaluate.add_argument("--set-size", type=int, metavar="N", help="examples a set, for a set-level metric")
    evaluate.add_argument("--seed", type=int, default=0, metavar="N", help="of shuffles and bootstrap (0)")
    evaluate.add_argument("--json", action="store_true", help="print JSON; correlations as fractions")
    evaluate.set_defaults(run=_evaluate)

    cache = commands.add_parser("cache", help="show where labels of earlier fits are kept, or remove them")
    cache.add_argument("--clear", action="store_true", help="remove them")
    cache.set_defaults(run=_cache)

    inspect = commands.add_parser("inspect", help="show how a loss was made and how good it is")
    inspect.add_argument("loss", metavar="LOSS", help="a file written by fit, or the name of a ready loss")
    inspect.add_argument("--json", action="store_true", help="print the whole metadata as JSON")
    inspect.set_defaults(run=_inspect)
    return parser


def _metrics(options: argparse.Namespace) -> int:
    from rich.table import Table

    from autosurrogate.cli.rendering import console
    from autosurrogate.export import ready
    from autosurrogate.registry import entry_points, parameters
    from autosurrogate.registry.store import builtins

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("metric", "task", "level", "better", "source"):
        table.add_column(heading, no_wrap=True)
    table.add_column("loss", no_wrap=True, justify="right")
    at_hand = set(ready.names())
    settable: list[str] = []
    for metric in sorted(builtins(), key=lambda m: (m.task, m.name)):
        level = metric.level if metric.level == "sample" else f"set of {metric.set_size}"
        better = "higher" if metric.higher_is_better else "lower"
        correlation = f"{100 * ready.spearman(metric.name):.1f}" if metric.name in at_hand else ""
        table.add_row(metric.name, metric.task, level, better, metric.source, correlation)
        if defaults := parameters.defaults(metric):
            settable.append(f"  {metric.name}: " + ", ".join(f"{name}={value}" for name, value in defaults.items()))
    console().print(table)
    console().print(
        "\nloss: how well the loss that comes ready ranks, Spearman, in per cent.\n"
        "`autosurrogate export f1` writes it; autosurrogate.load('f1') gives it."
    )
    console().print("\nParameters, set as in --metric 'pck?threshold=0.1':")
    console().print("\n".join(settable), markup=False)
    if shipped := entry_points.names():
        console().print("\nOf installed packages:")
        console().print("\n".join(f"  {name}: {package}" for name, package in sorted(shipped.items())), markup=False)
    console().print("\nOf libraries: --metric sklearn:f1_macro, --metric 'torchmetrics:JaccardIndex?task=multiclass'.")
    console().print("Your own: --metric file.py:function, decorated with autosurrogate.metric.")
    console().print("Metrics of how tokens are spelled (chrf, a METEOR of yours): with --tokenizer FILE.")
    return 0


def _check(options: argparse.Namespace) -> int:
    from autosurrogate.cli.rendering import check_facts, console, print_facts
    from autosurrogate.pipeline.checking import check

    report = check(options.metric, tokenizer=options.tokenizer, seed=options.seed)
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
        return REFUSED if report.reasons else 0
    out = console()
    print_facts(out, check_facts(report))
    out.print()
    verdict = ["no loss should be fitted:", *report.reasons] if report.reasons else ["a loss can be fitted"]
    out.print("\n".join(verdict), markup=False, soft_wrap=True)
    return REFUSED if report.reasons else 0


def _fit(options: argparse.Namespace) -> int:
    given = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name not in ("run", "resume", "quiet", "metric")
    }
    if options.resume is None and options.metric is None:
        raise OptionError("fit: needs --metric SPEC (see `autosurrogate metrics`), or --resume RUN_DIR")
    others = [name for name in (*["metric"] * (options.metric is not None), *given) if name != "force"]
    if options.resume is not None and others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise OptionError(f"fit: --resume takes the options of its run; leave out {names}")

    from autosurrogate.cli.rendering import ConsoleProgress, console
    from autosurrogate.pipeline import fitting
    from autosurrogate.run.progress import Progress

    def run(progress: Progress) -> FitResult:
        if options.resume is not None:
            return fitting.resume(options.resume, force=bool(options.force), progress=progress)
        return fitting.fit(options.metric, **given, progress=progress)

    if options.quiet:
        run(Progress())
        return 0
    with ConsoleProgress(console()) as progress:
        result = run(progress)
    _print_result(result)
    return 0


def _print_result(result: FitResult) -> None:
    from autosurrogate.cli.rendering import console

    console().print()
    lines = [("run", f"{_shown(result.run_dir)}  {result.seconds:.0f} s")]
    lines += [("written by force", shortfall) for shortfall in result.shortfalls]
    _print_loss(result.metadata, result.sizes, lines)


def _print_loss(metadata: Mapping[str, Any], sizes: Mapping[str, int], lines: Sequence[tuple[str, str]] = ()) -> None:
    """What is known of a loss, of the files that were written (bytes by name), and how to use the first of them."""
    from autosurrogate import tasks
    from autosurrogate.cli.rendering import console, facts, figures, print_facts, use

    out = console()
    out.print(figures(metadata))
    out.print()
    written = [("written", f"{_shown(path)}  {n_bytes / 1024:.0f} KiB") for path, n_bytes in sizes.items()]
    print_facts(out, [*facts(metadata), *written, *lines])
    out.print()
    arguments = tasks.get(metadata["task"]).arguments
    out.print(use(_shown(next(iter(sizes))), arguments, metadata["suggested_weight"]), markup=False, soft_wrap=True)


def _shown(path: str | Path) -> str:
    """A path as the user would type it here."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _export(options: argparse.Namespace) -> int:
    from autosurrogate.export import reader, ready

    path = ready.export(options.metric, options.out, overwrite=options.overwrite)
    _print_loss(reader.load(path)[1], {str(path): path.stat().st_size})
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from autosurrogate.cli.rendering import agreement_table, console
    from autosurrogate.export import ready
    from autosurrogate.pipeline.evaluating import evaluate

    found = evaluate(
        ready.given(options.loss),
        options.outputs,
        metric=options.metric,
        tokenizer=options.tokenizer,
        set_size=options.set_size,
        seed=options.seed,
    )
    if options.json:
        print(json.dumps(found.as_dict(), indent=2))
        return 0
    out = console()
    rows = {Path(options.loss).name: asdict(found.loss), "regular loss": asdict(found.regular)}
    out.print(agreement_table({"": rows}))
    if found.set_size is not None:
        out.print(f"sets of {found.set_size}, mean of 10 shuffles")
    if found.n_dropped:
        most = "" if found.set_size is None else " of a shuffle at most"
        out.print(f"the metric failed on {found.n_dropped} points{most}, which are left out")
    return 0


def _cache(options: argparse.Namespace) -> int:
    from autosurrogate.points import label_cache

    folder = label_cache.folder()
    if folder is None:
        print(f"no labels are kept: {label_cache.VARIABLE} is {label_cache.OFF}")
        return 0
    n_runs, n_bytes = label_cache.size()
    if options.clear:
        label_cache.clear()
    print(f"{'removed' if options.clear else 'kept'}: labels of {n_runs} fits, {n_bytes / 2**20:.1f} MiB, in {folder}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from autosurrogate.cli.rendering import console, facts, figures, print_facts
    from autosurrogate.export import ready
    from autosurrogate.export.reader import load

    metadata = load(ready.given(options.loss))[1]
    if options.json:
        print(json.dumps(without_nan(metadata), indent=2))
        return 0
    out = console()
    better = "higher" if metadata["higher_is_better"] else "lower"
    level = "sample" if metadata["level"] == "sample" else f"sets of {metadata['set_size']}"
    out.print(
        f"{metadata['metric']}: {metadata['task']}, {level}, {better} is better; made {metadata['made']}\n",
        markup=False,
    )
    out.print(figures(metadata))
    out.print()
    print_facts(out, [*facts(metadata), ("versions", ", ".join(f"{k} {v}" for k, v in metadata["versions"].items()))])
    return 0


if __name__ == "__main__":
    sys.exit(main())
