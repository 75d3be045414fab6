"""What a fit reports while it runs."""

from __future__ import annotations


class Progress:
    """Receives what happens during a fit and ignores it; override what is of interest."""

    def say(self, text: str) -> None:
        """A line for the user: what is being done, or a warning."""

    def labelled(self, n_done: int, n_total: int, points_per_s: float, kind: str = "") -> None:
        """Points labelled so far, of all that are planned, and the rate; `kind` is "recorded " for recorded points."""

    def trial(self, number: int, best: float, regular: float, left_s: float, late_rise: float | None = None) -> None:
        """A trial has ended.

        Args:
            number: how many trials have ended.
            best: best rank correlation on validation points so far; NaN before the first trial is complete.
            regular: the regular loss's on the same points.
            left_s: seconds of the budget that are left.
            late_rise: by how much the later half of the trials has raised the objective value; None while that says
                little.
        """
