"""Translation edit rate by sacrebleu."""

from __future__ import annotations

from sacrebleu.metrics import TER

from autosurrogate import metric

ter = TER()


@metric(task="sequence", level="sample", view="text", higher_is_better=False)
def translation_edit_rate(preds: str, target: str) -> float:
    """Edits and moved blocks per word of the reference, per cent."""
    return float(ter.sentence_score(preds, [target]).score)
