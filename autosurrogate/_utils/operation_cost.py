"""What torch computes, counted: the same on every machine, idle or busy, where a time would not be."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Of the CPU, measured on networks of three tasks and within a factor of three of the time of each; of a GPU, estimated.
CALL_S = 2.5e-6  # of an operation, however small, with its part of autograd
NUMBER_S = {"cpu": 1.2e-9, "cuda": 2e-11}  # of a number that an operation writes
PRODUCT_S = {"cpu": 2e-10, "cuda": 1e-12}  # of a product that a matrix product adds up
MATRIX_PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.bmm, torch.ops.aten.addmm, torch.ops.aten.baddbmm)


class OperationCost(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no type hints
    """Counts the operations inside it, as seconds of a reference machine: one core, or one GPU of a data centre.

    Attributes:
        seconds: the sum so far.

    >>> with OperationCost() as cost:
    ...     numbers = torch.ones(1000) * 2
    >>> 0 < cost.seconds < 1e-3
    True
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seconds: float = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count it."""
        result = func(*args, **(kwargs or {}))
        self.seconds += CALL_S
        if func.is_view:
            return result
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                kind = tensor.device.type if tensor.device.type in NUMBER_S else "cpu"
                self.seconds += tensor.numel() * NUMBER_S[kind]
                if func.overloadpacket in MATRIX_PRODUCTS:
                    factors = [a for a in args if isinstance(a, torch.Tensor)][-2:]
                    self.seconds += tensor.numel() * factors[0].shape[-1] * PRODUCT_S[kind]
        return result
