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
from autosurrogate.points import sampling
from autosurrogate.registry.metric_type import Metric

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
MOST = {"sample": 8192, "set": 1024}  # points of all files together


def split_recorded(recorded: Sequence[Recorded], metric: Metric, seed: int) -> list[dict[str, Examples]]:
    """The examples of each file that are taken for training, validation and test; sets are of one source each.

    Raises:
        OutputsError: a file has too few rows.
    """
    set_size = sampling.set_size_of(metric)
    found: list[dict[str, Examples]] = []
    for number, one in enumerate(recorded):
        order = torch.randperm(len(one), generator=sampling.generator_of(seed, "split", number))
        ends = np.cumsum([0, *(round(share * len(one)) for share in SHARES.values())])
        parts: dict[str, Examples] = {}
        for k, (split, share) in enumerate(SHARES.items()):
            rows = order[ends[k] : ends[k + 1]]
            part = one[rows] if metric.level == "sample" else _in_sets(one, rows, set_size, seed)
            most = max(2, int(MOST[metric.level] * share / len(recorded))) * set_size
            parts[split] = part.examples[slice(0, most)]
            if len(parts[split]) < 2 * set_size:
                least = math.ceil(2 * set_size / min(SHARES.values()))
                per = "rows" if metric.level == "sample" else f"rows of one source, for sets of {set_size}"
                raise OutputsError(
                    f"{one.name}: has too few rows to fit to and to judge by: {len(one)} of "
                    f"{len(np.unique(one.source.numpy()))} source(s); it takes about {least:,} {per}, or more"
                )
        found.append(parts)
    return found


def _in_sets(one: Recorded, rows: Tensor, set_size: int, seed: int) -> Recorded:
    """The rows in sets, row after row; the sets in any order. None of them if no source has enough."""
    generator = sampling.generator_of(seed, "sets")
    part = one[rows]
    if np.unique(part.source.numpy(), return_counts=True)[1].max() < set_size:
        return part[rows[:0]]
    sets = part.sets(set_size, generator)
    return part[sets[torch.randperm(len(sets), generator=generator)].flatten()]
