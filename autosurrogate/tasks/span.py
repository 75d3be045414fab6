"""Spans: the first and the last position of an answer in a passage."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes, _span_logits, _span_text
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw

FAR = 1e4  # logits beyond are clipped


class SpanTask(Task):
    """preds: start and end logits (n, 2, L), -inf where masked; target: first and last position (n, 2), inclusive.

    The predicted span is that of the largest start logit + end logit among all with start <= end, however long; of
    equals the one that ends first, then the one that starts first.

    For the view "text": text, code points (n, n_characters), 0 pads; offsets (n, L, 2), the first and the end
    character of each position; answers (n, A, 2), further right spans, padded with -1.
    """

    name = "span"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED, _regimes.SATURATED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "positions": {"sample": (np.ndarray, np.ndarray), "set": (np.ndarray, np.ndarray)},
        "text": {"sample": (str, list[str]), "set": (list[str], list[list[str]])},
    }
    argument_names = ("logits", "spans")
    metric_extras = ("text", "offsets", "answers")
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {
        "preds": (-torch.inf, (1,)),
        "text": (0, (0,)),
        "offsets": (0, (0,)),
        "answers": (-1, (0,)),
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Logits that peak at the target's span, or at one that is shifted, cut, stretched, elsewhere, or ambiguous.

        How often a span is wrong, and how far, follows the severity. The examples of a point share the scale of
        their logits. Texts of words, articles and punctuation are generated only for the view "text".
        """
        draw = Draw(generator)
        examples = _span_logits.generate(severity, draw, set_size)
        if view != "text":
            return examples
        return Examples(examples.preds, examples.target, _span_text.generate(examples, draw))

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Logits of untrained, collapsed and saturated models; those that prefer positions do so in all of a set."""
        preds = _span_logits.in_regime(examples.preds, regime, Draw(generator), set_size)
        return examples.with_preds(preds)

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Arrays (n, 2) of first and last positions; or texts, and for each a list of right ones, the target first."""
        preds, target = best_spans(examples.preds).cpu().numpy(), examples.target.long().cpu().numpy()
        if view != "text":
            return preds, target
        for name in ("text", "offsets"):
            if name not in examples.extras:
                raise OutputsError(f"there is no array {name!r}, which a metric of text needs; record it, too")
        text, offsets = (examples.extras[name].cpu().numpy() for name in ("text", "offsets"))
        answers = examples.extras.get("answers")
        right = target[:, None] if answers is None else np.concatenate([target[:, None], answers.cpu().numpy()], 1)
        return _span_text.of_spans(text, offsets, preds), _span_text.of_answers(text, offsets, right)

    def regular_loss(self, examples: Examples) -> Tensor:
        """The mean of the cross-entropies of start and end."""
        logits = examples.preds.float().clamp(-FAR, FAR)
        target = examples.target.long()
        return F.cross_entropy(logits.transpose(1, 2), target, reduction="none").mean(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, 2, L) floating point; target (n, 2) integer, start <= end; and the arrays of the text, if any."""
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, 2, n_positions)", 3)
        expect_shape("target", target, "(n, 2)", 2)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.integer)
        for name, array in (("preds", preds), ("target", target)):
            if array.shape[1] != 2:
                raise OutputsError(f"{name} must have 2 columns, of start and end, got {array.shape}")
        _check_spans("target", target, preds.shape[2], "")
        _check_text(arrays)
        if "answers" in arrays:
            answers = arrays["answers"]
            expect_shape("answers", answers, "(n, n_answers, 2)", 3)
            expect_dtype("answers", answers, np.integer)
            is_span = ~(answers == -1).all(-1)
            _check_spans("answers", answers[is_span], preds.shape[2], ", or -1 and -1 for padding")


def _check_text(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `OutputsError` unless text and offsets fit each other, or both are missing."""
    text, offsets = arrays.get("text"), arrays.get("offsets")
    if text is None and offsets is None:
        return
    if text is None or offsets is None:
        present, missing = ("text", "offsets") if offsets is None else ("offsets", "text")
        raise OutputsError(f"holds {present} without {missing}; the text of a position needs both")
    expect_shape("text", text, "(n, n_characters)", 2)
    expect_dtype("text", text, np.integer)
    expect_dtype("offsets", offsets, np.integer)
    n, _, n_positions = arrays["preds"].shape
    if offsets.shape != (n, n_positions, 2):
        raise OutputsError(f"offsets must have shape {(n, n_positions, 2)}, got {offsets.shape}")
    if text.size and not (0 <= text.min() and text.max() <= sys.maxunicode):
        raise OutputsError(f"text must hold code points, 0 to {sys.maxunicode}, got {text.min()} to {text.max()}")
    first, end = offsets[..., 0], offsets[..., 1]
    wrong = (first < 0) | (first > end) | (end > text.shape[1])
    if wrong.any():
        row, position = np.argwhere(wrong)[0]
        raise OutputsError(
            f"offsets holds {offsets[row, position].tolist()} in row {row}, position {position}; expected first <= end "
            f"character, both 0 to {text.shape[1]}"
        )


def _check_spans(name: str, spans: np.ndarray, n_positions: int, otherwise: str) -> None:
    wrong = (spans[:, 0] < 0) | (spans[:, 1] >= n_positions) | (spans[:, 0] > spans[:, 1])
    if wrong.any():
        span = spans[int(wrong.argmax())].tolist()
        raise OutputsError(
            f"{name} holds the span {span}; expected first <= last position, both 0 to {n_positions - 1}{otherwise}"
        )


def best_spans(preds: Tensor) -> Tensor:
    """First and last position of the best span, shape (n, 2).

    Args:
        preds: start and end logits, shape (n, 2, L); -inf where masked. Where no span is possible it is (0, 0).
    """
    start, end = preds.float().unbind(1)
    best_start = start.cummax(1).values  # the best up to each position
    before = F.pad(best_start, (1, 0), value=-torch.inf)[:, :-1]
    where = torch.where(start > before, torch.arange(start.shape[1], device=start.device), 0).cummax(1).values
    last = (best_start + end).nan_to_num(-torch.inf).argmax(1, keepdim=True)
    return torch.cat([where.gather(1, last), last], 1)


TASK = SpanTask()
