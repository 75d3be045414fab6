from __future__ import annotations

import inspect
import math
import signal
import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from autosurrogate.labelling.caller import Caller
from autosurrogate.labelling.outcomes import Problem


def label_one(function: Any, point: tuple[Any, Any], timeout_s: float) -> float | Problem:
    with Caller(function, timeout_s) as call:
        return call(point)


def label(value: Any) -> float | Problem:
    return label_one(lambda preds, target: value, (None, None), timeout_s=5.0)


@pytest.mark.parametrize(
    "half",
    [
        *(0.5, Decimal("0.5"), Fraction(1, 2), np.float32(0.5), np.float64(0.5), np.array(0.5)),
        *(torch.tensor(0.5), torch.tensor(0.5, requires_grad=True), torch.tensor(0.5).bfloat16()),
    ],
)
def test_what_is_one_number_is_a_label(half):
    assert label(half) == 0.5
    assert type(label(half)) is float


@pytest.mark.parametrize("one", [1, True, np.int8(1), np.bool_(True), np.array(1), torch.tensor(True)])
def test_whole_numbers_and_truth_are_labels(one):
    assert label(one) == 1.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "returned None"),
        ("0.5", "returned str '0.5'"),
        ([0.1, 0.2], "returned list [0.1, 0.2]"),
        ({"bleu": 12.5}, "returned dict {'bleu': 12.5}"),
        (np.array([0.1, 0.2]), "returned ndarray of shape (2,) array([0.1, 0.2])"),
        (torch.ones(1), "returned Tensor of shape (1,) tensor([1.])"),
        (1j, "returned complex 1j"),
    ],
)
def test_all_else_is_no_number_and_is_shown(value, shown):
    problem = label(value)
    assert problem == Problem("not a number", shown)


def test_a_long_value_is_shown_in_short():
    problem = label(list(range(10_000)))
    assert isinstance(problem, Problem)
    assert len(problem.message) < 120


class Unshowable:
    def __repr__(self):
        raise RuntimeError


def test_a_value_that_cannot_be_shown_is_named():
    problem = label(Unshowable())
    assert isinstance(problem, Problem)
    assert problem.message.startswith("returned Unshowable <Unshowable instance at ")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), torch.tensor(math.nan)])
def test_nan_and_infinite_values_are_told(value):
    assert label(value) == Problem("nan", f"returned {float(value)}")


def deep(preds, target):
    return np.linalg.inv(preds)


def test_an_error_is_told_with_the_line_of_the_metrics_own_file():
    line = inspect.getsourcelines(deep)[1] + 1
    expected = Problem("raised", f"LinAlgError: Singular matrix ({__file__}:{line})")
    assert label_one(deep, (np.zeros((2, 2)), None), timeout_s=5.0) == expected


@pytest.mark.parametrize("error", [ValueError("two\nlines"), SystemExit("two lines"), KeyboardInterrupt("two lines")])
def test_whatever_is_raised_is_told_on_one_line(error):
    def function(preds, target):
        raise error

    problem = label_one(function, (None, None), timeout_s=5.0)
    assert isinstance(problem, Problem)
    assert problem.kind == "raised"
    assert problem.message.startswith(f"{type(error).__name__}: two lines ({__file__}:")


def test_a_metric_that_needs_other_arguments_is_told_by_its_error():
    problem = label_one(lambda preds: 0.0, (None, None), timeout_s=5.0)
    assert isinstance(problem, Problem)
    assert "takes 1 positional argument but 2 were given" in problem.message


def sleep(preds, target):
    time.sleep(60)


def spin(preds, target):
    while True:
        pass


def spin_and_catch(preds, target):
    while True:
        try:
            time.sleep(60)
        except Exception:
            pass


def use_the_alarm(preds, target):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(0)
    return 1.0


@pytest.mark.parametrize("hang", [sleep, spin, spin_and_catch])
def test_a_hanging_call_is_interrupted_where_it_hangs(hang):
    since = time.monotonic()
    problem = label_one(hang, (None, None), timeout_s=0.2)
    assert time.monotonic() - since < 2
    assert isinstance(problem, Problem)
    assert problem.kind == "timeout"
    assert problem.message.startswith(f"took longer than 0.2 s ({__file__}:")


def test_the_time_limit_survives_a_metric_that_uses_the_alarm():
    with Caller(lambda preds, target: preds(None, None), timeout_s=0.2) as call:
        assert call((use_the_alarm, None)) == 1.0
        time.sleep(0.02)
        problem = call((sleep, None))
    assert isinstance(problem, Problem)
    assert problem.kind == "timeout"


@pytest.mark.slow
def test_each_of_many_calls_has_the_whole_time():
    def naps(preds, target):
        time.sleep(preds)
        return preds

    with Caller(naps, 0.3) as call:
        found = [call((nap, None)) for nap in (0.2, 0.2, 0.2, 60.0, 0.2, 0.0, 60.0)]
    kinds = [one if isinstance(one, float) else one.kind for one in found]
    assert kinds == [0.2, 0.2, 0.2, "timeout", 0.2, 0.0, "timeout"]


@pytest.mark.slow
def test_a_call_that_hangs_ends_when_its_own_time_is_up():
    with Caller(lambda preds, target: time.sleep(preds) or 1.0, 0.5) as call:
        call((0.4, None))
        since = time.monotonic()
        assert call((60.0, None)).kind == "timeout"
    assert 0.5 <= time.monotonic() - since < 0.8  # not what was left of the first call's


def test_no_alarm_is_left_behind():
    label_one(lambda preds, target: 0.0, (None, None), timeout_s=0.05)
    time.sleep(0.1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
