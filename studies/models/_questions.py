"""Questions on passages (SQuAD's format) as arrays: tokens, offsets, gold spans, what a word looks like."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from studies.models._experiment import Data

FILES = ("squad_v1.1_dev.json.gz", "squadshifts_new_wiki_v1.0.json.gz")
MAX_PASSAGE, MAX_QUESTION, MAX_ANSWERS = 250, 32, 4  # tokens, tokens, gold spans beside the target
N_WORDS, N_AFFIXES = 1 << 14, 1 << 12  # buckets of hashes; 0 pads
LOOKS = ("capital", "capitals", "digits", "year", "punctuation", "first of sentence")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[^\w\s]|\S")


@dataclass(frozen=True)
class _Text:
    """A text in tokens.

    Args:
        text: as it was.
        offsets: first and end character of each token.
        words: the tokens in lower case.
        ids: shape (n_tokens, 3), hashes of each word, of its beginning and of its end.
        looks: shape (n_tokens, len(LOOKS)), 0 or 1.
    """

    text: str
    offsets: list[tuple[int, int]]
    words: list[str]
    ids: np.ndarray
    looks: np.ndarray


def load(folder: Path) -> dict[str, Data]:
    """The splits of the folder `mrc/`: no title is in two of them.

    The test split is the folder's own; every tenth title of the others makes the validation split. Passages of more
    than 250 tokens are left out. Validation and test also have what a metric of text needs.
    """
    mrc = folder / "mrc"
    titles = json.loads((mrc / "split.json").read_text())["test"]
    rows: dict[str, list[dict[str, np.ndarray]]] = {"train": [], "validation": [], "test": []}
    paragraphs = list(_paragraphs(mrc))
    weights = _rarity(text for _, text, _ in paragraphs)
    others = sorted({title for title, _, _ in paragraphs if title not in titles})
    for title, passage, questions in paragraphs:
        if len(passage.words) <= MAX_PASSAGE:
            split = "test" if title in titles else "train" if others.index(title) % 10 else "validation"
            rows[split] += [_row(passage, q, weights, split != "train") for q in questions]
    generator = torch.Generator().manual_seed(0)
    splits: dict[str, Data] = {}
    for split, examples in rows.items():
        order = torch.randperm(len(examples), generator=generator).tolist()
        splits[split] = {name: _stacked([examples[i][name] for i in order], name) for name in examples[0]}
    return splits


def _paragraphs(mrc: Path) -> Iterator[tuple[str, _Text, list[dict[str, Any]]]]:
    for file in FILES:
        with gzip.open(mrc / file, "rt", encoding="utf-8") as stream:
            articles = json.load(stream)["data"]
        for article in articles:
            for paragraph in article["paragraphs"]:
                yield article["title"], _tokenised(paragraph["context"]), paragraph["qas"]


def _tokenised(text: str) -> _Text:
    tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]
    words = [token.lower() for token, _, _ in tokens]
    ids = [(_hash(w, N_WORDS), _hash(w[:4], N_AFFIXES), _hash(f"-{w[-3:]}", N_AFFIXES)) for w in words]
    looks = [
        (
            token[0].isupper(),
            len(token) > 1 and token.isupper(),
            token[0].isdigit(),
            token.isdigit() and len(token) == 4,
            not token[0].isalnum(),
            i == 0 or tokens[i - 1][0] in ".?!",
        )
        for i, (token, _, _) in enumerate(tokens)
    ]
    offsets = [(start, end) for _, start, end in tokens]
    return _Text(text, offsets, words, np.array(ids, np.int32).reshape(-1, 3), np.array(looks, np.uint8))


def _hash(word: str, n_buckets: int) -> int:
    return 1 + zlib.crc32(word.encode()) % (n_buckets - 1)


def _rarity(passages: Iterable[_Text]) -> dict[str, float]:
    """How rare a word is among the passages, about 0 to 1."""
    counts: Counter[str] = Counter()
    n_passages = 0
    for passage in passages:
        counts.update(set(passage.words))
        n_passages += 1
    return {word: math.log(n_passages / count) / math.log(n_passages) for word, count in counts.items()}


def _row(passage: _Text, asked: dict[str, Any], weights: dict[str, float], with_text: bool) -> dict[str, np.ndarray]:
    question = _tokenised(asked["question"])
    golds = Counter(_span(passage, a["answer_start"], a["answer_start"] + len(a["text"])) for a in asked["answers"])
    (target, _), *others = golds.most_common(1 + MAX_ANSWERS)  # of equally frequent ones the first
    row = {
        "passage": passage.ids,
        "looks": passage.looks,
        "question": question.ids[:MAX_QUESTION],
        "rarity": np.array([weights.get(w, 1.0) for w in question.words[:MAX_QUESTION]], np.float32),
        "target": np.array(target),
    }
    if with_text:
        row["text"] = np.array([ord(c) for c in passage.text], np.int32)
        row["offsets"] = np.array(passage.offsets, np.int32)
        row["answers"] = np.array([span for span, _ in others], np.int64).reshape(-1, 2)
    return row


def _span(passage: _Text, start: int, end: int) -> tuple[int, int]:
    """First and last token that have characters in common with [start, end)."""
    inside = [i for i, (first, last) in enumerate(passage.offsets) if last > start and first < end]
    return inside[0], inside[-1]


_LENGTHS = {
    "passage": MAX_PASSAGE, "looks": MAX_PASSAGE, "offsets": MAX_PASSAGE, "question": MAX_QUESTION,
    "rarity": MAX_QUESTION, "answers": MAX_ANSWERS,
}  # fmt: skip


def _stacked(rows: list[np.ndarray], name: str) -> Tensor:
    """One array, rows padded at their ends to a common length: gold spans with -1, others with 0."""
    if name == "target":
        return torch.from_numpy(np.stack(rows))
    length = _LENGTHS.get(name) or max(len(row) for row in rows)
    stacked = np.full((len(rows), length, *rows[0].shape[1:]), -1 if name == "answers" else 0, rows[0].dtype)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = row
    return torch.from_numpy(stacked)
