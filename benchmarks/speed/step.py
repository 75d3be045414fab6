"""One training step of a surrogate, beside the paper's recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.training.feature_table import FeatureTable, tabulate
from autosurrogate.training.loop import Settings, Tables, train
from benchmarks.speed import recipe
from benchmarks.speed._timing import Row, side_by_side

TITLE = "A training step"
ABOUT = """
Accuracy, the paper's network of 33 thousand parameters, λ = 10, on sets of ten classes that are generated and labelled.
Ours is the mean of twenty steps with a checkpoint at the end; its features and Gram matrices are computed once for all
steps of all trials, which is a row of its own. On a GPU the kernels of a step are captured after ten steps of a table,
and replayed.
"""
BASELINE = "the paper's recipe"
N_STEPS = 20
SETTINGS = Settings(N_STEPS, recipe.N_SETS, recipe.LEARNING_RATE, recipe.WEIGHT_DECAY, recipe.PENALTY)


def measure(device: str) -> Iterator[Row]:
    """Rows of 256 sets of 128."""
    theirs = recipe.Recipe(0, device)
    logits, target = (array.to(device) for array in recipe.random_sets(torch.Generator().manual_seed(0)))
    labels = recipe.accuracies(logits, target)
    chunk = as_chunk(logits, target)
    table = _table(chunk, device)
    variants: dict[str, Callable[[], object]] = {
        "the paper's recipe": lambda: theirs.step(logits, target, labels),
        "ours, pairwise ranks": partial(train_paper_network, table, "pairwise", device),
        "ours, diffsort's ranks": partial(train_paper_network, table, "diffsort", device),
        "the table of ours, once": partial(_table, chunk, device),
    }
    if device != "cpu":
        variants["ours, pairwise ranks, no CUDA graph"] = partial(
            train_paper_network, table, "pairwise", device, graphs=False
        )
    for row in side_by_side("256 sets of 128", variants, device):
        n_steps = N_STEPS if row.variant.startswith("ours") else 1
        yield replace(row, seconds=[s / n_steps for s in row.seconds], unit="step")


def as_chunk(logits: torch.Tensor, target: torch.Tensor) -> Chunk:
    """Labelled sets as this program keeps them: (n_sets, set_size, n_classes) and (n_sets, set_size)."""
    examples = Examples(logits.flatten(0, 1).cpu(), target.flatten().cpu())
    return Chunk(examples, logits.shape[1], recipe.accuracies(logits, target).double().cpu(), None)


def paper_network(seed: int = 0) -> Any:
    """The paper's network as this program builds it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return surrogates.build(tasks.get("classification"), "set", "target_probability", width=128, n_hidden=3)


def _table(chunk: Chunk, device: str) -> tuple[FeatureTable, ...]:
    return tabulate(paper_network(), tasks.get("classification"), [chunk], torch.device(device))


def train_paper_network(
    table: tuple[FeatureTable, ...], ranks: str, device: str, batch_points: int = recipe.N_SETS, *, graphs: bool = True
) -> None:
    """`N_STEPS` steps on labelled sets, and a checkpoint."""
    settings = replace(SETTINGS, soft_rank=ranks, steepness=recipe.STEEPNESS, batch_points=batch_points)
    train(paper_network().to(device), Tables(table, table), settings, higher_is_better=True, seed=0, graphs=graphs)
