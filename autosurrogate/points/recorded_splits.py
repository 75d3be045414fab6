"""Which recorded outputs are for training, which for validation and which for the test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.outputs.reader import Recorded
from autosurrogate.points.metric_calls import set_size_of
from autosurrogate.points.sampling import generator_of
from autosurrogate.registry.metric_type import Metric

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}
MAX_POINTS = {"sample": 8192, "set": 1024}  # of all files together


def split_recorded(recorded: Sequence[Recorded], metric: Metric, seed: int) -> list[dict[str, Examples]]:
    """The examples of each file that are taken for training, validation and test; sets are of one source each.

    Raises:
        OutputsError: a file has too few rows.
    """
    set_size = set_size_of(metric)
    splits_of_files: list[dict[str, Examples]] = []
    for number, outputs in enumerate(recorded):
        order = torch.randperm(len(outputs), generator=generator_of(seed, "split", number))
        ends = np.cumsum([0, *(round(fraction * len(outputs)) for fraction in FRACTIONS.values())])
        splits: dict[str, Examples] = {}
        for k, (split, fraction) in enumerate(FRACTIONS.items()):
            rows = order[ends[k] : ends[k + 1]]
            selected = outputs[rows] if metric.level == "sample" else _in_sets(outputs, rows, set_size, seed)
            max_examples = max(2, int(MAX_POINTS[metric.level] * fraction / len(recorded))) * set_size
            splits[split] = selected.examples[slice(0, max_examples)]
            if len(splits[split]) < 2 * set_size:
                minimum = math.ceil(2 * set_size / min(FRACTIONS.values()))
                per = "rows" if metric.level == "sample" else f"rows of one source, for sets of {set_size}"
                raise OutputsError(
                    f"{outputs.name}: has too few rows for a fit and its test: {len(outputs)} of "
                    f"{len(np.unique(outputs.source.numpy()))} source(s); it takes about {minimum:,} {per}, or more"
                )
        splits_of_files.append(splits)
    return splits_of_files


def _in_sets(outputs: Recorded, rows: Tensor, set_size: int, seed: int) -> Recorded:
    """The rows in sets, row after row; the sets in any order. None of them if no source has enough."""
    generator = generator_of(seed, "sets")
    selected = outputs[rows]
    if np.unique(selected.source.numpy(), return_counts=True)[1].max() < set_size:
        return selected[rows[:0]]
    sets = selected.sets(set_size, generator)
    return selected[sets[torch.randperm(len(sets), generator=generator)].flatten()]
