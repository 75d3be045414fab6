"""What a fit tells while it runs; the base class says nothing."""

from __future__ import annotations


class Progress:
    """Receives what happens during a fit. Override what is of interest."""

    def say(self, text: str) -> None:
        """A line worth reading: what is being done, a warning."""

    def labelled(self, n_done: int, n_total: int, points_per_s: float, kind: str = "") -> None:
        """Points labelled so far of all that are planned, and the rate; `kind` is "recorded " for recorded ones."""

    def trial(self, number: int, best: float, regular: float, left_s: float) -> None:
        """A trial ended.

        Args:
            number: how many trials have ended.
            best: best held-out Spearman correlation so far; NaN before the first is complete.
            regular: the regular loss's on the same points.
            left_s: seconds of the budget that are left.
        """
