from __future__ import annotations

import io
from pathlib import Path

import pytest
from loss_metadata import agreement
from rich.console import Console

from autosurrogate.cli.printing import agreement_table, console, shown_path


def test_a_table_without_titles_has_a_row_a_loss() -> None:
    out = io.StringIO()
    table = agreement_table({"": {"bleu.pt": agreement(0.9), "regular loss": agreement(0.5)}})
    Console(file=out, width=80, highlight=False).print(table)
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["per", "cent", "Spearman", "95", "%", "CI", "Kendall", "95", "%", "CI", "points"]
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["bleu.pt", "regular loss"]


def test_output_that_is_no_terminal_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("word " * 500)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_path_is_shown_from_the_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "runs" / "f1.pt") == str(Path("runs/f1.pt"))
    assert shown_path("/elsewhere/f1.pt") == "/elsewhere/f1.pt"
