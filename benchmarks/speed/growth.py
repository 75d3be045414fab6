"""How cost grows with sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from autosurrogate import tasks
from autosurrogate.rank_correlation.soft_ranks import METHODS
from autosurrogate.training.feature_table import tabulate
from benchmarks.speed import _peak, recipe
from benchmarks.speed._fitted import loss_of
from benchmarks.speed._timing import Row, side_by_side
from benchmarks.speed.step import N_STEPS, as_chunk, paper_network, train_paper_network

TITLE = "How cost grows"
ABOUT = """
A step of the paper's network on accuracy, of 64 sets of 64 but for what varies; and a call of an exported BLEU loss,
forward and backward, on 16 sentences of 32 tokens of a vocabulary of 4,000 but for what varies.
"""
BASELINE = ""
SET_SIZES, POINTS = (32, 64, 128, 256, 512), (32, 64, 128, 256, 512)
LENGTHS, VOCABULARIES = (8, 16, 32, 64, 128), (500, 2000, 8000, 32000)


def measure(device: str) -> Iterator[Row]:
    """Rows of one size after the other."""
    yield from _of_steps("set size", {n: (64, n) for n in SET_SIZES}, device)
    yield from _of_steps("points a step", {n: (n, 64) for n in POINTS}, device)
    path = loss_of("bleu")
    yield from _of_losses("tokens", path, {n: (16, n, 4000) for n in LENGTHS}, device)
    yield from _of_losses("vocabulary", path, {n: (16, 32, n) for n in VOCABULARIES}, device)


def _of_steps(axis: str, sizes: dict[int, tuple[int, int]], device: str) -> Iterator[Row]:
    for size, (n_sets, set_size) in sizes.items():
        chunk = as_chunk(*recipe.random_sets(torch.Generator().manual_seed(0), n_sets, set_size))
        tables = tabulate(paper_network(), tasks.get("classification"), [chunk], torch.device(device))
        calls = {ranks: partial(train_paper_network, tables, ranks, device, n_sets) for ranks in METHODS}
        for row in side_by_side(axis, calls, device, n_repeats=3):
            seconds = [s / N_STEPS for s in row.seconds]
            yield replace(row, variant=f"a step, {row.variant}", seconds=seconds, unit="step", more={"size": size})


def _of_losses(axis: str, path: Path, shapes: dict[int, tuple[int, ...]], device: str) -> Iterator[Row]:
    loss = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    for size, shape in shapes.items():
        logits, target = _peak.random_batch(shape, device)
        calls: dict[str, Callable[[], None]] = {
            "the BLEU loss": partial(_peak.forward_backward, loss, logits, target),
            "cross-entropy": partial(_peak.forward_backward, _peak.cross_entropy, logits, target),
        }
        for row in side_by_side(axis, calls, device, n_repeats=5):
            yield replace(row, more={"size": size})
