"""The public function `evaluate`: how well an exported loss ranks recorded outputs, beside the regular loss."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autosurrogate import outputs, tasks
from autosurrogate._utils import caller_settings
from autosurrogate.errors import OptionError
from autosurrogate.evaluation.point_losses import losses_on, regular_of_points
from autosurrogate.evaluation.strata import behind_regular_loss, order_by_stratum
from autosurrogate.examples import Examples
from autosurrogate.export import reader
from autosurrogate.export.metadata import StratumOrder
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import check_labels
from autosurrogate.pipeline.evaluation_inputs import resolve_metric, resolve_set_size, resolve_tokenizer
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.metric_calls import points_of
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.rank_correlation.comparison import mean_agreement, rank_agreement
from autosurrogate.registry.lookup import with_tokenizer
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S

CPU = torch.device("cpu")
N_SHUFFLES = 10  # of the sets of a set-level metric


@dataclass(frozen=True)
class Evaluation:
    """Rank correlations of a loss and of the regular loss with a metric, on the same points.

    Args:
        loss: the exported loss's.
        regular: the regular loss's.
        set_size: examples a point; None where each example is one.
        n_dropped: points on which the metric failed, which are left out; with sets, those of the shuffle with most.
        strata: the order of both within each kind of points, all points first, see `evaluation.strata`.
    """

    loss: Agreement
    regular: Agreement
    set_size: int | None
    n_dropped: int
    strata: tuple[StratumOrder, ...] = ()

    @property
    def behind(self) -> tuple[StratumOrder, ...]:
        """The strata that the loss orders worse than the regular loss does, beyond noise."""
        return tuple(behind_regular_loss(self.strata))

    def as_dict(self) -> dict[str, Any]:
        """As `autosurrogate evaluate --json` prints it; correlations are fractions, None where not defined."""
        figures = {
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
        undefined = {name for name, value in figures.items() if np.isnan(np.asarray(value, dtype=float)).any()}
        numbers = {name: None if name in undefined else value for name, value in figures.items()}
        strata = [asdict(row) for row in self.strata]
        return {**numbers, "set_size": self.set_size, "n_dropped": self.n_dropped, "strata": strata}


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
        tokenizer: file of the vocabulary of a loss that was fitted with one; its former path if None.
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
    resolved = with_tokenizer(
        resolve_metric(metric, metadata, str(loss)), resolve_tokenizer(tokenizer, metadata, str(loss))
    )
    size = resolve_set_size(set_size, metadata, resolved)
    task = tasks.get(resolved.task)
    recorded = [outputs.read(file, task) for file in ((files,) if isinstance(files, str | Path) else files)]
    if size is None:
        recorded = [each.with_target(task) for each in recorded]

    def of_points(examples: Examples, set_size: int) -> torch.Tensor:
        return reader.losses_of_points(scripted, task, examples, None if size is None else set_size)

    regular = regular_of_points(task)
    loss_agreements, regular_agreements, n_dropped = list[Agreement](), list[Agreement](), 0
    strata: list[tuple[StratumOrder, ...]] = []
    with Labeller(resolved, timeout_s=CALL_LIMIT_S) as labeller:
        for k in range(1 if size is None else N_SHUFFLES):
            generator = torch.Generator().manual_seed(seed + k)
            files_examples = [
                each.examples if size is None else each.examples[each.sets(size, generator).flatten()]
                for each in recorded
            ]
            points = [point for examples in files_examples for point in points_of(task, resolved, examples, size or 1)]
            labels = labeller.label(points)
            check_labels(resolved, labels.values, labels.problems)
            n_dropped = max(n_dropped, len(labels.problems))
            chunks = _chunks(files_examples, size or 1, labels.values)
            values = np.concatenate([chunk.values.numpy() for chunk in chunks])
            own_losses, regular_losses = (losses_on(losses, chunks, CPU) for losses in (of_points, regular))
            higher = resolved.higher_is_better
            loss_agreements.append(rank_agreement(own_losses, values, higher, seed))
            regular_agreements.append(rank_agreement(regular_losses, values, higher, seed))
            strata.append(order_by_stratum(task, own_losses, regular_losses, chunks, higher))
    return Evaluation(
        mean_agreement(loss_agreements), mean_agreement(regular_agreements), size, n_dropped, _mean_strata(strata)
    )


def _chunks(files_examples: Sequence[Examples], set_size: int, values: np.ndarray) -> list[Chunk]:
    """The points of each file that have a value."""
    chunks: list[Chunk] = []
    start = 0
    for examples in files_examples:
        of_file = values[start : start + len(examples) // set_size]
        start += len(of_file)
        chunk = Chunk(examples, set_size, torch.from_numpy(of_file), None)
        chunks.append(chunk.select(torch.from_numpy(np.flatnonzero(np.isfinite(of_file)))))
    return [chunk for chunk in chunks if len(chunk)]


def _mean_strata(shuffles: Sequence[Sequence[StratumOrder]]) -> tuple[StratumOrder, ...]:
    """The means of each stratum over the shuffles, which share their examples, so that errors do not shrink."""
    by_name: dict[str, list[StratumOrder]] = {}
    for row in itertools.chain.from_iterable(shuffles):
        by_name.setdefault(row.name, []).append(row)
    return tuple(
        StratumOrder(
            name,
            min(row.n_points for row in rows),
            *(
                float(np.mean([getattr(row, figure) for row in rows]))
                for figure in ("loss_somers_d", "regular_loss_somers_d", "difference_error")
            ),
        )
        for name, rows in by_name.items()
    )
