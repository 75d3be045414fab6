"""Sequences of tokens: a hypothesis of T positions for a reference of S tokens; the lengths may differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.tasks import _regimes
from autosurrogate.tasks._base import Task, expect_dtype, expect_shape
from autosurrogate.tasks._draw import Draw
from autosurrogate.tasks._perturbations import renumbered
from autosurrogate.tasks._sequence_generator import generate
from autosurrogate.tasks._sequence_positions import IGNORE_INDEX as IGNORE_INDEX
from autosurrogate.tasks._sequence_positions import hypothesis_positions, reference_positions


class SequenceTask(Task):
    """preds: logits (n, T, V); target: token (n, S), -100 pads; preds_mask: bool (n, T), the hypothesis's positions.

    eos_id and blank_id: the token that ends a sequence and the blank of CTC, integer (n,), the same in all rows; -1 or
    left out: none.
    """

    name = "sequence"
    regimes = (_regimes.UNTRAINED, _regimes.COLLAPSED, _regimes.SATURATED)
    views: ClassVar[Mapping[str, Mapping[str, tuple[Any, Any]]]] = {
        "text": {"sample": (str, str), "set": (list[str], list[str])},
        "tokens": {"sample": (list[int], list[int]), "set": (list[list[int]], list[list[int]])},
    }
    argument_names = ("logits", "tokens")
    extras = ("preds_mask",)
    metric_extras: ClassVar[tuple[str, ...]] = ("eos_id", "blank_id")
    padding: ClassVar[Mapping[str, tuple[float, tuple[int, ...]]]] = {
        "preds": (0, (0,)),
        "target": (IGNORE_INDEX, (0,)),
        "preds_mask": (False, (0,)),
    }

    advice: ClassVar[Mapping[str, str]] = {
        "how tokens are spelled": "--tokenizer FILE (a tokenizer.json, or a list of tokens) lets it see them"
    }

    def generate(self, severity: Tensor, generator: torch.Generator, set_size: int = 1, view: str = "") -> Examples:
        """Hypotheses that are edits of their references, and more or less confident logits.

        Substitutions, omissions, repetitions, insertions, swaps, moved blocks and cut ends, in proportions drawn
        for each example; the number of edits follows the severity. References are sentences or words.
        """
        return generate(severity, set_size, Draw(generator))

    def in_regime(self, regime: str, examples: Examples, set_size: int, generator: torch.Generator) -> Examples:
        """Logits of untrained, collapsed and saturated models; a preferred token is so at all positions of a set."""
        draw, vocabulary = Draw(generator), examples.preds.shape[2]
        logits = examples.preds.reshape(len(examples) // set_size, -1, vocabulary)
        if regime == _regimes.UNTRAINED:
            logits = _regimes.with_noise(logits, draw)
        return examples.with_preds(_regimes.of_logits(logits, regime, draw).view_as(examples.preds))

    def decode(self, examples: Examples, view: str) -> tuple[Any, Any]:
        """Lists of tokens, or their numbers joined by spaces, without padding, blanks and ends."""
        eos_id, blank_id = _ids(examples)
        preds, preds_mask = examples.preds, examples.extras.get("preds_mask")
        _, hyp_mask = hypothesis_positions(preds, examples.target, preds_mask, eos_id, blank_id)
        hypotheses = _rows(preds.argmax(-1), hyp_mask)
        references = _rows(examples.target, reference_positions(examples.target, eos_id))
        if view == "tokens":
            return hypotheses, references
        return [" ".join(map(str, row)) for row in hypotheses], [" ".join(map(str, row)) for row in references]

    def configure(self, loss: Any, examples: Examples) -> None:
        """Set the ids of the end and of the blank."""
        loss.eos_id, loss.blank_id = _ids(examples)

    def perturbations(self, examples: Examples, generator: torch.Generator) -> Mapping[str, Examples]:
        """Other numbers for the tokens, which changes their spelling."""
        return {"how tokens are spelled": renumbered(examples, 2, generator)}

    def regular_loss(self, examples: Examples) -> Tensor:
        """CTC's loss by the number of tokens if there is a blank (Graves et al., ICML 2006), else cross-entropy.

        Cross-entropy is the mean over the positions that both hypothesis and reference have.
        """
        eos_id, blank_id = _ids(examples)
        if blank_id >= 0:
            return _ctc_loss(examples, eos_id, blank_id)
        n_common = min(examples.preds.shape[1], examples.target.shape[1])
        target = examples.target[:, :n_common].long()
        mask = examples.extras.get("preds_mask")
        if mask is not None:
            target = target.masked_fill(~mask[:, :n_common], IGNORE_INDEX)
        per_token = F.cross_entropy(
            examples.preds[:, :n_common].float().transpose(1, 2), target, reduction="none", ignore_index=IGNORE_INDEX
        )
        return per_token.sum(-1) / (target != IGNORE_INDEX).sum(-1).clamp_min(1)

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Preds (n, T, V) floating point; target (n, S) integer in [0, V) or -100; preds_mask (n, T) bool.

        eos_id and blank_id (n,) integer, in [-1, V), the same in all rows; no target is the blank.
        """
        preds, target = arrays["preds"], arrays["target"]
        expect_shape("preds", preds, "(n, n_positions, vocabulary)", 3)
        expect_shape("target", target, "(n, n_tokens)", 2)
        expect_dtype("preds", preds, np.floating)
        expect_dtype("target", target, np.integer)
        vocabulary = preds.shape[2]
        wrong = (target != IGNORE_INDEX) & ((target < 0) | (target >= vocabulary))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise OutputsError(
                f"target holds {target[row, column]} in row {row}, position {column}; expected 0 to {vocabulary - 1}, "
                f"or {IGNORE_INDEX} for padding"
            )
        if "preds_mask" in arrays:
            mask = arrays["preds_mask"]
            if mask.shape != preds.shape[:2]:
                raise OutputsError(
                    f"preds_mask must have the shape of preds' first axes {preds.shape[:2]}, got {mask.shape}"
                )
            expect_dtype("preds_mask", mask, np.bool_)
        for name in ("eos_id", "blank_id"):
            if name in arrays:
                _check_ids(name, arrays[name], vocabulary)
        blank = (target == arrays["blank_id"][:, None]) & (target >= 0) if "blank_id" in arrays else np.zeros((0, 0))
        if blank.any():
            row, column = np.argwhere(blank)[0]
            raise OutputsError(f"target holds the blank, {target[row, column]}, in row {row}, position {column}")


