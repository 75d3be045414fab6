"""Durations as people write them."""

from __future__ import annotations

import math
import re

from autosurrogate.errors import OptionError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str | float) -> float:
    """Seconds in a duration: a number of seconds, or numbers with the units s, m and h.

    Raises:
        OptionError: it is not a positive duration.

    >>> seconds("5m"), seconds("1h30m"), seconds("90"), seconds(2.5)
    (300.0, 5400.0, 90.0, 2.5)
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)(h))?(?:(\d+(?:\.\d+)?)(m))?(?:(\d+(?:\.\d+)?)(s?))?", str(text).strip())
    total = 0.0
    if match is not None:
        groups = match.groups()
        total = sum(float(n) * _UNITS[unit or ""] for n, unit in zip(groups[::2], groups[1::2], strict=True) if n)
    if not 0 < total < math.inf:
        raise OptionError(f"--budget {text}: is not a duration; expected seconds or units such as 90s, 5m, 1h30m")
    return total
