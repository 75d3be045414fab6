from __future__ import annotations

from pathlib import Path

from benchmarks.fits import counted, line, reason


def test_a_reason_is_one_line_without_folders_of_a_machine() -> None:
    printed = (
        "labelling\nautosurrogate: metric 'f': ValueError: no (/home/me/v/site-packages/sklearn/base.py:7); fix it\n"
    )
    assert reason(printed) == "metric 'f': ValueError: no (sklearn/base.py:7); fix it"
    assert reason("") == ""


def test_a_reason_names_the_files_of_a_fit_without_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "link"
    folder.symlink_to(tmp_path)
    printed = f"autosurrogate: {folder}/f.py cannot be loaded, nor {tmp_path}/g.py"
    assert reason(printed, str(folder)) == "f.py cannot be loaded, nor g.py"


def test_a_line_has_figures_or_a_reason() -> None:
    assert line(("`a`", "scores"), {"loss": 0.9666, "regular": 0.5}) == "| `a` | scores | 96.7 | 50.0 | |"
    assert line(("`a`", ""), {"reason": "either | or"}) == "| `a` | | | | either / or |"


def test_good_fits_and_refusals_are_counted() -> None:
    assert counted([{"loss": 0.9}, {"loss": 0.89}, {"reason": "no"}, {"reason": "nor"}]) == (1, 2)
