"""Similarities of sequences and strings by rapidfuzz."""

from __future__ import annotations

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler, Levenshtein, Prefix

from autosurrogate import metric


@metric(task="sequence", level="sample", view="tokens")
def jaro_winkler(preds: list[int], target: list[int]) -> float:
    """Jaro-Winkler similarity of tokens."""
    return JaroWinkler.similarity(preds, target)


@metric(task="sequence", level="sample", view="tokens")
def right_prefix(preds: list[int], target: list[int]) -> float:
    """How far the sequence is right from its start, as a fraction of the longer one."""
    return Prefix.normalized_similarity(preds, target)


@metric(task="sequence", level="sample", view="text")
def token_set_ratio(preds: str, target: str) -> float:
    """Similarity of the sorted sets of words, per cent."""
    return fuzz.token_set_ratio(preds, target)


@metric(task="span", view="text", set_size=64)
def anls(preds: list[str], target: list[list[str]]) -> float:
    """ANLS: the similarity in characters to the nearest answer, 0 below a half (Biten et al., ICCV 2019)."""
    similarity = Levenshtein.normalized_similarity
    best = [max(similarity(p, t) for t in answers) for p, answers in zip(preds, target, strict=True)]
    return sum(s if s > 0.5 else 0.0 for s in best) / len(best)
