from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path

import numpy as np
import program
import pytest
import torch

from autosurrogate.examples import Examples
from autosurrogate.labelling.labels import Labels
from autosurrogate.labelling.outcomes import Problem
from autosurrogate.points import label_cache
from autosurrogate.points.label_cache import LabelCache, key_of, name_of
from autosurrogate.registry.lookup import find

COUNTING = """
import os
import numpy as np
from autosurrogate import metric

HERE = os.path.dirname(__file__)


@metric("counting", task="classification", set_size=4)
def counting(preds: np.ndarray, target: np.ndarray) -> float:
    with open(os.path.join(HERE, "calls.txt"), "a") as file:
        file.write("x")
    return float((preds == target).mean()) * FACTOR
"""
# A network that is exported soon.
SPACE = f"""
{program.SPACE.split("[networks")[0]}
[networks.target_probability]
width = 8
n_hidden = 1
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(label_cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "labels"


def labels(*values: float) -> Labels:
    problems = [Problem("raised", "ValueError: no") for value in values if math.isnan(value)]
    return Labels(np.array(values), problems, 1.0)


def fit(folder: Path, *arguments: object, n_trials: int = 1, new_interpreter: bool = False) -> tuple[str, int]:
    """What a fit printed, and how often it called the metric."""
    calls = folder / "calls.txt"
    calls.write_text("")
    done = program.run(
        "fit", "--metric", "counting.py", "--space", "small.toml", "--trials", n_trials, "--force", "--overwrite",
        "--workers", 1,
        *arguments, cwd=folder, new_interpreter=new_interpreter, AUTOSURROGATE_CACHE=str(folder / "cache"),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, len(calls.read_text())


@pytest.mark.slow
def test_a_second_fit_labels_nothing_that_the_first_did_and_comes_to_the_same(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING.replace("FACTOR", "1"))
    program.write(tmp_path / "small.toml", SPACE)
    recorded = program.record(tmp_path / "recorded.npz", 160)
    first, n_first = fit(tmp_path, "--outputs", recorded, "--out", "a.pt")
    assert "of them by an earlier run" not in first
    second, n_second = fit(tmp_path, "--outputs", recorded, "--out", "b.pt", new_interpreter=True)
    counts = re.search(r"labelled ([\d,]+) points to search with, ([\d,]+) of them by an earlier run", second)
    assert counts is not None
    assert counts[1] == counts[2]
    n_points = int(counts[1].replace(",", ""))
    assert n_first - n_second == n_points + 6 * 48  # those of the test
    preds, target = torch.randn(16, 5), torch.randint(5, (16,))
    assert program.load(tmp_path / "a.pt")(preds, target) == program.load(tmp_path / "b.pt")(preds, target)

    other, n_other = fit(tmp_path, "--seed", 1)
    assert "of them by an earlier run" not in other
    assert n_other > n_second
    (tmp_path / "counting.py").write_text(COUNTING.replace("FACTOR", "1.0"))  # another file, which says the same
    assert "of them by an earlier run" not in fit(tmp_path)[0]

    shown = program.run("cache", cwd=tmp_path, AUTOSURROGATE_CACHE=str(tmp_path / "cache"))
    assert shown.stdout.replace("\n", "").startswith("kept: labels of 3 fits, 0.")
    assert str(cache) in shown.stdout
    assert (
        "removed" in program.run("cache", "--clear", cwd=tmp_path, AUTOSURROGATE_CACHE=str(tmp_path / "cache")).stdout
    )
    assert list(cache.iterdir()) == []


@pytest.mark.slow
def test_a_metric_that_says_something_else_than_before_finds_nothing(tmp_path: Path) -> None:
    program.write(tmp_path / "small.toml", SPACE)
    (tmp_path / "counting.py").write_text(
        COUNTING.replace("FACTOR", "float(open(os.path.join(HERE, 'factor.txt')).read())")
    )
    for factor, known in (("1", False), ("2", False), ("1", True)):
        (tmp_path / "factor.txt").write_text(factor)
        assert ("of them by an earlier run" in fit(tmp_path)[0]) == known


def test_labels_come_back_as_they_were() -> None:
    one, another = LabelCache("one"), LabelCache("another")
    kept = labels(0.1, math.nan, -1e-300, 1 / 3)
    one.put("train-0", kept)
    found = one.get("train-0", 4)
    assert found is not None
    assert np.array_equal(found.values, kept.values, equal_nan=True)
    assert found.problems == kept.problems
    assert one.get("train-1", 4) is None
    assert one.get("train-0", 5) is None  # chunks had another size
    assert another.get("train-0", 4) is None


def test_calls_that_took_too_long_are_tried_again() -> None:
    one = LabelCache("one")
    one.put("train-0", Labels(np.array([1.0, math.nan]), [Problem("timeout", "took longer")], 1.0))
    assert one.get("train-0", 2) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"values": [1, null], "problems": []}', '{"values": 3}'])
def test_a_damaged_file_is_none(cache: Path, content: str) -> None:
    one = LabelCache("one")
    one.put("train-0", labels(1.0, 2.0))
    (cache / "one" / "train-0.json").write_text(content)
    assert one.get("train-0", 2) is None


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(label_cache.VARIABLE, str(tmp_path / "file"))
    LabelCache("one").put("train-0", labels(1.0))
    assert LabelCache("one").get("train-0", 1) is None
    label_cache.trim()
    assert label_cache.size() == (0, 0)


@pytest.mark.slow
def test_nothing_is_kept_where_it_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(label_cache.VARIABLE, "off")
    LabelCache("one").put("train-0", labels(1.0))
    assert LabelCache("one").get("train-0", 1) is None
    done = program.run("cache", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "no labels are kept: AUTOSURROGATE_CACHE is off\n")


def test_what_was_used_longest_ago_goes_first(cache: Path) -> None:
    a, b, c = (32 * letter for letter in "abc")
    for age, key in ((3, a), (1, b), (2, c)):
        LabelCache(key).put("train-0", labels(*range(100)))
        then = time.time() - 1000 * age
        os.utime(cache / key, (then, then))
    LabelCache(a).get("train-0", 100)  # it has been used since
    each = label_cache.size()[1] // 3
    label_cache.trim(2 * each)
    assert {entry.name for entry in cache.iterdir()} == {a, b}
    label_cache.trim(0)
    assert label_cache.size() == (0, 0)


def test_what_else_is_in_the_folder_is_left_alone(cache: Path) -> None:
    LabelCache(32 * "0").put("train-0", labels(1.0))
    images = cache / "train2017"
    images.mkdir()
    (images / "0.txt").write_text("a user's label")
    assert label_cache.size()[0] == 1
    label_cache.trim(0)
    label_cache.clear()
    assert [file.name for file in cache.rglob("*.txt")] == ["0.txt"]
    assert label_cache.size() == (0, 0)


def test_files_that_another_process_removes_meanwhile_are_no_error(cache: Path) -> None:
    LabelCache(32 * "0").put("train-0", labels(1.0))
    n_bytes = label_cache.size()[1]
    (cache / (32 * "0") / "train-1.json").symlink_to("gone")  # listed, but not there to look at
    assert label_cache.size() == (1, n_bytes)
    label_cache.trim(0)
    assert label_cache.size() == (0, 0)


def test_the_key_depends_on_all_that_decides_labels() -> None:
    accuracy, points = find("accuracy"), [(np.arange(3), np.arange(3))]
    known = {
        key_of(metric, seed, some, said)
        for metric in (accuracy, find("balanced_accuracy"))
        for seed in (0, 1)
        for some in (points, [(np.arange(4), np.arange(4))])
        for said in (labels(1.0), labels(0.5))
    }
    assert len(known) == 16
    assert key_of(accuracy, 0, points, labels(1.0)) in known

    @label_metric
    def here(preds: np.ndarray, target: np.ndarray) -> float:
        return 1.0

    assert key_of(find(here), 0, points, labels(1.0)) is None


@pytest.mark.parametrize("spec", ["near.py:near", "near.py:near?by=1"])
def test_an_edited_file_is_another_metric_with_parameters_too(tmp_path: Path, spec: str) -> None:
    text = """
    import numpy as np

    from autosurrogate import metric


    @metric("near", task="classification", set_size=16)
    def near(preds: np.ndarray, target: np.ndarray, *, by: int = 0) -> float:
        return float((abs(preds - target) <= by).mean())
    """
    keys = set()
    for edited in (text, text, text.replace("by).mean", "by) .mean")):
        program.write(tmp_path / "near.py", edited)
        keys.add(key_of(find(f"{tmp_path}/{spec}"), 0, [(np.arange(3), np.arange(3))], labels(1.0)))
    assert len(keys) == 2


def label_metric(function):
    from autosurrogate import metric

    return metric("here", task="classification")(function)


def test_recorded_examples_are_known_by_their_numbers() -> None:
    one = Examples(torch.zeros(4, 2, dtype=torch.bfloat16), torch.zeros(4, dtype=torch.long))
    names = {
        name_of(one),
        name_of(one.with_preds(torch.ones(4, 2, dtype=torch.bfloat16))),
        name_of(one[slice(0, 3)]),
        name_of(Examples(one.preds, one.target, {"preds_mask": torch.ones(4, 2, dtype=torch.bool)})),
        name_of(Examples(one.preds.float(), one.target)),
    }
    assert len(names) == 5
    assert name_of(Examples(one.preds.clone(), one.target.clone())) == name_of(one)


def test_the_folder_is_the_user_s_unless_named(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    assert label_cache.folder() == cache
    monkeypatch.delenv(label_cache.VARIABLE)
    found = label_cache.folder()
    assert found is not None
    assert found.parts[-2:] == ("autosurrogate", "labels")
