"""Sentence GLEU (Wu et al., 2016, arXiv 1609.08144), as a user would bring it."""

import nltk.translate.gleu_score

from autosurrogate import metric


@metric("gleu", task="sequence", level="sample", view="tokens", higher_is_better=True)
def gleu(preds: list, target: list) -> float:
    """The smaller of precision and recall over all n-grams of 1 to 4 tokens."""
    return float(nltk.translate.gleu_score.sentence_gleu([target], preds))
