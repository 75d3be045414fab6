from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import program
import pytest

import autosurrogate
from autosurrogate.errors import LabellingError, MetricError
from autosurrogate.pipeline import checking
from autosurrogate.pipeline.checking import Report, check

METRICS = """
import time

import numpy as np

from autosurrogate import metric


@metric("macro_f1", task="classification", set_size=32)
def macro_f1(preds: np.ndarray, target: np.ndarray) -> float:
    found = []
    for c in np.unique(target):
        hits = ((preds == c) & (target == c)).sum()
        found.append(2 * hits / ((preds == c).sum() + (target == c).sum()))
    return float(np.mean(found))


@metric("wrong_way", task="classification", set_size=32, higher_is_better=False)
def wrong_way(preds, target):
    return (preds == target).mean()


@metric("constant", task="classification", set_size=32)
def constant(preds, target):
    return 0.5


@metric("half", task="classification", set_size=32)
def half(preds, target):
    if target[0] % 2:
        raise KeyError(f"class {target[0]}")
    return (preds == target).mean()


@metric("some", task="classification", set_size=32)
def some(preds, target):
    if target[0] % 11 == 10:
        raise KeyError(f"class {target[0]}")
    return (preds == target).mean()


@metric("slow", task="sequence", level="sample", view="tokens")
def slow(preds, target):
    time.sleep(0.02)
    return len(set(preds) & set(target)) / max(len(preds), len(target), 1)


@metric("three_values", task="ranking", level="sample")
def three_values(preds, target):
    return float(target[preds.argmax()])


@metric("noisy", task="classification", set_size=32)
def noisy(preds, target):
    return (preds == target).mean() + np.random.default_rng().normal(0, 0.01)


CALLS = []


@metric("remembering", task="classification", set_size=32)
def remembering(preds, target):
    CALLS.append((preds == target).mean())
    return CALLS[-1] - 0.1 * np.mean(CALLS[-50:])


@metric("first", task="classification", set_size=32)
def first(preds, target):
    return float((preds[:8] == target[:8]).mean())
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program.write(tmp_path_factory.mktemp("checked") / "mine.py", METRICS)


@functools.cache
def found(file: Path, name: str) -> Report:
    return check(f"{file}:{name}")


def test_a_sound_metric(file: Path) -> None:
    report = found(file, "macro_f1")
    assert report.reasons == ()
    assert (report.n_points, report.dropped) == (272, {})
    assert 0 <= report.low < 0.05
    assert 0.95 < report.high <= 1
    assert report.easy > 0.9 > 0.1 > report.hard
    assert report.coverage > 0.7
    assert report.calls_per_s > 50
    assert {one.what: one.matters for one in report.dependences} == {
        "which class is which": False,
        "the order of the examples": False,
    }
    values = [float(shown.returned) for shown in report.shown]
    assert values == sorted(values, reverse=True)
    assert all(shown.preds.startswith("array(") and shown.preds.endswith("; shape 32)") for shown in report.shown)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wrong_way", "lower is declared to be better, but its mean is"),
        ("constant", "is constant: 0.5 on all 272 points"),
        ("half", "points (4"),
        ("first", "depends on the order of the examples"),
    ],
)
@pytest.mark.slow
def test_what_is_wrong_is_told(file: Path, name: str, reason: str) -> None:
    assert reason in " ".join(found(file, name).reasons)


def test_calls_that_fail_are_counted_and_one_is_shown(file: Path) -> None:
    report = found(file, "some")
    assert report.reasons == ()
    assert list(report.dropped) == ["raised"]
    assert report.shown[-1].returned.startswith("KeyError: 'class ")


def test_ties_are_counted(file: Path) -> None:
    assert found(file, "three_values").ties > 0.95
    assert found(file, "macro_f1").ties < 0.5


@pytest.mark.parametrize("name", ["noisy", "remembering"])
@pytest.mark.slow
def test_a_metric_that_is_another_when_it_is_called_again_is_told(file: Path, name: str) -> None:
    assert found(file, name).changed > 0.9
    assert found(file, "macro_f1").changed == 0


@pytest.mark.slow
def test_a_slow_metric_is_called_less_often(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "CHECK_S", 0.8)
    report = found(file, "slow")
    assert report.reasons == ()
    assert 32 <= report.n_points < 700
    assert report.calls_per_s < 150


@pytest.mark.slow
def test_the_same_seed_finds_the_same(file: Path) -> None:
    first, again, other = (check(f"{file}:macro_f1", seed=seed) for seed in (0, 0, 1))
    assert (first.shown, first.easy, first.coverage) == (again.shown, again.easy, again.coverage)
    assert first.easy != other.easy


def test_what_cannot_be_run_at_all(file: Path) -> None:
    with pytest.raises(MetricError, match="did you mean"):
        check(f"{file}:macro_f2")
    lost = program.write(file.parent / "lost.py", """
        import sys

        from autosurrogate import metric

        if "pytest" not in sys.modules:
            raise OSError("only here")


        @metric("lost", task="classification")
        def lost(preds, target):
            return 0.0
    """)  # fmt: skip
    with pytest.raises(LabellingError, match=r"cannot be loaded in a worker process: .*only here"):
        check(f"{lost}:lost")


def test_it_is_a_public_name() -> None:
    assert autosurrogate.check is check


@pytest.mark.slow
def test_the_command_line_shows_it_all(file: Path) -> None:
    done = program.run("check", "mine.py:some", cwd=file.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for start in (
        "metric                     some, higher is better; computed by ",
        "task                       classification, view 'labels', a set of 32 examples a call",
        "called with                preds array(",
        "                           target array(",
        "                           -> KeyError: 'class ",
        "calls                      272, ",
        "values                     0 to 1; mean ",
        "coverage                   ",
        "ties                       ",
        "called again               the same values",
        "which class is which       does not matter",
        "the order of the examples  does not matter",
        "a loss can be fitted",
    ):
        assert any(line.startswith(start) for line in lines), (start, done.stdout)


@pytest.mark.slow
def test_the_command_line_refuses_with_3_and_wrong_input_with_2(file: Path) -> None:
    refused = program.run("check", "mine.py:first", cwd=file.parent)
    assert refused.returncode == 3
    assert "the order of the examples  changes " in refused.stdout
    assert "no loss should be fitted:\nmetric 'first' depends on the order of the examples" in refused.stdout
    wrong = program.run("check", "mine.py:frist", cwd=file.parent)
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "did you mean" in wrong.stderr


@pytest.mark.slow
def test_json_is_for_programs(file: Path) -> None:
    done = program.run("check", "mine.py:constant", "--json", cwd=file.parent)
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert (report["metric"], report["task"], report["set_size"]) == ("constant", "classification", 32)
    assert report["reasons"][0].startswith("metric 'constant' is constant")
    assert report["low"] == report["high"] == 0.5
    assert report["dependences"] == []


def test_a_metric_that_never_has_a_value(file: Path) -> None:
    never = program.write(file.parent / "never.py", """
        from autosurrogate import metric


        @metric("never", task="classification", set_size=32)
        def never(preds, target):
            return float("nan")
    """)  # fmt: skip
    report = check(f"{never}:never")
    assert np.isnan(report.low)
    assert report.as_dict()["low"] is None
    assert "nan" in report.reasons[0]


@pytest.mark.slow
def test_a_fit_finds_the_wrong_direction_too(file: Path) -> None:
    done = program.run("fit", "--metric", "mine.py:wrong_way", "--budget", "20s", cwd=file.parent)
    assert done.returncode == 2
    assert "metric 'wrong_way': lower is declared to be better, but its mean is" in done.stderr
    assert not (file.parent / "wrong_way.pt").exists()
