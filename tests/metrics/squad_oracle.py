"""SQuAD's scores of one answer, written from their description; and what real systems answered."""

from __future__ import annotations

import gzip
import itertools
import json
import string
from pathlib import Path
from typing import Any

#: system -> exact match and F1 in per cent, as the table beside the answers has them
LISTED = {
    "Logistic Regression Baseline (Stanford University)": (40.14, 50.98),
    "Match-LSTM with Ans-Ptr (Boundary+Ensemble) (Singapore Management University)": (67.63, 76.76),
    "SLQA+ (ensemble) (Alibaba iDST NLP)": (81.95, 88.38),
    "r-net+ (ensemble) (Microsoft Research Asia)": (82.47, 88.48),
    "BERT (ensemble) (Google AI Language)": (86.21, 92.20),
}


def normalised(answer: str) -> list[str]:
    """Words in lower case, without punctuation, without articles: an article has no letter or digit at either side."""
    kept = "".join(c for c in answer.lower() if c not in string.punctuation)
    runs = itertools.groupby(kept, key=lambda c: c.isalnum() or c == "_")
    parts = ["".join(run) for _, run in runs]
    return "".join(" " if part in ("a", "an", "the") else part for part in parts).split()


def exact(answer: str, golds: list[str]) -> int:
    return max((int(normalised(answer) == normalised(gold)) for gold in golds), default=0)


def f1(answer: str, golds: list[str]) -> float:
    best = 0.0
    for gold in golds:
        ours, theirs = normalised(answer), normalised(gold)
        common = [min(ours.count(word), theirs.count(word)) for word in set(ours)]
        if sum(common):
            precision, recall = sum(common) / len(ours), sum(common) / len(theirs)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def system_answers(data: Path) -> dict[str, list[tuple[str, list[str]]]]:
    """Each system's answers to the questions of SQuAD 1.1's development set, "" where it gave none, with the golds."""

    def read(name: str) -> Any:
        with gzip.open(data / "mrc" / name, "rt", encoding="utf-8") as file:
            return json.load(file)

    golds = {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in read("squad_v1.1_dev.json.gz")["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    systems = read("squad_v1.1_dev_system_predictions.json.gz")
    return {name: [(answers.get(i, ""), golds[i]) for i in golds] for name, answers in systems.items()}
