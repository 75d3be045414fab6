"""Do the losses order a model's outputs as their metrics do, from the untrained model on?

    python -m studies.training_outputs                         # first: train the models and record their outputs
    python -m benchmarks.training_order                        # the ready losses on the development half
    python -m benchmarks.training_order --half final           # once, at the end
    python -m benchmarks.training_order --loss-dir DIR         # DIR/METRIC.pt in place of the ready losses
    python -m benchmarks.training_order --show                 # the tables of what is measured

Each loss is evaluated on all recorded outputs of its metric's task, the checkpoints of a training together, as
`autosurrogate evaluate` does: sets are of one checkpoint. The order is judged by Somers' D with respect to the metric,
over the pairs of points whose metric differs, and by Spearman's correlation. Rows are appended to `--results`, those of
other losses than the ready ones to DIR/training_order.jsonl. `python -m benchmarks` writes the tables to
docs/measurements/results.md.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosurrogate import __version__, outputs, tasks
from autosurrogate._utils import digests
from autosurrogate.errors import LabellingError
from autosurrogate.evaluation.point_losses import PointLosses, blocks, regular_of_points
from autosurrogate.examples import Examples
from autosurrogate.export import reader, ready
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.outputs.reader import Recorded
from autosurrogate.points.metric_calls import points_of, set_size_of
from autosurrogate.rank_correlation import somers_d, spearman
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S
from benchmarks.training_order_page import section
from studies import rows
from studies.training_outputs import OUTPUTS
from studies.training_outputs.__main__ import selected
from studies.training_outputs._halves import HALVES
from studies.training_outputs._recording import Recording

RESULTS = Path(__file__).parent / "results" / "training_order.jsonl"
N_SHUFFLES = 4  # of the sets of a set-level metric
MIN_SETS = 3  # of each checkpoint; where the rows do not suffice, sets are of half as many, and so on
MIN_SET_SIZE = 8
AXES_OF_VIEW = {"binary": 1, "multilabel": 2}  # of preds, for the views that not all outputs of a task fit


@dataclass(frozen=True)
class Shuffle:
    """Points of recorded outputs.

    Args:
        examples: those of the first point, then those of the second, and so on.
        values: the metric's on each point, shape (n_points,), NaN where it is not defined.
    """

    examples: Examples
    values: np.ndarray


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--half", choices=HALVES, default=HALVES[0])
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="(all that have a loss)")
    parser.add_argument("--loss-dir", type=Path, metavar="DIR", help="of losses in place of the ready ones")
    parser.add_argument("--outputs", type=Path, default=OUTPUTS, metavar="DIR", help="(studies/outputs/training)")
    parser.add_argument("--results", type=Path, help="(benchmarks/results/training_order.jsonl)")
    parser.add_argument("--show", action="store_true", help="print the tables alone")
    options = parser.parse_args()
    folder = options.loss_dir
    results = options.results or (RESULTS if folder is None else folder / "training_order.jsonl")
    if not options.show:
        losses = loss_files(folder)
        unknown = sorted(set(options.metrics or ()) - set(losses))
        if unknown:
            parser.error(f"there is no loss of {', '.join(unknown)}; expected {', '.join(losses)}")
        chosen = {name: path for name, path in losses.items() if name in (options.metrics or losses)}
        for row in measure(chosen, selected(options.half), options.half, options.outputs / options.half, results):
            rows.append(results, row)
            print(described(row), flush=True)
    print(section([row for row in rows.read(results) if row["half"] == options.half], heading=""))


def loss_files(folder: Path | None) -> dict[str, Path]:
    """The losses of a folder by the name of their metric; the ready losses for None."""
    if folder is None:
        return {name: ready.path(name) for name in ready.names()}
    return {path.stem: path for path in sorted(folder.glob(f"*{ready.SUFFIX}"))}


def measure(
    losses: Mapping[str, Path], recordings: list[Recording], half: str, folder: Path, results: Path
) -> Iterator[dict[str, Any]]:
    """A row for each loss and each recording of its task that is there and has no row of this loss yet."""
    known = {(row["outputs"], row["metric"], row["loss"]) for row in rows.read(results)}
    for name, path in losses.items():
        metric, digest = find(name), digests.of_file(path)
        fitting = [
            recording
            for recording in recordings
            if recording.experiment.task == metric.task
            and recording.path(folder).exists()
            and (recording.name, name, digest) not in known
        ]
        if fitting:
            loss, _ = reader.load(path)
            with Labeller(metric, n_workers=1, timeout_s=CALL_LIMIT_S) as labeller:
                for recording in fitting:
                    recorded = outputs.read(recording.path(folder), tasks.get(metric.task))
                    if recorded.examples.preds.ndim == AXES_OF_VIEW.get(metric.view, recorded.examples.preds.ndim):
                        about = {"half": half, "task": metric.task, "data": recording.data, "model": recording.model}
                        measured = order(loss, metric, recorded, labeller)
                        date = datetime.date.today().isoformat()
                        yield {
                            **about, "outputs": recording.name, "metric": name, **measured, "loss": digest,
                            "date": date, "version": __version__,
                        }  # fmt: skip


def order(loss: Any, metric: Metric, recorded: Recorded, labeller: Labeller) -> dict[str, Any]:
    """How a loss and the regular loss order the points of recorded outputs, 1 where as the metric does.

    Args:
        loss: an exported loss, as `torch.jit.load` returns it.
        metric: of the loss.
        recorded: outputs of all checkpoints.
        labeller: of the metric.

    Returns:
        `loss_d`, `regular_d`, `loss_spearman` and `regular_spearman`, means over the shuffles, None where not defined;
        `n_points` of a shuffle; `set_size`; and `failure`, why nothing could be measured, else None.
    """
    task = tasks.get(metric.task)
    size = set_size(metric, recorded)
    point_losses: dict[str, PointLosses] = {
        "loss": lambda examples, n: reader.losses_of_points(
            loss, task, examples, None if metric.level == "sample" else n
        ),
        "regular": regular_of_points(task),
    }
    figures: dict[str, list[float]] = {f"{name}_{kind}": [] for name in point_losses for kind in ("d", "spearman")}
    n_points = 0
    try:
        shuffles = list(labelled(metric, recorded, size, labeller))
    except LabellingError as e:
        return {**dict.fromkeys(figures), "n_points": 0, "set_size": size, "failure": str(e)}
    for shuffle in shuffles:
        valid = np.isfinite(shuffle.values)
        n_points = int(valid.sum())
        for name, of_points in point_losses.items():
            with torch.no_grad():
                values = [of_points(block, size).double().numpy() for block in blocks(shuffle.examples, size)]
            goodness = np.concatenate(values)[valid] * (-1 if metric.higher_is_better else 1)
            figures[f"{name}_d"].append(somers_d(goodness, shuffle.values[valid]))
            figures[f"{name}_spearman"].append(spearman(goodness, shuffle.values[valid]))
    means = {name: float(np.mean(values)) for name, values in figures.items()}
    defined = {name: None if np.isnan(mean) else mean for name, mean in means.items()}
    return {**defined, "n_points": n_points, "set_size": size, "failure": None}


def set_size(metric: Metric, recorded: Recorded) -> int:
    """The metric's set size, or a part of it that the rows of each checkpoint suffice for."""
    size = set_size_of(metric)
    n_rows = int(np.unique(recorded.source.numpy(), return_counts=True)[1].min())
    while size > MIN_SET_SIZE and n_rows < MIN_SETS * size:
        size //= 2
    return size


