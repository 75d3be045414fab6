"""Errors of words by jiwer."""

from __future__ import annotations

import jiwer

from autosurrogate import metric


@metric(task="sequence", level="sample", view="text", higher_is_better=False)
def word_information_lost(preds: str, target: str) -> float:
    """1 less the product of the fractions of right words in hypothesis and reference."""
    return float(jiwer.wil(target, preds))


@metric(task="sequence", level="set", view="text", set_size=16, higher_is_better=False)
def deletion_rate(preds: list[str], target: list[str]) -> float:
    """Deleted words of all references, as a fraction of their words."""
    aligned = jiwer.process_words(target, preds)
    return float(aligned.deletions / (aligned.hits + aligned.substitutions + aligned.deletions))


@metric(task="sequence", level="set", view="text", set_size=16, higher_is_better=False)
def sentences_with_two_errors(preds: list[str], target: list[str]) -> float:
    """The fraction of sentences with two wrong words or more."""
    outputs = [jiwer.process_words(t, p) for p, t in zip(preds, target, strict=True)]
    return sum(o.substitutions + o.deletions + o.insertions >= 2 for o in outputs) / len(outputs)


@metric(task="span", level="set", view="text", set_size=64, higher_is_better=False)
def answer_word_error(preds: list[str], target: list[list[str]]) -> float:
    """The word error rate to the nearest right answer, at most 1."""
    rates = [min(jiwer.wer(t, p) for t in answers if t.strip()) for p, answers in zip(preds, target, strict=True)]
    return sum(min(rate, 1.0) for rate in rates) / len(rates)
