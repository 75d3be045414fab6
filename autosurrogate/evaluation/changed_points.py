"""Generated points, and the same ones with one property of their predictions changed."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from autosurrogate.examples import Examples
from autosurrogate.points import metric_calls, sampling
from autosurrogate.registry.metric_type import Metric
from autosurrogate.tasks import Task

ORDER = "the order of the examples"
JITTER = 1e-4  # by which predictions are moved, relative to their standard deviation


def generate(
    task: Task, metric: Metric, purpose: str, n_batches: int, n_points: int, seed: int
) -> Iterator[tuple[Examples, dict[str, Examples]]]:
    """Batches of examples of every quality, each with its changed versions by property, see `Task.perturbations`.

    Args:
        task: the metric's.
        metric: a set-level one is given whole sets.
        purpose: seeds the generator; points of another purpose are other ones.
        n_batches: each has its own sizes.
        n_points: of a batch.
        seed: of the points and of the changes.
    """
    generator = sampling.generator_of(seed, purpose)
    apart = sampling.generator_of(seed, f"{purpose}, without ties")
    set_size = metric_calls.set_size_of(metric)
    for _ in range(n_batches):
        severity = torch.rand(n_points, generator=generator)
        examples = _without_ties(task.generate(severity, generator, set_size, metric.view), apart)
        versions = dict(task.perturbations(examples, generator))
        if metric.level == "set":
            order = torch.cat([i * set_size + torch.randperm(set_size, generator=generator) for i in range(n_points)])
            versions[ORDER] = examples[order]
        yield examples, versions


def _without_ties(examples: Examples, generator: torch.Generator) -> Examples:
    """Examples of which no two predictions are exactly equal, as those of trained models are not.

    Which of equal ones comes first would else depend on their order, and so on every change of the order.
    """
    preds = examples.preds
    finite = preds.isfinite()
    if not finite.any():
        return examples
    noise = JITTER * preds[finite].std(correction=0) * torch.randn(preds.shape, generator=generator)
    return examples.with_preds(torch.where(finite, preds + noise.to(preds.dtype), preds))