def labelled(metric: Metric, recorded: Recorded, size: int, labeller: Labeller) -> Iterator[Shuffle]:
    """The points of recorded outputs: the examples that have a target, or sets of each checkpoint, shuffled.

    Raises:
        LabellingError: the metric fails on too many points, or is constant.
    """
    task = tasks.get(metric.task)
    recorded = recorded.with_target(task) if metric.level == "sample" else recorded
    for k in range(1 if metric.level == "sample" else N_SHUFFLES):
        generator = torch.Generator().manual_seed(k)
        examples = (
            recorded.examples
            if metric.level == "sample"
            else recorded.examples[recorded.sets(size, generator).flatten()]
        )
        labels = labeller.label(points_of(task, metric, examples, size))
        check_labels(metric, labels.values, labels.problems, max_dropped=0.5)
        yield Shuffle(examples, labels.values)


def described(row: Mapping[str, Any]) -> str:
    """A row in a line."""
    if row["failure"]:
        return f"{row['metric']} {row['outputs']}: {row['failure']}"
    loss, regular = ("-" if row[name] is None else f"{100 * row[name]:.1f}" for name in ("loss_d", "regular_d"))
    return f"{row['metric']} {row['outputs']}: D {loss}, the regular loss {regular}, {row['n_points']} points"


if __name__ == "__main__":
    main()
