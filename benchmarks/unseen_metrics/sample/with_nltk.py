"""Metrics of translation by nltk."""

from __future__ import annotations

from nltk.translate.lepor import sentence_lepor
from nltk.translate.nist_score import sentence_nist
from nltk.translate.ribes_score import sentence_ribes

from autosurrogate import metric


@metric(task="sequence", level="sample", view="tokens")
def ribes(preds: list[int], target: list[int]) -> float:
    """RIBES: rank correlation of the positions of matched tokens, times precision and brevity."""
    return float(sentence_ribes([[str(t) for t in target]], [str(p) for p in preds]))


@metric(task="sequence", level="sample", view="text")
def lepor(preds: str, target: str) -> float:
    """LEPOR: length penalty, penalty of displaced words, and harmonic mean of precision and recall."""
    return float(sentence_lepor([target], preds, tokenizer=str.split)[0])


@metric(task="sequence", level="sample", view="tokens")
def nist_of_bigrams(preds: list[int], target: list[int]) -> float:
    """NIST up to bigrams: n-grams weighted by how rare they are in the reference."""
    return float(sentence_nist([target], preds, n=2))