def _check_ids(name: str, ids: np.ndarray, vocabulary: int) -> None:
    expect_shape(name, ids, "(n,)", 1)
    expect_dtype(name, ids, np.integer)
    values = np.unique(ids).tolist()
    if len(values) > 1:
        raise OutputsError(f"{name} must be the same in all rows, got {', '.join(map(str, values[:8]))}")
    if not all(-1 <= token < vocabulary for token in values):
        raise OutputsError(f"{name} is {values[0]}; expected a token, 0 to {vocabulary - 1}, or -1 for none")


def _ids(examples: Examples) -> tuple[int, int]:
    """The ids of the end and of the blank; -1 where there is none."""
    arrays = [examples.extras.get(name) for name in ("eos_id", "blank_id")]
    eos_id, blank_id = (-1 if ids is None or not len(ids) else int(ids[0]) for ids in arrays)
    return eos_id, blank_id


def _rows(tokens: Tensor, mask: Tensor) -> list[list[int]]:
    """The tokens of each row where the mask is true."""
    return [row[at].tolist() for row, at in zip(tokens.cpu().numpy(), mask.cpu().numpy(), strict=True)]


def _ctc_loss(examples: Examples, eos_id: int, blank_id: int) -> Tensor:
    """CTC's loss divided by the number of tokens, shape (n,); 0 where a reference does not fit in the frames."""
    preds_mask = examples.extras.get("preds_mask")
    valid, _ = hypothesis_positions(examples.preds, examples.target, preds_mask, eos_id, blank_id)
    ref_mask = reference_positions(examples.target, eos_id)
    frames, tokens = ((~mask).byte().argsort(stable=True, dim=1) for mask in (valid, ref_mask))
    preds = examples.preds.float().gather(1, frames[:, :, None].expand_as(examples.preds))
    losses = F.ctc_loss(
        preds.log_softmax(-1).transpose(0, 1),
        (examples.target.long() * ref_mask).gather(1, tokens),
        valid.sum(1),
        ref_mask.sum(1),
        blank=blank_id,
        reduction="none",
        zero_infinity=True,
    )
    return losses / ref_mask.sum(1).clamp_min(1)


TASK = SequenceTask()
