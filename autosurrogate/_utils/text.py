"""Texts of messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def one_of(word: str, known: Iterable[str]) -> str:
    """The words that could have been meant, as an ending of a message.

    >>> one_of("sampel", ["sample", "set"])
    "expected one of sample, set; did you mean 'sample'?"
    """
    names = list(known)
    near = difflib.get_close_matches(str(word), names, 1)
    return f"expected one of {', '.join(names)}" + (f"; did you mean {near[0]!r}?" if near else "")


def one_line(error: BaseException) -> str:
    """The exception's class and message on one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
