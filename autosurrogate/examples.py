"""Examples: predictions with their targets, as tensors with a common first axis."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """A batch of predictions and targets of one kind of task.

    Args:
        preds: shape (n, ...), floating point, as the task defines them.
        target: shape (n, ...).
        extras: further arrays that the task has (`preds_mask` of a sequence), each of shape (n, ...).
    """

    preds: Tensor
    target: Tensor
    extras: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.target.shape[0])

    def __getitem__(self, index: Tensor | slice) -> Examples:
        return Examples(self.preds[index], self.target[index], {k: v[index] for k, v in self.extras.items()})

    def to(self, device: torch.device | str) -> Examples:
        """The same examples on `device`."""
        return Examples(
            self.preds.to(device), self.target.to(device), {k: v.to(device) for k, v in self.extras.items()}
        )

    def with_preds(self, preds: Tensor) -> Examples:
        """The same targets with other predictions."""
        return Examples(preds, self.target, self.extras)
