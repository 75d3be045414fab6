"""An exported loss, forward and backward, beside cross-entropy on the same logits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.speed import _peak
from benchmarks.speed._fitted import loss_of
from benchmarks.speed._timing import Row, side_by_side

TITLE = "The exported loss"
ABOUT = """
Forward and backward on float32 logits; the peak of memory, in MiB, is that of a process beyond what it holds before the
logits are made (on a GPU, what is allocated at most), the logits and their gradient included. On a GPU small tensors
cost the launches of hundreds of kernels; `torch.cuda.make_graphed_callables` launches them at once, see
[CUDA graphs](../how-to/use-a-loss.md#cuda-graphs).
"""
BASELINE = "cross-entropy"
CAPTURED = "exported, in a CUDA graph"
SHAPES = {"bleu": (64, 32, 32000), "normalized_edit_distance": (64, 32, 32000), "accuracy": (1024, 1000)}


def measure(device: str) -> Iterator[Row]:
    """Rows of sentences of a large vocabulary, and of many classes."""
    for metric, shape in SHAPES.items():
        path = loss_of(metric)
        logits, target = _peak.random_batch(shape, device)
        loss = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
        calls: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cross-entropy": _peak.cross_entropy, "exported": loss}
        if device != "cpu":
            calls[CAPTURED] = torch.cuda.make_graphed_callables(  # type: ignore[no-untyped-call]
                lambda preds, target, loss=loss: loss(preds, target), (logits.clone().requires_grad_(), target)
            )
        timed = {name: partial(_peak.forward_backward, call, logits, target) for name, call in calls.items()}
        files = {"cross-entropy": None, "exported": path}
        setting = f"{metric}, logits ({', '.join(map(str, shape))})"
        for row in side_by_side(setting, timed, device):
            more = {} if row.variant == CAPTURED else {"peak_mib": _peak_of(files[row.variant], shape, device)}
            yield replace(row, more=more)


def _peak_of(path: Path | None, shape: tuple[int, ...], device: str) -> float:
    """Of a process of its own."""
    arguments = [device, ",".join(map(str, shape)), *([] if path is None else [str(path)])]
    command = [sys.executable, "-m", "benchmarks.speed._peak", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
