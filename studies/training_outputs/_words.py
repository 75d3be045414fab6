"""Multi30k as words: short sentences in German and the translation's words of a small English vocabulary."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch

from studies.models._experiment import Data

PAD = -100
UNKNOWN, EOS, N_SPECIAL = 0, 1, 2  # numbers of English tokens; frequent words follow
N_ENGLISH, N_GERMAN = 200, 2000  # words, special ones included; German 0 pads and 1 is unknown
LONGEST = 12  # words of a sentence of either language, without the end
N_SENTENCES = {"train": 8000, "test": 300}
FILES = {"train": "train", "test": "test_2016_flickr"}

Pair = tuple[list[str], list[str]]


@cache
def translations(folder: Path) -> dict[str, Data]:
    """`source` int64 (n, LONGEST), 0 pads; `target` int64 (n, LONGEST + 1), ends with EOS, -100 pads."""
    pairs = {split: _short(folder, file, N_SENTENCES[split]) for split, file in FILES.items()}
    german = _numbers((de for de, _ in pairs["train"]), N_GERMAN, first=2)
    english = _numbers((en for _, en in pairs["train"]), N_ENGLISH, first=N_SPECIAL)
    return {
        split: {
            "source": torch.tensor([_padded([german.get(w, 1) for w in de], LONGEST, 0) for de, _ in sentences]),
            "target": torch.tensor(
                [_padded([*(english.get(w, UNKNOWN) for w in en), EOS], LONGEST + 1, PAD) for _, en in sentences]
            ),
        }
        for split, sentences in pairs.items()
    }


def _short(folder: Path, file: str, n: int) -> list[Pair]:
    with gzip.open(folder / "nmt" / f"multi30k.{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    words = [tuple(re.findall(r"\w+", pair[language].lower()) for language in ("de", "en")) for pair in pairs]
    return [(de, en) for de, en in words if max(len(de), len(en)) <= LONGEST][:n]


def _numbers(sentences: Iterable[list[str]], n: int, first: int) -> dict[str, int]:
    counts = Counter(word for sentence in sentences for word in sentence)
    return {word: first + k for k, (word, _) in enumerate(counts.most_common(n - first))}


def _padded(row: list[int], length: int, fill: int) -> list[int]:
    return row + [fill] * (length - len(row))
