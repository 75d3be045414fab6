"""Changes that a task's networks may not see, see `Task.perturbations`."""

from __future__ import annotations

import torch

from autosurrogate.examples import Examples

#: Names of perturbations that some networks are made for, see `evaluation.invariances.excluded_networks`.
WHICH_CLASS = "which class is which"
HOW_SURE = "how sure the probabilities are"


def renumbered(examples: Examples, axis: int, generator: torch.Generator, *, n_fixed: int = 0) -> Examples:
    """The same classes or tokens under other random numbers, the same for all examples.

    Args:
        examples: target holds numbers, of which those below 0 stand for none.
        axis: of preds, along which numbers are counted.
        generator: source of the numbers.
        n_fixed: the first `n_fixed` numbers stay.
    """
    n_free = examples.preds.shape[axis] - n_fixed
    to = torch.cat([torch.arange(n_fixed), n_fixed + torch.randperm(n_free, generator=generator)])
    target = examples.target.long()
    return Examples(
        torch.empty_like(examples.preds).index_copy_(axis, to, examples.preds),
        torch.where(target >= 0, to[target.clamp_min(0)], target),
        examples.extras,
    )


def reordered(examples: Examples, axis: int, generator: torch.Generator, *extras: str) -> Examples:
    """Preds, target and the named extras in another random order along an axis, the same for all examples."""
    order = torch.randperm(examples.preds.shape[axis], generator=generator)
    present = [name for name in extras if name in examples.extras]
    reordered_extras = {name: examples.extras[name].index_select(axis, order) for name in present}
    preds, target = (array.index_select(axis, order) for array in (examples.preds, examples.target))
    return Examples(preds, target, {**examples.extras, **reordered_extras})
