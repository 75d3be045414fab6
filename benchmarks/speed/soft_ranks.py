"""Soft ranks of one list, forward and backward."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from autosurrogate.rank_correlation.soft_ranks import soft_rank
from benchmarks.speed._timing import Row, side_by_side

TITLE = "Soft ranks, forward and backward"
ABOUT = """
One row of n numbers, steepness 5. *diffsort's matrices* are the library's, whose cost grows so fast that it is left out
at 4,096. torchsort and fast-soft-sort are timed where they are installed.
"""
BASELINE = "pairwise"
SIZES = (128, 512, 1024, 4096)
STEEPNESS = 5.0
MOST_DENSE = 1024


def measure(device: str) -> Iterator[Row]:
    """Rows of each size."""
    for size in SIZES:
        scores = torch.randn(1, size, generator=torch.Generator().manual_seed(size)).to(device)
        methods: dict[str, Callable[[Tensor], Tensor]] = {
            "pairwise": partial(soft_rank, method="pairwise", steepness=STEEPNESS),
            "diffsort": partial(soft_rank, method="diffsort", steepness=STEEPNESS),
            **_of_others(),
        }
        if size <= MOST_DENSE:
            methods["diffsort's matrices"] = _dense(size, device)
        calls = {name: partial(_forward_backward, method, scores) for name, method in methods.items()}
        yield from side_by_side(f"n = {size:,}", calls, device)


def _forward_backward(method: Callable[[Tensor], Tensor], scores: Tensor) -> None:
    moving = scores.clone().requires_grad_()
    method(moving).square().sum().backward()  # type: ignore[no-untyped-call]


def _dense(size: int, device: str) -> Callable[[Tensor], Tensor]:
    from diffsort import DiffSortNet

    network = DiffSortNet("bitonic", size, device, steepness=STEEPNESS, distribution="logistic_phi")
    places = torch.arange(1.0, size + 1, device=device)

    def ranks(scores: Tensor) -> Tensor:
        soft: Tensor = network(scores)[1] @ places
        return soft

    return ranks


def _of_others() -> dict[str, Callable[[Tensor], Tensor]]:
    """Soft ranks of other libraries, of those that are installed."""
    methods = {}
    for name, module in (("torchsort", "torchsort"), ("fast-soft-sort", "fast_soft_sort.pytorch_ops")):
        try:
            methods[name] = importlib.import_module(module).soft_rank
        except ImportError:
            continue
    return methods
