"""Generated examples that checks of tasks and networks use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.search import search_space
from autosurrogate.search.space import Choice, Range
from autosurrogate.tasks import Task


class Batches:
    """Batches of generated examples of a task, the same for the same seed.

    Args:
        task: the task.
        seed: of the generator.
    """

    def __init__(self, task: Task, seed: int) -> None:
        self._task, self._seed = task, seed

    def __call__(
        self, view: str, set_size: int = 1, n_points: int = 6, severity: float | None = None, n_batches: int = 4
    ) -> Iterator[Examples]:
        """`n_batches` batches of random sizes, with random severities unless one is given."""
        generator = torch.Generator().manual_seed(self._seed)
        for _ in range(n_batches):
            severities = torch.rand(n_points, generator=generator)
            severities = severities if severity is None else torch.full((n_points,), severity)
            yield self._task.generate(severities, generator, set_size, view)

    def as_model_outputs(self, *args: Any, **kwargs: Any) -> Iterator[Examples]:
        """The same batches in the shape of a model's outputs; arguments as of `__call__`."""
        return map(self._task.as_model_output, self(*args, **kwargs))


def padded(task: Task, examples: Examples, n: int = 2) -> Examples:
    """The same examples, `n` longer along every axis that the task pads."""
    arrays = {"preds": examples.preds, "target": examples.target, **examples.extras}
    for name, (value, axes) in task.padding.items():
        if name in arrays:
            for axis in axes:
                array = arrays[name]
                arrays[name] = F.pad(array, (0, 0) * (array.ndim - 2 - axis) + (0, n), value=value)
    return Examples(arrays.pop("preds"), arrays.pop("target"), arrays)


def settings(task: str, network: str) -> dict[str, Any]:
    """The first value of each of a network's settings in the task's search space; empty if the space lacks it."""
    entries = search_space.load(tasks.get(task)).networks.get(network, {})
    return {
        name: entry.options[0] if isinstance(entry, Choice) else entry.low if isinstance(entry, Range) else entry
        for name, entry in entries.items()
    }


def smallest_settings(task: str, network: str) -> dict[str, Any]:
    """Like `settings`, with the first entry of the shortest list of each setting that is a list.

    A network does the same for each entry of a list, such as a temperature, and an export traces each of them.
    """
    entries = search_space.load(tasks.get(task)).networks.get(network, {})
    options = {name: entry.options if isinstance(entry, Choice) else (entry,) for name, entry in entries.items()}
    lists = {name: values for name, values in options.items() if all(isinstance(value, list) for value in values)}
    return settings(task, network) | {name: min(values, key=len)[:1] for name, values in lists.items()}
