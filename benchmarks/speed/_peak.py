"""Peak of memory of one loss, forward and backward, in a process of its own: DEVICE SHAPE [FILE]."""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL = 8  # examples of a call that loads what is loaded once


def random_batch(shape: tuple[int, ...], device: str) -> tuple[Tensor, Tensor]:
    """Logits of a shape whose last axis is classes, and targets."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator).to(device)
    return logits, torch.randint(shape[-1], shape[:-1], generator=generator).to(device)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The mean over all targets."""
    return F.cross_entropy(logits.flatten(0, -2), target.flatten())


def forward_backward(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> None:
    """Forward, and backward to the logits."""
    logits = logits.detach().requires_grad_()
    loss(logits, target).backward()  # type: ignore[no-untyped-call]


def main() -> None:
    """Print the peak in MiB."""
    device, shape, *file = sys.argv[1:]
    sizes = tuple(map(int, shape.split(",")))
    loss = torch.jit.load(file[0], map_location=device) if file else cross_entropy  # type: ignore[no-untyped-call]
    for _ in range(3):  # a scripted loss is compiled at its second call
        forward_backward(loss, *random_batch((2, *sizes[1:-1], SMALL), device))
    before = _held(device, "VmRSS")
    forward_backward(loss, *random_batch(sizes, device))
    print(_held(device, "VmHWM") - before)


def _held(device: str, what: str) -> float:
    """MiB now (VmRSS) or at the peak (VmHWM); `getrusage` would count the process before `exec`, too."""
    if device != "cpu":
        n_bytes = torch.cuda.memory_allocated(device) if what == "VmRSS" else torch.cuda.max_memory_allocated(device)
        return n_bytes / 2**20
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(f"{what}:"))


if __name__ == "__main__":
    main()
