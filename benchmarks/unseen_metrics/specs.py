"""The metrics of the sample, in order, and the half that each belongs to.

The rule of the halves: take the sha256 of the metric's name in UTF-8. If it is an even number, the metric belongs to
the half "development", else to "final". Nobody can tune this, and no list of either half is kept. The package is
developed with the first half. The second one is fitted once, at the end, and nobody who tunes the package looks at it
before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from benchmarks.unseen_metrics.sources import SOURCES, Source

Half = Literal["development", "final"]
HALVES: tuple[Half, Half] = ("development", "final")


@dataclass(frozen=True)
class Spec:
    """A metric of the sample.

    Args:
        name: of the function, unique in the sample.
        task: the kind of prediction.
        source: the file that declares it.
    """

    name: str
    task: str
    source: Source

    @property
    def half(self) -> Half:
        """The half that it belongs to, by the rule above."""
        return HALVES[int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % 2]


SPECS = tuple(
    Spec(name, task, source) for source in SOURCES for task, names in source.functions.items() for name in names.split()
)


def of_half(half: Half) -> tuple[Spec, ...]:
    """The metrics of a half, in order."""
    return tuple(spec for spec in SPECS if spec.half == half)
