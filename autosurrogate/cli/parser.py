"""The options of the command line."""

from __future__ import annotations

import argparse
from typing import Any

_SPEC = "a name, file.py:function, sklearn:NAME or torchmetrics:CLASS"
_LOSS = "a file written by fit, or the name of a ready loss"


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line; neither torch nor a command is imported.

    Parsed arguments have the name of the command as `command`.
    """
    parser = argparse.ArgumentParser(
        prog="autosurrogate", description="Differentiable losses for evaluation metrics that have no gradient."
    )
    parser.add_argument("--version", action=_PrintVersion, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    commands.add_parser("metrics", help="list the built-in metrics and their ready losses")
    _add_check(commands)
    _add_fit(commands)
    _add_export(commands)
    _add_evaluate(commands)
    _add_cache(commands)
    _add_inspect(commands)
    return parser


class _PrintVersion(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from autosurrogate import __version__  # reads the metadata of installed packages, which takes time

        print(f"autosurrogate {__version__}")
        parser.exit()


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="run a metric on generated points and report what it returns")
    check.add_argument("metric", metavar="SPEC", help=_SPEC)
    check.add_argument(
        "--tokenizer", metavar="FILE", help="vocabulary, for metrics that depend on how tokens are spelled"
    )
    check.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the generated points (0)")
    check.add_argument("--json", action="store_true", help="print JSON")


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser("fit", help="fit a loss to a metric and export it")
    fit.add_argument(
        "--metric", action="append", metavar="SPEC", help=f"{_SPEC}; give several to fit their weighted mean"
    )
    fit.add_argument("--weights", nargs="+", type=float, metavar="W", help="of several metrics, in their order (all 1)")
    fit.add_argument("--out", metavar="FILE.pt", help="file to write (default: <name of the metric>.pt)")
    fit.add_argument("--budget", metavar="TIME", help="wall-clock time for everything, such as 90s, 5m, 1h30m (5m)")
    fit.add_argument("--trials", type=int, metavar="N", help="stop after N trials, if the budget is not spent earlier")
    fit.add_argument("--outputs", nargs="+", metavar="FILE", help="recorded outputs of real models to train on as well")
    fit.add_argument(
        "--random-share", type=float, metavar="P", help="with --outputs: probability of a batch of generated points, "
        "0 to 1 (default: searched)"
    )  # fmt: skip
    fit.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N (auto)")
    fit.add_argument(
        "--workers", type=int, metavar="N", help="processes that run the metric and that train networks (one a core)"
    )
    fit.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers (0)")
    fit.add_argument("--run-dir", metavar="DIR", help="folder of the run (default: runs/<name>-<date>)")
    fit.add_argument("--resume", metavar="RUN_DIR", help="continue a run, with its own options")
    fit.add_argument(
        "--objective", choices=("correlation", "approximation"), help="what networks learn: to order points as the "
        "metric does, or to predict its values (correlation)"
    )  # fmt: skip
    fit.add_argument("--space", metavar="FILE.toml", help="search space (default: that of the task)")
    fit.add_argument(
        "--tokenizer", metavar="FILE", help="vocabulary, for metrics that depend on how tokens are spelled: "
        "tokenizer.json, or a text file with a token a line"
    )  # fmt: skip
    fit.add_argument("--force", action="store_true", default=None, help="write the loss even if its quality is too low")
    fit.add_argument("--overwrite", action="store_true", default=None, help="replace the file if it exists")
    fit.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="write a ready loss of a built-in metric, without fitting")
    export.add_argument("metric", metavar="METRIC", help="a metric with a ready loss, see `autosurrogate metrics`")
    export.add_argument("--out", metavar="FILE.pt", help="file to write (default: METRIC.pt)")
    export.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="compute the rank correlations of a loss on recorded outputs")
    evaluate.add_argument("loss", metavar="LOSS", help=_LOSS)
    evaluate.add_argument("--outputs", nargs="+", required=True, metavar="FILE", help="recorded outputs")
    evaluate.add_argument("--metric", metavar="SPEC", help="default: the metric that the loss was fitted to")
    evaluate.add_argument("--tokenizer", metavar="FILE", help="default: the one that the loss was fitted with")
    evaluate.add_argument("--set-size", type=int, metavar="N", help="examples a set, for a set-level metric")
    evaluate.add_argument("--seed", type=int, default=0, metavar="N", help="seed of shuffles and bootstrap (0)")
    evaluate.add_argument("--json", action="store_true", help="print JSON; correlations as fractions")


def _add_cache(commands: Any) -> None:
    cache = commands.add_parser("cache", help="show or clear the cache of labelled points of earlier fits")
    cache.add_argument("--clear", action="store_true", help="remove all labels")


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="show how a loss was fitted and how good it is")
    inspect.add_argument("loss", metavar="LOSS", help=_LOSS)
    inspect.add_argument("--json", action="store_true", help="print the whole metadata as JSON")
