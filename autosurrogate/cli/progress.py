"""The progress of a fit on the console."""

from __future__ import annotations

import math
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from autosurrogate.run.progress import Progress

PLAIN_LINE_EVERY_S = 2.0  # at most, where the output is not a terminal


class ConsoleProgress(Progress):
    """Shows progress as one line that changes, or as plain lines where the output is not a terminal."""

    def __init__(self, to: Console) -> None:
        self._console = to
        is_live = to.is_terminal and not to.is_dumb_terminal
        self._live = Live(console=to, auto_refresh=False, transient=True) if is_live else None
        self._printed_at: dict[str, float] = {}  # kind of line to the time when one was last printed

    def __enter__(self) -> ConsoleProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    def labelled(self, n_done: int, n_total: int, points_per_s: float, kind: str = "") -> None:
        """Show how many points are labelled."""
        text = f"{n_done:,} of {n_total:,} {kind}points  {points_per_s:,.0f} points/s"
        self._show("labelling", f"labelling  {text}", last=n_done >= n_total)

    def trial(self, number: int, best: float, regular: float, left_s: float, late_rise: float | None = None) -> None:
        """Show how many trials have ended, and the best correlation so far."""
        rise = "" if late_rise is None else f"  objective value +{late_rise:.2f} in the later half of the trials"
        so_far = "none yet" if math.isnan(best) else f"{100 * best:.1f}"
        self._show(
            "trial",
            f"trial {number}  best validation Spearman {so_far}  regular loss {100 * regular:.1f}  "
            f"{max(0.0, left_s):.0f} s left{rise}",
        )

    def _show(self, kind: str, text: str, last: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(text), refresh=True)
        elif last or time.monotonic() - self._printed_at.get(kind, -math.inf) >= PLAIN_LINE_EVERY_S:
            self._printed_at[kind] = time.monotonic()
            self._console.print(text, markup=False)
