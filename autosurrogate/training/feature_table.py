"""What training needs of labelled points: features, and how they change with the predictions.

A network is `score(features(preds))`, and `features` has no parameters. So the norm of a point's gradient with respect
to the predictions is that of vᵀ J, with v the gradient of the score with respect to the features and J the Jacobian of
the features: ‖vᵀ J‖² = vᵀ (J Jᵀ) v. J Jᵀ is small, and computed once for all steps of all trials; the gradient penalty
(ReLoss, eq. 8) then costs a double backward pass through the score alone. Held-out points need no Gram matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate._utils.operation_cost import OperationCost
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.surrogates import Loss, loss_arguments
from autosurrogate.tasks import Task

BLOCK_EXAMPLES = {"cpu": 64, "cuda": 16_384}  # examples whose Jacobians are held at a time, at most
BLOCK_NUMBERS = {"cpu": 20_000_000, "cuda": 200_000_000}  # of a Jacobian, at most
BYTES_A_NUMBER = 160  # of a GPU's memory, intermediate results of a Jacobian included

_Block = tuple[Tensor, Tensor | None, Tensor, Tensor]  # features, Gram matrices, values and is_trained of some points


@dataclass(frozen=True)
class FeatureTable:
    """Labelled points as the scores of a kind of network see them.

    Args:
        features: shape (n_points, n_rows, n_features); a point has one row, or a row for each example.
        gram: shape (n_points, n_rows, n_features, n_features), J Jᵀ of each row; None for held-out points.
        values: shape (n_points,), float64, the metric.
        feature_names: names of the features; empty where they have none.
        is_trained: which points are of trained models, or recorded, bool (n_points,); None if all are.
    """

    features: Tensor
    gram: Tensor | None
    values: Tensor
    feature_names: tuple[str, ...] = ()
    is_trained: Tensor | None = None

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def select(self, feature_names: Sequence[str]) -> FeatureTable:
        """The same points as a network sees them that has only these features."""
        if not self.feature_names or tuple(feature_names) == self.feature_names:
            return self
        index = torch.tensor([self.feature_names.index(name) for name in feature_names], device=self.features.device)
        gram = None if self.gram is None else self.gram.index_select(2, index).index_select(3, index)
        return replace(
            self, features=self.features.index_select(2, index), gram=gram, feature_names=tuple(feature_names)
        )


def tabulate(
    loss: Loss,
    task: Task,
    chunks: Iterable[Chunk],
    device: torch.device,
    *,
    gram: bool = True,
    parts: Sequence[Loss] = (),
    of_size: int | None = None,
    within_s: float = math.inf,
) -> tuple[FeatureTable, ...]:
    """Features of labelled points, and their Gram matrices.

    The gradient of a mean over n examples falls with the square root of n. So that one slope suits sets of every size,
    gradients are scaled to those of sets of `of_size`.

    Args:
        loss: a loss of the task, see `surrogates.build`; only its features matter.
        task: the task.
        chunks: labelled points, of which at least one block is taken.
        device: where to compute and keep the table.
        gram: whether to compute Gram matrices, which take about a hundred times as long as the features.
        parts: losses of which each has some of the features of `loss`, and all together all of them. They are used if
            that costs less, as each Jacobian is then computed without what its features do not depend on: with six
            temperatures, a sixth of the work.
        of_size: a set size; None leaves every gradient as it is.
        within_s: seconds after which no further points are taken, if `gram`: those of a reference machine, which are
            counted, so that a busy machine takes the same points.

    Returns:
        A table for each number of rows a point.
    """
    costs = _JacobianCosts(task, [[loss], *([parts] if parts else [])])
    spent_s = 0.0
    blocks: dict[int, list[_Block]] = {}
    for examples, set_size, labels, is_trained in _blocks([loss, *parts], task, chunks, device, gram):
        if blocks and spent_s > within_s:
            break
        n_rows = loss.network.n_rows(set_size)
        examples, grams = examples.to(device), None
        if gram:
            losses, seconds = costs.cheapest(examples, set_size)
            spent_s += seconds
            features, grams = _features_and_grams(losses, loss.network.feature_names(), task, examples, set_size)
            grams = (grams * (1.0 if of_size is None else set_size / of_size)).view(-1, n_rows, *grams.shape[1:])
        else:
            with torch.no_grad():
                features = loss.features(*loss_arguments(task, examples), set_size)
        block = features.view(-1, n_rows, features.shape[1]), grams, labels.to(device), is_trained.to(device)
        blocks.setdefault(n_rows, []).append(block)
    feature_names = tuple(loss.network.feature_names())
    return tuple(_join(blocks_of_size, feature_names) for blocks_of_size in blocks.values())


def seconds_of_tables(
    loss: Loss, task: Task, chunks: Sequence[Chunk], device: torch.device, *, parts: Sequence[Loss] = ()
) -> float:
    """What features and Gram matrices of all points cost: seconds of a reference machine, see `tabulate`.

    They are counted on one point, and taken to grow with the number of examples.

    Args:
        loss: see `tabulate`.
        task: the task.
        chunks: labelled points.
        device: where to compute.
        parts: see `tabulate`.
    """
    if not chunks:
        return 0.0
    middle = sorted(chunks, key=lambda chunk: chunk.set_size)[len(chunks) // 2]
    point = middle.examples[slice(0, middle.set_size)].to(device)
    for each in [loss, *parts]:
        task.configure(each, point)
    _, seconds = _JacobianCosts(task, [[loss], *([parts] if parts else [])]).cheapest(point, middle.set_size)
    return seconds * sum(len(chunk.examples) for chunk in chunks) / len(point)


class _JacobianCosts:
    """What the Jacobians of blocks cost, and which of several ways to compute them costs least.

    Args:
        task: the task.
        alternatives: losses that have all features together, in different ways.
    """

    def __init__(self, task: Task, alternatives: Sequence[Sequence[Loss]]) -> None:
        self._task, self._alternatives = task, alternatives
        self._of_size: dict[int, tuple[Sequence[Loss], float]] = {}

    def cheapest(self, examples: Examples, set_size: int) -> tuple[Sequence[Loss], float]:
        """The losses to use for a block of this set size, and the seconds that they cost.

        The cost is counted on the first block of each set size.
        """
        if set_size not in self._of_size:
            costs = [self._count(losses, examples, set_size) for losses in self._alternatives]
            cheapest = min(range(len(costs)), key=costs.__getitem__)
            self._of_size[set_size] = self._alternatives[cheapest], costs[cheapest] / len(examples)
        losses, seconds = self._of_size[set_size]
        return losses, seconds * len(examples)

    def _count(self, losses: Sequence[Loss], examples: Examples, set_size: int) -> float:
        with OperationCost() as cost:
            for loss in losses:
                _features_and_jacobian(loss, self._task, examples, set_size)
        return float(cost.seconds)


def _join(blocks: list[_Block], feature_names: tuple[str, ...]) -> FeatureTable:
    width = max(features.shape[2] for features, *_ in blocks)  # padded with features that are 0
    grams = [F.pad(gram, (0, width - gram.shape[2]) * 2) for _, gram, *_ in blocks if gram is not None]
    return FeatureTable(
        torch.cat([F.pad(features, (0, width - features.shape[2])) for features, *_ in blocks]),
        torch.cat(grams) if grams else None,
        torch.cat([values for _, _, values, _ in blocks]),
        feature_names,
        torch.cat([is_trained for *_, is_trained in blocks]),
    )


def _blocks(
    losses: Sequence[Loss], task: Task, chunks: Iterable[Chunk], device: torch.device, gram: bool
) -> Iterator[tuple[Examples, int, Tensor, Tensor]]:
    """Parts of the chunks, of whole points, whose Jacobians fit in memory: examples, set size, values and is_trained.

    The losses are configured for the examples, see `Task.configure`; the first has the most features.
    """
    max_numbers = BLOCK_NUMBERS[device.type]
    if device.type == "cuda":
        max_numbers = min(max_numbers, torch.cuda.get_device_properties(device).total_memory // BYTES_A_NUMBER)
    for chunk in chunks:
        size = chunk.set_size
        with torch.no_grad():
            first = chunk.examples[slice(0, size)].to(device)
            for loss in losses:
                task.configure(loss, first)
            n_features = losses[0].features(*loss_arguments(task, first), size).shape[1] if gram else 1
        n_examples = max_numbers // (n_features * max(1, chunk.examples.preds[0].numel()))
        n_points = max(1, (min(BLOCK_EXAMPLES[device.type], n_examples) if gram else n_examples) // size)
        for i in range(0, len(chunk), n_points):
            part = chunk.select(torch.arange(i, min(i + n_points, len(chunk))))
            yield part.examples, size, part.values, part.is_trained


def _features_and_grams(
    losses: Sequence[Loss], feature_names: Sequence[str], task: Task, examples: Examples, set_size: int
) -> tuple[Tensor, Tensor]:
    """Features (n_rows, n_features) and Gram matrices (n_rows, n_features, n_features) of examples."""
    results = [_features_and_jacobian(loss, task, examples, set_size) for loss in losses]
    features = torch.cat([features for features, _ in results], 1)
    jacobian = torch.cat([jacobian for _, jacobian in results], 1)
    if len(losses) > 1:
        computed = [name for loss in losses for name in loss.network.feature_names()]
        index = torch.tensor([computed.index(name) for name in feature_names], device=features.device)
        features, jacobian = features.index_select(1, index), jacobian.index_select(1, index)
    return features, jacobian @ jacobian.transpose(1, 2)


def _features_and_jacobian(loss: Loss, task: Task, examples: Examples, set_size: int) -> tuple[Tensor, Tensor]:
    """Features (n_rows, n_features) and their Jacobian by the predictions, (n_rows, n_features, n_numbers)."""
    preds = examples.preds.float().requires_grad_(True)
    features = loss.features(*loss_arguments(task, examples.with_preds(preds)), set_size)
    n_rows, n_features = features.shape
    unit_vectors = torch.eye(n_features, device=preds.device)[:, None, :].expand(-1, n_rows, -1)
    (jacobian,) = torch.autograd.grad(features, preds, unit_vectors, is_grads_batched=True, materialize_grads=True)
    return features.detach(), (jacobian * task.unit(examples)).reshape(n_features, n_rows, -1).transpose(0, 1)
