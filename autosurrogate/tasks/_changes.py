"""Changes of predictions and targets that leave their quality as it is, see `Task.changes`."""

from __future__ import annotations

import torch

from autosurrogate.examples import Examples

#: What changes are called that networks may be made for, see `unseen.narrowed`.
WHICH_CLASS = "which class is which"
HOW_SURE = "how sure the probabilities are"


def renumbered(examples: Examples, axis: int, generator: torch.Generator, *, keep: int = 0) -> Examples:
    """The same classes or tokens under other numbers, drawn once for all examples.

    Args:
        examples: target holds numbers, of which those below 0 stand for none.
        axis: of preds, along which numbers are counted.
        generator: source of the numbers.
        keep: the first so many numbers stay what they are.
    """
    n_free = examples.preds.shape[axis] - keep
    to = torch.cat([torch.arange(keep), keep + torch.randperm(n_free, generator=generator)])
    target = examples.target.long()
    return Examples(
        torch.empty_like(examples.preds).index_copy_(axis, to, examples.preds),
        torch.where(target >= 0, to[target.clamp_min(0)], target),
        examples.extras,
    )


def reordered(examples: Examples, axis: int, generator: torch.Generator, *extras: str) -> Examples:
    """Preds, target and the named extras in another order along an axis, drawn once for all examples."""
    order = torch.randperm(examples.preds.shape[axis], generator=generator)
    moved = {name: examples.extras[name].index_select(axis, order) for name in extras if name in examples.extras}
    preds, target = (array.index_select(axis, order) for array in (examples.preds, examples.target))
    return Examples(preds, target, {**examples.extras, **moved})
