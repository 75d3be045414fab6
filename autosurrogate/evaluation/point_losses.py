"""The loss of each point, its gradient, and its rank correlation with the metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.rank_correlation.comparison import rank_agreement
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.surrogates import Loss, loss_arguments
from autosurrogate.tasks import Task

PointLosses = Callable[[Examples, int], Tensor]  # examples and set size to the loss of each point
BLOCK_NUMBERS = 4_000_000  # of predictions that are computed at a time


def loss_of_points(loss: Loss, task: Task) -> PointLosses:
    """A surrogate's loss of each point."""

    def of_points(examples: Examples, set_size: int) -> Tensor:
        task.configure(loss, examples)
        return loss.points(*loss_arguments(task, examples), set_size)

    return of_points


def regular_of_points(task: Task) -> PointLosses:
    """The regular loss of each point: the mean over its examples that have a target."""

    def of_points(examples: Examples, set_size: int) -> Tensor:
        per_example = task.regular_loss(examples).view(-1, set_size)
        has_target = task.has_target(examples)
        if has_target is None:
            return per_example.mean(1)
        weight = torch.as_tensor(has_target, device=per_example.device).view(-1, set_size).to(per_example.dtype)
        return (per_example * weight).sum(1) / weight.sum(1).clamp_min(1)

    return of_points


def blocks(examples: Examples, set_size: int) -> Iterator[Examples]:
    """The examples in pieces of whole points that fit in memory."""
    numbers_a_point = max(1, examples.preds[0].numel() * set_size)
    step = max(1, BLOCK_NUMBERS // numbers_a_point) * set_size
    for start in range(0, len(examples), step):
        yield examples[slice(start, start + step)]


def compare(losses: np.ndarray, chunks: Sequence[Chunk], higher_is_better: bool, seed: int = 0) -> Agreement:
    """Rank correlations of a loss with the metric over all points of the chunks, with their intervals.

    The bootstrap draws chunks, then points within each: the points of a chunk have one set size or about one length,
    and so are more alike than points of different chunks.
    """
    values = np.concatenate([chunk.values.numpy() for chunk in chunks])
    return rank_agreement(losses, values, higher_is_better, seed, [len(chunk) for chunk in chunks])


def spearman_on(of_points: PointLosses, chunks: Sequence[Chunk], higher_is_better: bool, device: torch.device) -> float:
    """Spearman's correlation of a loss with the metric over all points of the chunks, positive for agreement.

    NaN where a loss or the metric is constant.
    """
    values = np.concatenate([chunk.values.numpy() for chunk in chunks])
    return spearman(losses_on(of_points, chunks, device), values) * (-1.0 if higher_is_better else 1.0)


def losses_on(of_points: PointLosses, chunks: Sequence[Chunk], device: torch.device) -> np.ndarray:
    """The losses of all points of the chunks, shape (n_points,)."""
    losses: list[np.ndarray] = []
    with torch.no_grad():
        for chunk in chunks:
            for block in blocks(chunk.examples, chunk.set_size):
                losses.append(of_points(block.to(device), chunk.set_size).double().cpu().numpy())
    return np.concatenate(losses)


def gradient_norms(of_points: PointLosses, chunks: Iterable[Chunk], task: Task, device: torch.device) -> Tensor:
    """Norms of the points' gradients with respect to their predictions in the task's unit, shape (n_points,)."""
    norms: list[Tensor] = []
    for chunk in chunks:
        for block in blocks(chunk.examples, chunk.set_size):
            examples = block.to(device)
            gradients = gradient(of_points, examples, chunk.set_size) * task.unit(examples)
            norms.append(gradients.reshape(len(block) // chunk.set_size, -1).norm(dim=1).cpu())
    return torch.cat(norms)


def gradient(of_points: PointLosses, examples: Examples, set_size: int) -> Tensor:
    """The gradient of the points' losses with respect to their predictions, shape of `examples.preds`."""
    preds = examples.preds.float().detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(of_points(examples.with_preds(preds), set_size).sum(), preds)
    return gradient
