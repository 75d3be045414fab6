"""Entities of tagged sequences by seqeval."""

from __future__ import annotations

from seqeval.metrics import f1_score

from autosurrogate import metric

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC", "I-MISC")


def tags(tokens: list[int], n: int) -> list[str]:
    """The tags of n positions; what a short sequence lacks is outside of entities."""
    return [TAGS[token % len(TAGS)] for token in tokens[:n]] + ["O"] * (n - len(tokens))


def runs(tokens: list[int], n: int) -> list[str]:
    """Each run of equal tokens as an entity of that kind."""
    tokens = tokens[:n] + [-1] * (n - len(tokens))
    return [f"{'I' if i and tokens[i - 1] == t else 'B'}-{t}" for i, t in enumerate(tokens)]


@metric(task="sequence", view="tokens", set_size=16)
def entity_f1(preds: list[list[int]], target: list[list[int]]) -> float:
    """F1 of entities that are right in kind and bounds."""
    pairs = list(zip(preds, target, strict=True))
    return float(f1_score([tags(t, len(t)) for _, t in pairs], [tags(p, len(t)) for p, t in pairs], zero_division=0))


@metric(task="sequence", view="tokens", set_size=16)
def macro_f1_of_runs(preds: list[list[int]], target: list[list[int]]) -> float:
    """F1 of runs of equal tokens at the same place, averaged over the kinds of tokens."""
    pairs = list(zip(preds, target, strict=True))
    true, found = [runs(t, len(t)) for _, t in pairs], [runs(p, len(t)) for p, t in pairs]
    return float(f1_score(true, found, average="macro", zero_division=0))
