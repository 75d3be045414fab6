from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autosurrogate._utils.files import write_json
from autosurrogate.errors import OptionError
from autosurrogate.run.budget import Clock
from autosurrogate.run.run_dir import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "runs" / "bleu")
    run.create({"seed": 3}, "[training]\n")
    return run


def test_it_keeps_the_options_and_the_search_space(run: RunDir) -> None:
    assert run.config() == {"seed": 3}
    assert run.space.read_text() == "[training]\n"


def test_a_folder_that_is_not_empty_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OptionError, match=f"--run-dir {tmp_path}: is not empty; choose another, or continue"):
        RunDir(tmp_path).create({}, "")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("place", ["file", "file/run", "x" * 300])
def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        OptionError, match=r"--run-dir .*: cannot be created: (File exists|Not a directory|File name too)"
    ):
        RunDir(tmp_path / place).create({}, "")


@pytest.mark.parametrize("content", [None, "{", "\x00", "[1]", "3"])
def test_a_folder_without_options_is_no_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(OptionError, match=r"is not the folder of a run \(no readable config\.json in it\)"):
        RunDir(tmp_path).config()


@pytest.mark.skipif(os.name != "posix", reason="there is no lock elsewhere")
def test_two_processes_do_not_work_on_one_run(run: RunDir) -> None:
    program = (
        "import sys; from autosurrogate.run.run_dir import RunDir\nwith RunDir(sys.argv[1]).session(): print('in')"
    )
    other = [sys.executable, "-c", program, str(run.path)]
    with run.session():
        refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "another process works on this run; wait until it ends" in refused.stderr
    assert subprocess.run(other, capture_output=True, text=True, check=True).stdout == "in\n"


def test_what_a_killed_process_left_of_the_study_is_repaired(run: RunDir) -> None:
    run.study.write_bytes(b'{"op_code":0}\n{"op_code":4,"wor')
    lock = Path(f"{run.study}.lock")
    lock.symlink_to(run.study)
    Path(f"{lock}1234.rename").symlink_to(run.study)
    with run.session():
        assert run.study.read_bytes() == b'{"op_code":0}\n'
        assert not list(run.path.glob("*.lock*"))
    with run.session():
        assert run.study.read_bytes() == b'{"op_code":0}\n'


def test_a_run_without_results_leaves_nothing(run: RunDir, tmp_path: Path) -> None:
    with run.session():
        assert not run.has_labels()
        run.discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_a_run_spares_other_runs_and_what_the_user_put_there(run: RunDir) -> None:
    other = run.path.parent / "other"
    other.mkdir()
    (run.path / "notes.txt").touch()
    run.discard()
    assert other.is_dir()
    assert [p.name for p in run.path.iterdir()] == ["notes.txt"]


def test_time_passes_in_a_session_and_is_saved_meanwhile(run: RunDir) -> None:
    with Clock(run, 60) as clock:
        time.sleep(0.8)
        saved = json.loads((run.path / "clock.json").read_text())["spent_s"]
        assert 0.3 <= saved <= clock.spent_s
    with Clock(run, 60) as clock:
        assert 0.75 <= clock.spent_s <= 5
        assert clock.left_s == pytest.approx(60 - clock.spent_s, abs=0.1)


@pytest.mark.parametrize("content", ["", "[]", '{"spent_s": null}', '{"spent": 3}'])
def test_a_clock_that_cannot_be_read_starts_at_zero(run: RunDir, content: str) -> None:
    (run.path / "clock.json").write_text(content)
    assert Clock(run, 60).spent_s < 5


def test_json_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_what_was_spent_before_counts(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.create({}, "", 3.0)
    assert 6.0 < Clock(run, 10.0).left_s < 7.0
