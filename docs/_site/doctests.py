"""An extension of griffe, which reads docstrings: examples after `>>>` are shown as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> [^\n]*(?:\n[^\n]+)*", re.MULTILINE)  # up to an empty line


class Doctests(griffe.Extension):
    """Puts fences around the examples of every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Griffe calls this with each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """A docstring with each run of `>>>` lines, and what they print, between fences."""
    return EXAMPLE.sub(r"```pycon\n\g<0>\n```", docstring)
