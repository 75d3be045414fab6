from __future__ import annotations

import io
import math
from typing import Any

import pytest
from rich.console import Console

from autosurrogate import tasks
from autosurrogate.cli.rendering import (
    WIDTH,
    ConsoleProgress,
    agreement_table,
    console,
    facts,
    figures,
    print_facts,
    use,
)


def agreement(value: float) -> dict[str, Any]:
    interval = (value - 0.1, value + 0.1)
    return {
        "spearman": value, "spearman_interval": interval, "kendall": -1.0, "kendall_interval": (-1.0, 1.0),
        "n_points": 12345,
    }  # fmt: skip


METADATA = {
    "metric": "a_metric_of_an_uncommonly_long_name",
    "held_out": {
        "loss": agreement(0.9),
        "regular": agreement(0.5),
        "set_sizes": [{"size": 16, "n_points": 48, "loss": 0.91, "regular": 0.5}],
    },
    "held_out_recorded": {"loss": agreement(0.8), "regular": agreement(0.4)},
    "descent": {"gain": 1.23456, "regular_gain": 0.5, "weight": 0.3, "distance": 1.0, "n_points": 64},
    "gradient_norm": {"loss": 0.1, "regular": 0.1},
    "suggested_weight": 1.0,
    "generator": {"low": 0.0, "high": 1.0, "coverage": 0.98},
    "labelled": {"n_points": 6144, "n_dropped": 3, "dropped": {"raised": 2, "nan": 1}, "example": "KeyError: [b]7[/b]"},
    "network": {"name": "margin", "temperatures": [0.3, 0.03]},
    "n_parameters": 1234,
    "search": {"n_complete": 5, "n_pruned": 2, "trial": 3},
    "seed": 0,
}


def shown(what: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, WIDTH])
def test_no_figure_is_cut_at_the_width_of_a_terminal(width: int) -> None:
    text = shown(figures(METADATA), width)
    for figure in ("90.0", "80.0 to 100.0", "-100.0", "-100.0 to 100.0", "12,345"):
        assert figure in text
    assert "…" not in text
    assert text.index("held-out generated") < text.index("90.0") < text.index("held-out recorded")


def test_a_table_without_titles_has_a_row_a_loss() -> None:
    lines = shown(agreement_table({"": {"bleu.pt": agreement(0.9), "regular loss": agreement(0.5)}}), 80).splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["bleu.pt", "regular loss"]


def test_facts_are_one_line_each_in_a_file_and_wrap_in_their_column_in_a_terminal() -> None:
    plain, terminal = io.StringIO(), io.StringIO()
    print_facts(Console(file=plain, width=WIDTH, highlight=False), facts(METADATA))
    assert len(plain.getvalue().splitlines()) == len(facts(METADATA))
    assert "3 dropped (2 raised, 1 nan), for example: KeyError: [b]7[/b]\n" in plain.getvalue()
    print_facts(Console(file=terminal, width=60, force_terminal=True, highlight=False), facts(METADATA))
    assert all(len(line) <= 60 for line in terminal.getvalue().splitlines())
    assert "KeyError: [b]7[/b]" in " ".join(terminal.getvalue().split())


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
    assert "trial 1  best held-out Spearman none yet  regular loss 72.3  61 s left" in text
    assert "trial 2  best held-out Spearman 96.5  regular loss 72.3  0 s left" in text
    assert "\x1b[2K" in text  # the line is erased to be written anew
    assert "a line that stays\r\n" in text.replace("\n", "\r\n")


def test_a_terminal_that_can_do_nothing_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=80, force_terminal=True, highlight=False)) as progress:
        progress.labelled(256, 256, 10.0)
    assert out.getvalue() == "labelling  256 of 256 points  10 points/s\n"


def test_output_that_is_no_terminal_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("word " * 500)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("task", tasks.names())
def test_the_three_lines_are_python(task: str) -> None:
    lines = use("bleu's.pt", tasks.get(task).arguments, 0.4)
    compile(lines, "use", "exec")
    assert len(lines.splitlines()) == 3
    assert "+ 0.4 * loss_fn(" in lines
    assert "+ loss_fn(" in use("bleu.pt", tasks.get(task).arguments, 1.0)


def test_files_of_before_the_weight_was_kept_are_shown() -> None:
    descent = {name: value for name, value in METADATA["descent"].items() if name != "weight"}
    (line,) = [text for name, text in facts({**METADATA, "descent": descent}) if name == "descent check"]
    assert line == "metric gains 1.235 over a distance of 1, along the regular loss alone 0.5 (64 points)"
