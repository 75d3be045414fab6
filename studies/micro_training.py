"""Micro-training: what a loss gains in training tiny models on generated problems.

A problem is generated for each seed: a random network defines the target of an input, and a network too small to
learn it is trained, as in `studies.training`, with the regular loss alone and with a loss beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.examples import Examples
from autosurrogate.registry.metric_type import Metric
from studies.models._experiment import Data, Experiment, outputs, train
from studies.training._comparison import Loss, added, value

N_FEATURES, N_CLASSES, N_DOCUMENTS = 8, 10, 20
N_TRAIN = 512
TEACHER, STUDENT = 32, 8  # hidden units


@dataclass(frozen=True)
class Problem:
    """What tiny models of a task learn.

    Args:
        shape: of an example's inputs, before their features.
        n_outputs: of the networks, for each vector of features.
        target: of the teacher's outputs (n, *shape, n_outputs), with a generator.
        n_test: examples that are measured.
    """

    shape: tuple[int, ...]
    n_outputs: int
    target: Callable[[Tensor, torch.Generator], Tensor]
    n_test: int = 2048


def _rare(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """1 for the highest 3 to 30 %, with noise."""
    noisy = outputs[:, 0] + 0.5 * outputs.std() * torch.randn(len(outputs), generator=generator)
    positive_rate = 0.03 * 10 ** torch.rand((), generator=generator)
    return (noisy > noisy.quantile(1 - positive_rate)).long()


def _class(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """The largest output, of classes that are not equally frequent, with noise."""
    scaled = outputs / outputs.std() + 0.7 * torch.randn(N_CLASSES, generator=generator)
    return (scaled + 0.5 * torch.randn(scaled.shape, generator=generator)).argmax(1)


def _grade(outputs: Tensor, generator: torch.Generator) -> Tensor:
    """0 to 4, few of them high, with noise."""
    noisy = outputs[..., 0] + 0.5 * outputs.std() * torch.randn(outputs.shape[:-1], generator=generator)
    return torch.bucketize(noisy, noisy.flatten().quantile(torch.tensor([0.6, 0.8, 0.92, 0.98])))


PROBLEMS = {
    "classification": Problem((), N_CLASSES, _class),
    "ranking": Problem((N_DOCUMENTS,), 1, _grade, n_test=256),
    "scores": Problem((), 1, _rare),
}


def measured(metric: Metric, n_problems: int, loss: Loss | None = None, weight: float = 0.0) -> np.ndarray:
    """The metric of held-out examples once models are trained on problems, positive for better.

    Args:
        metric: of a task of `PROBLEMS`.
        n_problems: how many.
        loss: of a batch, added to the regular loss; that is alone by default.
        weight: of it.

    Returns:
        Shape (n_problems,), in the metric's unit; the same problems and starts whatever the loss.
    """
    sign = 1 if metric.higher_is_better else -1
    return sign * np.array([_trained(metric, loss, weight, seed) for seed in range(n_problems)])


def _trained(metric: Metric, loss: Loss | None, weight: float, seed: int) -> float:
    problem = PROBLEMS[metric.task]
    data = _drawn(problem, seed)
    experiment = Experiment(
        task=metric.task,
        load=lambda folder: data,
        build=partial(_network, STUDENT, problem.n_outputs),
        forward=partial(_forward, problem),
        n_steps=150,
        batch_size=64,
        learning_rate=1e-2,
        checkpoints=(),
    )
    model = train(experiment, data["train"], seed, loss=None if loss is None else added(loss), weight=weight)
    return value(metric, outputs(experiment, model, data["test"]))


def _drawn(problem: Problem, seed: int) -> dict[str, Data]:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        teacher = _network(TEACHER, problem.n_outputs)
    inputs = torch.randn(N_TRAIN + problem.n_test, *problem.shape, N_FEATURES, generator=generator)
    with torch.no_grad():
        target = problem.target(teacher(2 * inputs), generator)
    data = {"inputs": inputs, "target": target}
    return {
        "train": {name: array[:N_TRAIN] for name, array in data.items()},
        "test": {name: array[N_TRAIN:] for name, array in data.items()},
    }


def _network(width: int, n_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(N_FEATURES, width), nn.Tanh(), nn.Linear(width, n_outputs))


def _forward(problem: Problem, model: nn.Module, data: Data) -> Examples:
    preds = model(data["inputs"])
    return Examples(preds.squeeze(-1) if problem.n_outputs == 1 else preds, data["target"])
