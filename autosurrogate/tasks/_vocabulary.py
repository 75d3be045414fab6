"""The spelling of tokens, read from a tokenizer's file or a list of tokens."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from autosurrogate.errors import OptionError

MIN_TOKENS = 16  # that spell something
ORDERS = (1, 2, 3)  # of the n-grams of characters that tokens are compared by
BINS = (64, 192, 256)  # number of hash bins for the n-grams of each order
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # stands for a part of a character
STARTS = ("▁", "Ġ")  # mark a token that follows a space
CONTINUES = "##"  # marks a token that continues a word, where others begin one
CONTINUED = "@@"  # marks a token whose word continues with the next token


@dataclass(frozen=True)
class Vocabulary:
    """Tokens and how they are spelled.

    Args:
        path: the file.
        spellings: text of each token inside a text, with the space before it if it has one; "" if it stands for no
            text, such as padding.
        text: gives the text of a sequence of tokens.
    """

    path: Path
    spellings: tuple[str, ...]
    text: Callable[[Sequence[int]], str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.spellings)

    @cached_property
    def spelled(self) -> np.ndarray:
        """The tokens that spell something, ascending."""
        tokens = [i for i, text in enumerate(self.spellings) if text.strip() and REPLACEMENT not in text]
        return np.array(tokens, np.int64)

    @cached_property
    def grams(self) -> np.ndarray:
        """How often each token has each n-gram of characters, spaces left out, uint8 (n_tokens, sum of `BINS`).

        The n-grams of 1, 2 and 3 characters stand one after the other, each order hashed into its own bins.
        """
        counts = np.zeros((len(self), sum(BINS)), np.uint8)
        for token in self.spelled:
            text, first = self.spellings[token].strip(), 0
            bins: list[int] = []
            for order, n_bins in zip(ORDERS, BINS, strict=True):
                grams = (text[start : start + order].encode() for start in range(len(text) - order + 1))
                bins += [first + zlib.crc32(gram) % n_bins for gram in grams]
                first += n_bins
            counts[token] = np.bincount(bins, minlength=sum(BINS)).clip(max=255)
        return counts


def read(path: str | Path) -> Vocabulary:
    """The vocabulary of a file.

    Args:
        path: a `tokenizer.json` of the tokenizers library, or a text file with a token a line, the first being token 0.
            In such a list, tokens that begin with ▁ or Ġ begin a word. If there are none, those that begin with ##
            continue a word. If there are none either, a word continues after those that end with @@. Else each token is
            a word.

    Raises:
        OptionError: it cannot be read, or has too few tokens.
    """
    path = Path(path)
    try:
        vocabulary = _of_tokenizer(path) if path.suffix == ".json" else _of_list(path)
    except (OSError, UnicodeDecodeError) as e:
        raise OptionError(f"--tokenizer {path}: cannot be read: {getattr(e, 'strerror', None) or e}") from e
    if len(vocabulary.spelled) < MIN_TOKENS:
        raise OptionError(
            f"--tokenizer {path}: has {len(vocabulary.spelled)} tokens that spell something, of {len(vocabulary)}; "
            f"expected a tokenizer.json, or a text file with a token a line, of {MIN_TOKENS} or more"
        )
    return vocabulary


def _of_tokenizer(path: Path) -> Vocabulary:
    text = path.read_text(encoding="utf-8")
    try:
        from tokenizers import Tokenizer  # an optional package
    except ImportError as e:
        raise OptionError(
            f"--tokenizer {path}: needs the package tokenizers: pip install 'autosurrogate[tokenizers]'"
        ) from e
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as e:  # the library raises no narrower class
        raise OptionError(f"--tokenizer {path}: is not a file of the tokenizers library: {e}") from e
    n_tokens = 1 + max(tokenizer.get_vocab().values(), default=-1)  # ids may have gaps, which spell nothing
    before = next((i for i in range(n_tokens) if tokenizer.decode([i]).strip().isalnum()), 0)
    head = tokenizer.decode([before])  # a word, so that the space before the next token is seen
    spellings = []
    for token in range(n_tokens):
        joined = tokenizer.decode([before, token])
        spellings.append(joined[len(head) :] if joined.startswith(head) else tokenizer.decode([token]))
    return Vocabulary(path, tuple(spellings), lambda tokens: str(tokenizer.decode(list(tokens))))


def _of_list(path: Path) -> Vocabulary:
    # Not at other line continued: a token may consist of one.
    lines = path.read_bytes().decode("utf-8").split("\n")
    tokens = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    spellings = tuple(_spellings(tokens))
    may_continue = not any(token.startswith((*STARTS, CONTINUES)) for token in tokens)
    continued = [may_continue and token.endswith(CONTINUED) for token in tokens]

    def text(ids: Sequence[int]) -> str:
        after = [False, *(continued[i] for i in ids)]  # whether the word of the token before continues
        return "".join(spellings[i].lstrip() if a else spellings[i] for i, a in zip(ids, after, strict=False)).strip()

    return Vocabulary(path, spellings, text)


def _spellings(tokens: Sequence[str]) -> list[str]:
    """The text of each token of a list, with the space before it if it has one."""
    for mark in STARTS:
        if any(token.startswith(mark) for token in tokens):
            return [token.replace(mark, " ") for token in tokens]
    if any(token.startswith(CONTINUES) for token in tokens):
        return [token.removeprefix(CONTINUES) if token.startswith(CONTINUES) else f" {token}" for token in tokens]
    return [f" {token.removesuffix(CONTINUED)}" if token else "" for token in tokens]
