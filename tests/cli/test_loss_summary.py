from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from loss_metadata import loss_metadata
from rich.console import Console

from autosurrogate import tasks
from autosurrogate.cli.loss_summary import correlation_table, summary_lines, usage
from autosurrogate.cli.printing import WIDTH, print_lines

METADATA = loss_metadata()


def shown(what: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, WIDTH])
def test_no_figure_is_cut_at_the_width_of_a_terminal(width: int) -> None:
    text = shown(correlation_table(METADATA), width)
    for figure in ("90.0", "80.0 to 100.0", "-100.0", "-100.0 to 100.0", "12,345"):
        assert figure in text
    assert "…" not in text
    assert text.index("held-out generated") < text.index("90.0") < text.index("held-out recorded")


def test_a_loss_without_recorded_outputs_has_one_section() -> None:
    quality = replace(METADATA.quality, held_out_recorded=None)
    assert "held-out recorded" not in shown(correlation_table(replace(METADATA, quality=quality)), 80)


def test_facts_are_one_line_each_in_a_file_and_wrap_in_their_column_in_a_terminal() -> None:
    plain, terminal = io.StringIO(), io.StringIO()
    lines = summary_lines(METADATA)
    print_lines(Console(file=plain, width=WIDTH, highlight=False), lines)
    assert len(plain.getvalue().splitlines()) == len(lines)
    assert "3 dropped (2 raised, 1 nan), for example: KeyError: [b]7[/b]\n" in plain.getvalue()
    print_lines(Console(file=terminal, width=60, force_terminal=True, highlight=False), lines)
    assert all(len(line) <= 60 for line in terminal.getvalue().splitlines())
    assert "KeyError: [b]7[/b]" in " ".join(terminal.getvalue().split())


def test_each_line_says_what_its_figures_are() -> None:
    assert dict(summary_lines(loss_metadata(mixture="0.5 * f1"))) == {
        "mixture": "0.5 * f1",
        "set sizes": "Spearman 91.0 for 16 examples a set, on held-out generated points",
        "descent check": "metric improves by 1.235 along regular loss + 0.3 * loss, by 0.5 along the regular loss "
        "alone (64 points moved by a distance of 1)",
        "network": "margin (temperatures [0.3, 0.03]), 1,234 parameters",
        "gradient norm": "0.1, regular loss 0.1 (medians over points)",
        "suggested weight": "1 beside the regular loss",
        "labelled points": "6,144; 3 dropped (2 raised, 1 nan), for example: KeyError: [b]7[/b]",
        "generated points": "metric from 0 to 1, coverage of this range 98 %",
        "search": "5 trials completed, 2 pruned; trial 3 exported; seed 0",
    }


@pytest.mark.parametrize("task", tasks.names())
def test_the_three_lines_are_python(task: str) -> None:
    lines = usage("bleu's.pt", tasks.get(task).argument_names, 0.4)
    compile(lines, "use", "exec")
    assert len(lines.splitlines()) == 3
    assert "+ 0.4 * loss_fn(" in lines
    assert "+ loss_fn(" in usage("bleu.pt", tasks.get(task).argument_names, 1.0)


def test_files_of_before_the_weight_was_kept_are_shown() -> None:
    check = replace(METADATA.quality.descent_check, weight=math.nan)
    lines = summary_lines(loss_metadata(quality=replace(METADATA.quality, descent_check=check)))
    (line,) = [text for name, text in lines if name == "descent check"]
    assert line == (
        "metric improves by 1.235 along regular loss + loss, by 0.5 along the regular loss alone "
        "(64 points moved by a distance of 1)"
    )
