from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from autosurrogate.cli.printing import WIDTH
from autosurrogate.cli.progress import ConsoleProgress


def test_progress_is_plain_lines_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=WIDTH, highlight=False)) as progress:
        progress.say("searching [0, 1]")
        progress.labelled(256, 512, 1000.4)
        progress.labelled(300, 512, 1000.4)  # too soon to be worth a line
        progress.labelled(512, 512, 1000.4, "recorded ")
    assert out.getvalue().splitlines() == [
        "searching [0, 1]",
        "labelling  256 of 512 points  1,000 points/s",
        "labelling  512 of 512 recorded points  1,000 points/s",
    ]


def test_progress_is_a_line_that_changes_in_a_terminal() -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=80, force_terminal=True, highlight=False)) as progress:
        progress.trial(1, math.nan, 0.723, 61.4)
        progress.trial(2, 0.9649, 0.723, -3.0)
        progress.say("a line that stays")
    text = out.getvalue()
    assert "trial 1  best validation Spearman none yet  regular loss 72.3  61 s left" in text
    assert "trial 2  best validation Spearman 96.5  regular loss 72.3  0 s left" in text
    assert "\x1b[2K" in text  # the line is erased and written again
    assert "a line that stays\r\n" in text.replace("\n", "\r\n")


def test_a_terminal_that_can_do_nothing_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=80, force_terminal=True, highlight=False)) as progress:
        progress.labelled(256, 256, 10.0)
    assert out.getvalue() == "labelling  256 of 256 points  10 points/s\n"
