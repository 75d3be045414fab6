from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import PAGES
from studies.training._suite import comparisons

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_of_results_is_what_its_command_writes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--docs", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results.md").read_text() == (PAGES / "results.md").read_text()
    plots = sorted(path.name for path in tmp_path.glob("plots/*.svg"))
    assert plots == sorted(path.name for path in PAGES.glob("plots/*.svg"))
    assert {Path(name).stem for name in plots} <= {*comparisons(), "figure_2", "figure_3"}
