"""Texts that spans are parts of: the random generator, and the text of a span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from autosurrogate.examples import Examples
from autosurrogate.tasks._draw import Draw

ARTICLES = ("the", "a", "an")
MARKS = (",", ".", "'s", "(", ")", '"', "-", ";")
MARK_FREQUENCY = (5.0, 4.0, 0.8, 0.6, 0.6, 0.8, 0.8, 0.2)
AFTER_A_MARK = ("(", '"', "-")  # no space parts these from what comes next
BEFORE_A_MARK = (",", ".", "'s", ")", "-", ";")  # ... and these from what came before
LETTERS = "etaoinshrdlucmfwypvbgkqjxz"
MAX_LETTERS = 12


@dataclass(frozen=True)
class _Words:
    """A vocabulary; all arrays have a row for each word.

    Args:
        characters: shape (n_words, MAX_LETTERS), code points, 0 after the end.
        length: shape (n_words,).
        frequency: shape (n_words,), how often each is drawn, up to a factor.
        joins_before: shape (n_words,), bool: no space comes before it.
        joins_after: shape (n_words,), bool: no space comes after it.
    """

    characters: Tensor
    length: Tensor
    frequency: Tensor
    joins_before: Tensor
    joins_after: Tensor


def generate(examples: Examples, draw: Draw) -> dict[str, Tensor]:
    """A passage for each example, and further right answers, mostly near the target.

    Args:
        examples: their masked positions have no text.
        draw: source of all randomness.

    Returns:
        `text`, `offsets` and `answers`, see `SpanTask`.
    """
    unmasked = examples.preds.isfinite().all(1)
    n, n_positions = unmasked.shape
    words = _words(draw)
    word = draw.categorical(words.frequency, n, n_positions)
    n_others = len(ARTICLES) + len(MARKS)
    word.scatter_(1, examples.target[:, 1:], draw.categorical(words.frequency[:-n_others], n, 1))  # no answer is a mark
    length = words.length[word] * unmasked
    piece = draw.uniform(n, n_positions) < 0.3 * draw.uniform(1) * (draw.uniform(1) < 0.5)  # a word in several pieces
    joined = words.joins_before[word] | piece
    joined[:, 1:] |= words.joins_after[word[:, :-1]]
    space = unmasked & ~joined
    end = (length + space).cumsum(1)
    offsets = torch.stack([end - length, end], 2) * unmasked[..., None]

    capital = draw.uniform(n, n_positions) < 0.15
    characters = words.characters[word]
    first = characters[..., 0]
    characters[..., 0] = torch.where(capital & (first >= ord("a")) & (first <= ord("z")), first - 32, first)
    place = (end - length)[..., None] + torch.arange(MAX_LETTERS)
    present = (torch.arange(MAX_LETTERS) < length[..., None]).flatten(1)
    n_characters = int(end.max())
    text = torch.full(
        (n, n_characters + 1), ord(" "), dtype=torch.int32
    )  # the last column takes the letters that are not present
    text.scatter_(1, torch.where(present, place.flatten(1), n_characters), characters.flatten(1).int())
    text = text[:, :n_characters].masked_fill(torch.arange(n_characters) >= end[:, -1:], 0)
    return {"text": text, "offsets": offsets.to(torch.int32), "answers": _answers(examples.target, unmasked, draw)}


def _words(draw: Draw) -> _Words:
    """Articles and punctuation at about their natural frequency, among words of letters."""
    n_words = round(draw.log_uniform(100, 1000, 1).item())
    frequency_of_letters = torch.arange(1, 27, dtype=torch.float32) ** -0.7
    letters = torch.tensor([ord(c) for c in LETTERS])[draw.categorical(frequency_of_letters, n_words, MAX_LETTERS)]
    length = (1.5 + 2.0 * draw.exponential(n_words) + 4.0 * draw.uniform(n_words)).long().clamp(2, MAX_LETTERS)
    zipf = torch.arange(1, n_words + 1, dtype=torch.float32) ** -(0.6 + 0.5 * draw.uniform(1))
    number = draw.uniform(n_words) < 0.05
    digits = ord("0") + (10 * draw.uniform(n_words, MAX_LETTERS)).long()
    letters = torch.where(number[:, None], digits, letters)
    others = ARTICLES + MARKS
    spelled = torch.tensor([[*map(ord, other), *[0] * (MAX_LETTERS - len(other))] for other in others])
    common = torch.tensor([0.6, 0.2, 0.05]) * (0.04 + 0.1 * draw.uniform(1)) / 0.85
    marks = torch.tensor(MARK_FREQUENCY) / sum(MARK_FREQUENCY) * (0.05 + 0.12 * draw.uniform(1))
    return _Words(
        torch.cat([letters, spelled]),
        torch.cat([length, torch.tensor([len(other) for other in others])]),
        torch.cat([zipf / zipf.sum(), common, marks]),
        torch.cat([torch.zeros(n_words, dtype=torch.bool), torch.tensor([o in BEFORE_A_MARK for o in others])]),
        torch.cat([torch.zeros(n_words, dtype=torch.bool), torch.tensor([o in AFTER_A_MARK for o in others])]),
    )


def _answers(target: Tensor, unmasked: Tensor, draw: Draw) -> Tensor:
    """Up to two further right spans for each example (n, 2, 2), with an end or both moved; -1 pads."""
    n, n_positions = unmasked.shape
    shift = (draw.exponential(n, 2, 2) * 1.3).long() * torch.where(draw.uniform(n, 2, 2) < 0.5, -1, 1)
    spans = (target[:, None] + shift).sort(2).values
    low, high = unmasked.int().argmax(1), n_positions - 1 - unmasked.flip(1).int().argmax(1)
    spans = torch.minimum(torch.maximum(spans, low[:, None, None]), high[:, None, None])
    present = (draw.uniform(n, 2) < 0.5 * draw.uniform(1)) & (spans != target[:, None]).any(2)
    return spans.masked_fill(~present[..., None], -1)


def of_spans(text: np.ndarray, offsets: np.ndarray, spans: np.ndarray) -> list[str]:
    """The text of each span: (n, n_characters), (n, L, 2) and (n, 2) to n strings."""
    rows = np.arange(len(spans))
    first, end = offsets[rows, spans[:, 0], 0], offsets[rows, spans[:, 1], 1]
    return [_string(row[start:stop]) for row, start, stop in zip(text, first, end, strict=True)]


def of_answers(text: np.ndarray, offsets: np.ndarray, spans: np.ndarray) -> list[list[str]]:
    """The texts of several spans (n, A, 2) of each example; spans of -1 are left out."""
    columns = [of_spans(text, offsets, spans[:, i]) for i in range(spans.shape[1])]
    present = (spans[:, :, 0] >= 0).T
    answers: list[list[str]] = [[] for _ in spans]
    for column, is_answer in zip(columns, present, strict=True):
        for i in np.flatnonzero(is_answer):
            answers[i].append(column[i])
    return answers


def _string(codes: np.ndarray) -> str:
    return "".join(map(chr, codes[codes > 0].tolist()))
