"""How well an exported loss ranks recorded outputs of real models, beside the regular loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosurrogate import outputs, tasks
from autosurrogate._utils import caller_settings, digests
from autosurrogate.errors import MetricError, OptionError
from autosurrogate.evaluation.point_losses import PointLosses, blocks, regular_of_points
from autosurrogate.examples import Examples
from autosurrogate.export import reader
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.points.metric_calls import points_of
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.rank_correlation.statistics import agreement, mean_agreement
from autosurrogate.registry.lookup import find, with_tokenizer
from autosurrogate.registry.metric_type import Metric

N_SHUFFLES = 10  # of the sets of a set-level metric


@dataclass(frozen=True)
class Evaluation:
    """Rank correlations of a loss and of the regular loss with a metric, on the same points.

    Args:
        loss: the exported loss's.
        regular: the regular loss's.
        set_size: examples a point; None where each example is one.
        n_dropped: points on which the metric failed, left out; with sets, of the shuffle that has most.
    """

    loss: Agreement
    regular: Agreement
    set_size: int | None
    n_dropped: int

    def as_dict(self) -> dict[str, Any]:
        """As `autosurrogate evaluate --json` prints it; correlations are fractions, None where not defined."""
        found = {
            "spearman": self.loss.spearman,
            "spearman_interval": self.loss.spearman_interval,
            "kendall": self.loss.kendall,
            "kendall_interval": self.loss.kendall_interval,
            "regular_spearman": self.regular.spearman,
            "regular_spearman_interval": self.regular.spearman_interval,
            "regular_kendall": self.regular.kendall,
            "regular_kendall_interval": self.regular.kendall_interval,
            "n_points": self.loss.n_points,
        }
        undefined = {name for name, value in found.items() if np.isnan(np.asarray(value, dtype=float)).any()}
        numbers = {name: None if name in undefined else value for name, value in found.items()}
        return {**numbers, "set_size": self.set_size, "n_dropped": self.n_dropped}


@caller_settings.set_aside()
def evaluate(
    loss: str | Path,
    files: str | Path | Sequence[str | Path],
    *,
    metric: str | Callable[..., Any] | Metric | None = None,
    tokenizer: str | Path | None = None,
    set_size: int | None = None,
    seed: int = 0,
) -> Evaluation:
    """Evaluate an exported loss on recorded outputs.

    Args:
        loss: TorchScript file written by `fit`.
        files: recorded outputs, one file or several; sets never mix files nor sources.
        metric: the metric; the one the loss was fitted to if None.
        tokenizer: file of the vocabulary of a loss that was fitted with one; where it was if None.
        set_size: examples a set, for a set-level metric; the one the loss was fitted with if None.
        seed: of the shuffles and of the bootstrap.

    Returns:
        For a set-level metric, means over 10 shuffles.

    Raises:
        LossFileError, MetricError, OutputsError, OptionError: an argument cannot be used.
        LabellingError: the metric fails on too many points.
    """
    if not 0 <= seed < 2**62:
        raise OptionError(f"--seed {seed}: must be 0 or more, and below 2**62")
    scripted, metadata = reader.load(loss)
    found = with_tokenizer(_metric_of(metric, metadata, str(loss)), _tokenizer_of(tokenizer, metadata, str(loss)))
    size = _set_size_of(set_size, metadata, found)
    task = tasks.get(found.task)
    named = (files,) if isinstance(files, str | Path) else files
    recorded = [outputs.read(file, task) for file in named]
    if size is None:
        recorded = [one.with_target(task) for one in recorded]

    def own(examples: Examples, set_size: int) -> torch.Tensor:
        return reader.losses_of_points(scripted, task, examples, None if size is None else set_size)

    agreements: list[tuple[Agreement, Agreement]] = []
    n_dropped = 0
    with Labeller(found) as labeller:
        for k in range(1 if size is None else N_SHUFFLES):
            generator = torch.Generator().manual_seed(seed + k)
            parts = [
                part.examples if size is None else part.examples[part.sets(size, generator).flatten()]
                for part in recorded
            ]
            points = [point for part in parts for point in points_of(task, found, part, size or 1)]
            labels = labeller.label(points)
            check_labels(found, labels.values, labels.problems)
            n_dropped = max(n_dropped, len(labels.problems))
            agreements.append(
                (
                    _agreement(own, parts, size or 1, labels.values, found, seed),
                    _agreement(regular_of_points(task), parts, size or 1, labels.values, found, seed),
                )
            )
    return Evaluation(
        mean_agreement([a for a, _ in agreements]), mean_agreement([b for _, b in agreements]), size, n_dropped
    )


def _agreement(
    of_points: PointLosses, parts: Sequence[Examples], set_size: int, values: np.ndarray, metric: Metric, seed: int
) -> Agreement:
    with torch.no_grad():
        found = [of_points(block, set_size).double().numpy() for part in parts for block in blocks(part, set_size)]
    kept = np.isfinite(values)
    return agreement(np.concatenate(found)[kept], values[kept], metric.higher_is_better, seed)


def _metric_of(metric: str | Callable[..., Any] | Metric | None, metadata: dict[str, Any], loss: str) -> Metric:
    spec = metadata["spec"] if metric is None else metric
    if spec is None:
        raise MetricError(
            f"{loss}: its metric {metadata['metric']!r} was a function of a script; name it with --metric"
        )
    try:
        found = find(spec)
    except MetricError as e:
        raise (
            e
            if metric is not None
            else MetricError(f"{e} (the metric {loss} was fitted to; name another place with --metric)")
        ) from e
    for what in ("task", "level"):
        if getattr(found, what) != metadata[what]:
            raise MetricError(
                f"metric {found.name!r}: its {what} is {getattr(found, what)!r}, that of {loss} is {metadata[what]!r}; "
                f"a loss can be evaluated only by a metric of its own {what}"
            )
    return found


def _tokenizer_of(tokenizer: str | Path | None, metadata: dict[str, Any], loss: str) -> str | Path | None:
    known = metadata.get("tokenizer")
    if known is None:
        if tokenizer is not None:
            raise OptionError(f"--tokenizer {tokenizer}: {loss} was fitted without one; leave it out")
        return None
    file = known["file"] if tokenizer is None else tokenizer
    if not Path(file).is_file():
        hint = f"pass the vocabulary that {loss} was fitted with"
        if tokenizer is None:
            hint = f"{loss} was fitted with it: pass where it is now"
        raise OptionError(f"--tokenizer {file}: there is no such file; {hint}")
    if digests.of_file(file) != known["sha256"]:
        raise OptionError(f"--tokenizer {file}: is not the one that {loss} was fitted with")
    return file


def _set_size_of(set_size: int | None, metadata: dict[str, Any], metric: Metric) -> int | None:
    if metric.level == "sample":
        if set_size is not None:
            raise OptionError(f"--set-size {set_size}: metric {metric.name!r} is of single examples; leave it out")
        return None
    if set_size is not None and set_size < 2:
        raise OptionError(f"--set-size {set_size}: must be 2 or more")
    return int(metadata["set_size"]) if set_size is None else set_size
