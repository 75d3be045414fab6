from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import PAGES
from benchmarks.__main__ import main
from studies.training._suite import comparisons


@pytest.mark.slow
def test_the_page_of_results_is_what_its_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--docs", str(tmp_path)])
    main()
    assert (tmp_path / "results.md").read_text() == (PAGES / "results.md").read_text()
    plots = sorted(path.name for path in tmp_path.glob("plots/*.svg"))
    assert plots == sorted(path.name for path in PAGES.glob("plots/*.svg"))
    assert {Path(name).stem for name in plots} <= {*comparisons(), "figure_2", "figure_3"}
