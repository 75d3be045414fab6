"""Several labels for each example: generated ones, and the words of a translation."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from autosurrogate.examples import Examples
from studies.models._experiment import Data, Experiment
from studies.training_outputs import _tables
from studies.training_outputs._networks import Build, both_heads, perceptron
from studies.training_outputs._recording import checkpoints, combine

N_STEPS, N_RECORDED = 1000, 768
N_LABELS, N_COUNTS = 14, 40  # generated: labels, and counts of words in a document
N_WORDS, N_BUCKETS, N_SENTENCES = 30, 512, 4000  # English words, hashes of German words, training sentences
SKIPPED = 3  # of the most frequent English words, which nearly every sentence has


def generated(folder: Path) -> dict[str, Data]:
    """Documents of several topics (`make_multilabel_classification`)."""
    from sklearn.datasets import make_multilabel_classification

    x, y = make_multilabel_classification(
        n_samples=3072, n_features=N_COUNTS, n_classes=N_LABELS, n_labels=3, length=30, random_state=0
    )
    return _tables.split(x, y)


@cache
def words(folder: Path) -> dict[str, Data]:
    """German sentences as hashed words, and which of the frequent English words their translations have (Multi30k)."""
    pairs = {split: _sentences(folder, file) for split, file in (("train", "train"), ("test", "test_2016_flickr"))}
    pairs["train"] = pairs["train"][:N_SENTENCES]
    counts = Counter(word for _, english in pairs["train"] for word in set(english))
    frequent = [word for word, _ in counts.most_common(SKIPPED + N_WORDS)][SKIPPED:]
    return {
        split: {
            "x": torch.from_numpy(np.stack([_hashed(german) for german, _ in sentences])),
            "y": torch.tensor([[int(word in english) for word in frequent] for _, english in sentences]),
        }
        for split, sentences in pairs.items()
    }


def _sentences(folder: Path, file: str) -> list[tuple[list[str], list[str]]]:
    with gzip.open(folder / "nmt" / f"multi30k.{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = map(json.loads, lines)
        german, english = zip(*((p["de"].lower(), p["en"].lower()) for p in pairs), strict=True)
    return [(re.findall(r"\w+", a), re.findall(r"\w+", b)) for a, b in zip(german, english, strict=True)]


def _hashed(sentence: list[str]) -> np.ndarray:
    row = np.zeros(N_BUCKETS, np.float32)
    for word in sentence:
        row[zlib.crc32(word.encode()) % N_BUCKETS] += 1
    return row


def forward(model: nn.Module, batch: Data) -> Examples:
    """Logits (n, K) and 0 or 1 (n, K)."""
    return Examples(model(batch["x"]), batch["y"])


def experiment(build: Build, load: Callable[[Path], dict[str, Data]]) -> Experiment:
    """What the data sets have in common."""
    return Experiment(
        task="scores",
        load=load,
        build=build,
        forward=forward,
        n_steps=N_STEPS,
        batch_size=64,
        learning_rate=5e-3,
        checkpoints=checkpoints(N_STEPS),
        n_recorded=N_RECORDED,
    )


def models(n_features: int, n_labels: int) -> dict[str, Build]:
    """Models of either data set."""
    return both_heads(
        {"linear": partial(perceptron, n_features, n_labels), "mlp": partial(perceptron, n_features, n_labels, 96)}
    )


RECORDINGS = combine(
    "labels",
    experiment,
    {"documents": {"load": generated}, "words": {"load": words}},
    {"documents": models(N_COUNTS, N_LABELS), "words": models(N_BUCKETS, N_WORDS)},
)
