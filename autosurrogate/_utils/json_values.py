"""Values as JSON has them."""

from __future__ import annotations

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """The same with None for NaN and infinity, which JSON does not have, and lists for tuples.

    >>> without_nan({"low": float("nan"), "pair": (1, 2.5)})
    {'low': None, 'pair': [1, 2.5]}
    """
    if isinstance(value, dict):
        return {name: without_nan(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
