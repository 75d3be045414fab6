from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from autosurrogate.errors import MetricError
from autosurrogate.registry import user_file


@pytest.fixture(autouse=True)
def same_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_the_same_content_is_run_once_and_an_edited_file_again(tmp_path: Path) -> None:
    file = written(tmp_path, "counted.py", "import sys\nsys.n_runs = getattr(sys, 'n_runs', 0) + 1\nVALUE = 1\n")
    first = user_file.load(file)
    assert user_file.load(str(file)) is first
    file.write_text(file.read_text().replace("VALUE = 1", "VALUE = 2"))
    assert user_file.load(file).VALUE == 2
    assert first.VALUE == 1
    assert sys.n_runs == 2  # type: ignore[attr-defined]
    del sys.n_runs  # type: ignore[attr-defined]


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    modules = [user_file.load(written(tmp_path / folder, "same.py", "VALUE = 1\n")) for folder in "ab"]
    assert modules[0] is not modules[1]
    assert [user_file.path_of(m.__name__) for m in modules] == [tmp_path / "a/same.py", tmp_path / "b/same.py"]
    assert user_file.path_of("json") is None


def test_a_file_may_import_its_neighbours_also_later(tmp_path: Path) -> None:
    written(tmp_path, "its_neighbour.py", "VALUE = 3\n")
    written(tmp_path, "its_later_neighbour.py", "VALUE = 4\n")
    file = written(
        tmp_path,
        "has_neighbours.py",
        "import its_neighbour\n\ndef both():\n    import its_later_neighbour\n"
        "    return its_neighbour.VALUE, its_later_neighbour.VALUE\n",
    )
    assert user_file.load(file).both() == (3, 4)
    assert sys.path[0] != str(tmp_path)


def test_its_dataclasses_and_their_pickles_work(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "with_class.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Pair:\n    left: int\n    right: int\n",
    )
    pair = user_file.load(file).Pair(1, 2)
    assert pickle.loads(pickle.dumps(pair)) == pair


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    written(tmp_path, "my_metrics.py", "")
    with pytest.raises(
        MetricError, match=r"there is no file .*my_metric\.py; did you mean my_metrics\.py, in the same"
    ):
        user_file.load(tmp_path / "my_metric.py")
    with pytest.raises(MetricError, match=r"there is no file .*/nowhere/x\.py$"):
        user_file.load(tmp_path / "nowhere/x.py")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(MetricError, match=r"folder\.py cannot be read \(Is a directory\); expected a Python file"):
        user_file.load(tmp_path / "folder.py")


def test_another_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"metrics\.txt is not a Python file; expected a name that ends in \.py"):
        user_file.load(written(tmp_path, "metrics.txt", ""))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\ny = x / 0\n", r"\(line 2\): ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('two\\nlines')\n\nf()\n", r"\(line 2\): KeyError: 'two\\nlines'"),
        ("raise ValueError('two\\nlines')\n", r"\(line 1\): ValueError: two lines"),
        ("def f(:\n", r": SyntaxError: invalid syntax \(broken\.py, line 1\)"),
        ("import there_is_no_such_package\n", r"\(line 1\): ModuleNotFoundError: No module named 'there_is_no_such"),
        ("import sys\nsys.exit(3)\n", r"\(line 2\): SystemExit: 3"),
        ("assert False\n", r"\(line 1\): AssertionError$"),
    ],
)
def test_a_file_that_raises_is_reported_on_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = written(tmp_path, "broken.py", text)
    for _ in range(2):  # and nothing of it stays
        with pytest.raises(MetricError, match=rf"broken\.py cannot be loaded ?{problem}") as caught:
            user_file.load(file)
        assert "\n" not in str(caught.value)
    assert not [name for name in sys.modules if "broken" in name and user_file.path_of(name)]
    assert str(tmp_path) not in sys.path


def test_an_interrupt_goes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        user_file.load(written(tmp_path, "interrupted.py", "raise KeyboardInterrupt\n"))


def test_a_script_that_asks_for_itself(tmp_path: Path) -> None:
    file = written(tmp_path, "itself.py", "from autosurrogate.registry import user_file\nuser_file.load(__file__)\n")
    with pytest.raises(MetricError, match=r"itself\.py looks up its own metrics while .* below `if __name__"):
        user_file.load(file)
