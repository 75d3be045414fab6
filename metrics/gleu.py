"""Sentence GLEU."""

from __future__ import annotations

from autosurrogate import metric

COMPUTED_BY = "nltk"


@metric("gleu", task="sequence", level="sample", view="tokens")
def gleu(preds: list[int], target: list[int]) -> float:
    """GLEU of one sentence (Wu et al., 2016, arXiv 1609.08144, section 8) as nltk computes it, in [0, 1].

    The smaller of precision and recall over all n-grams of 1 to 4 tokens together; an n-gram counts as often as both
    sides have it. Two empty sentences score 0.

    Args:
        preds: the hypothesis.
        target: its reference.

    >>> round(gleu([7, 3, 9, 4, 1], [7, 3, 9, 4, 2]), 4)
    0.7143
    """
    from nltk.translate.gleu_score import sentence_gleu

    return float(sentence_gleu([target], preds))
