"""What training needs of labelled points: features, and how they move with the predictions.

A network is `score(features(preds))`, and `features` has no parameters. So the norm of a point's gradient with respect
to the predictions is that of vᵀ J, with v the gradient of the score with respect to the features and J the Jacobian of
the features: ‖vᵀ J‖² = vᵀ (J Jᵀ) v. J Jᵀ is small, and computed once for all steps of all trials; the gradient penalty
(ReLoss, eq. 8) then costs a double backward pass through the score alone. Points that a loss is only judged on do
without.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.surrogates import loss_arguments
from autosurrogate.tasks import Task

BLOCK_ROWS = {"cpu": 64, "cuda": 16_384}  # examples whose Jacobians are held at a time, at most
BLOCK_NUMBERS = {"cpu": 20_000_000, "cuda": 200_000_000}  # of a Jacobian, at most
BYTES_A_NUMBER = 160  # of a GPU's memory, what is computed on the way to a Jacobian included

_Block = tuple[Tensor, Tensor | None, Tensor]  # features, Gram matrices and values of some points


@dataclass(frozen=True)
class FeatureTable:
    """Labelled points as the scores of a kind of network see them.

    Args:
        features: shape (n_points, n_rows, n_features); a point is one row, or a row an example.
        gram: shape (n_points, n_rows, n_features, n_features), J Jᵀ of each row; None if it was not asked for.
        values: shape (n_points,), float64, the metric.
        feature_names: names of the features; empty where they have none.
    """

    features: Tensor
    gram: Tensor | None
    values: Tensor
    feature_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def select(self, feature_names: Sequence[str]) -> FeatureTable:
        """The same points as a network sees them that has only these features."""
        if not self.feature_names or tuple(feature_names) == self.feature_names:
            return self
        index = torch.tensor([self.feature_names.index(name) for name in feature_names], device=self.features.device)
        gram = None if self.gram is None else self.gram.index_select(2, index).index_select(3, index)
        return FeatureTable(self.features.index_select(2, index), gram, self.values, tuple(feature_names))


def tabulate(
    loss: Any,
    task: Task,
    chunks: Iterable[Chunk],
    device: torch.device,
    *,
    gram: bool = True,
    parts: Sequence[Any] = (),
    of_size: int | None = None,
    within_s: float = math.inf,
) -> tuple[FeatureTable, ...]:
    """Features of labelled points, and their Gram matrices.

    The gradient of a mean over n examples falls with the square root of n. So that one slope suits sets of every size,
    gradients are brought to those of sets of `of_size`.

    Args:
        loss: a loss of the task, see `surrogates.build`; only its features matter.
        task: the task.
        chunks: labelled points; some are always taken.
        device: where to compute and keep the table.
        gram: whether Gram matrices are wanted, which cost about a hundred times as much as the features.
        parts: losses of which each has some of the features of `loss`, and all together all of them. What a feature does
            not depend on need not be differentiated for it then: of six temperatures, five sixths of the work. They
            are used if that is quicker.
        of_size: a set size; None leaves every gradient as it is.
        within_s: seconds after which no further points are taken.

    Returns:
        A table for each number of rows a point.
    """
    start = time.monotonic()
    ways = _Quicker([loss], *([parts] if parts else []))
    blocks: dict[int, list[_Block]] = {}
    for examples, set_size, labels in _blocks([loss, *parts], task, chunks, device, gram):
        if blocks and time.monotonic() - start > within_s:
            break
        rows = loss.network.n_rows(set_size)
        examples, products = examples.to(device), None
        if gram:
            with ways.timed(len(examples)) as losses:
                features, products = _of_block(losses, loss.network.feature_names(), task, examples, set_size)
            products = (products * (1.0 if of_size is None else set_size / of_size)).view(-1, rows, *products.shape[1:])
        else:
            with torch.no_grad():
                features = loss.features(*loss_arguments(task, examples), set_size)
        block = features.view(-1, rows, features.shape[1]), products, labels.to(device)
        blocks.setdefault(rows, []).append(block)
    return tuple(_joined(found, tuple(loss.network.feature_names())) for found in blocks.values())


class _Quicker:
    """One of several ways: each in turn at first, then the one that took the least time for an example."""

    def __init__(self, *ways: Sequence[Any]) -> None:
        self._ways, self._seconds = ways, list[float]()

    @contextlib.contextmanager
    def timed(self, n_examples: int) -> Iterator[Sequence[Any]]:
        """The way to take."""
        n_tried, start = len(self._seconds), time.perf_counter()
        if n_tried == len(self._ways):
            yield self._ways[self._seconds.index(min(self._seconds))]
            return
        yield self._ways[n_tried]
        self._seconds.append((time.perf_counter() - start) / n_examples)


def _joined(blocks: list[_Block], feature_names: tuple[str, ...]) -> FeatureTable:
    width = max(features.shape[2] for features, _, _ in blocks)  # filled up with features that are not there
    grams = [F.pad(gram, (0, width - gram.shape[2]) * 2) for _, gram, _ in blocks if gram is not None]
    return FeatureTable(
        torch.cat([F.pad(features, (0, width - features.shape[2])) for features, _, _ in blocks]),
        torch.cat(grams) if grams else None,
        torch.cat([values for _, _, values in blocks]),
        feature_names,
    )


def _blocks(
    losses: Sequence[Any], task: Task, chunks: Iterable[Chunk], device: torch.device, gram: bool
) -> Iterator[tuple[Examples, int, Tensor]]:
    """Pieces of the chunks, of whole points, that fit in memory, with Jacobians: examples, set size and values.

    The losses are told what they are to know of the examples; the first is the largest.
    """
    most = BLOCK_NUMBERS[device.type]
    if device.type == "cuda":
        most = min(most, torch.cuda.get_device_properties(device).total_memory // BYTES_A_NUMBER)
    for chunk in chunks:
        size = chunk.set_size
        with torch.no_grad():
            first = chunk.examples[slice(0, size)].to(device)
            for loss in losses:
                task.configure(loss, first)
            n_features = losses[0].features(*loss_arguments(task, first), size).shape[1] if gram else 1
        rows = most // (n_features * max(1, chunk.examples.preds[0].numel()))
        n_points = max(1, (min(BLOCK_ROWS[device.type], rows) if gram else rows) // size)
        for i in range(0, len(chunk), n_points):
            yield (
                chunk.examples[slice(i * size, (i + n_points) * size)], size, chunk.values[i : i + n_points]
            )  # fmt: skip


def _of_block(
    losses: Sequence[Any], feature_names: Sequence[str], task: Task, examples: Examples, set_size: int
) -> tuple[Tensor, Tensor]:
    """Features (n_rows, n_features) and Gram matrices (n_rows, n_features, n_features) of examples."""
    both = [_jacobian(loss, task, examples, set_size) for loss in losses]
    features = torch.cat([found for found, _ in both], 1)
    jacobian = torch.cat([found for _, found in both], 1)
    if len(losses) > 1:
        there = [name for loss in losses for name in loss.network.feature_names()]
        index = torch.tensor([there.index(name) for name in feature_names], device=features.device)
        features, jacobian = features.index_select(1, index), jacobian.index_select(1, index)
    return features, jacobian @ jacobian.transpose(1, 2)


def _jacobian(loss: Any, task: Task, examples: Examples, set_size: int) -> tuple[Tensor, Tensor]:
    """Features (n_rows, n_features) and how they move with the predictions, (n_rows, n_features, n_numbers)."""
    preds = examples.preds.float().requires_grad_(True)
    features = loss.features(*loss_arguments(task, examples.with_preds(preds)), set_size)
    n_rows, n_features = features.shape
    one_each = torch.eye(n_features, device=preds.device)[:, None, :].expand(-1, n_rows, -1)
    (jacobian,) = torch.autograd.grad(features, preds, one_each, is_grads_batched=True, materialize_grads=True)
    return features.detach(), (jacobian * task.unit(examples)).reshape(n_features, n_rows, -1).transpose(0, 1)
