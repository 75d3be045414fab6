from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autosurrogate import tasks
from autosurrogate.errors import LabellingError
from autosurrogate.evaluation.evaluator import Judge, shortfalls
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points.labelled_points import HeldOut, Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.sampling import points_of
from autosurrogate.registry.lookup import find
from autosurrogate.surrogates._calibration import Calibration

ACCURACY, TASK = find("accuracy"), tasks.get("classification")


def metadata(loss: float = 0.9, regular: float = 0.5, gain: float = 1.0, error: float = 0.1, regular_gain: float = 0.5):
    found: dict[str, Any] = {
        "held_out": {"loss": {"spearman": loss}, "regular": {"spearman": regular}},
        "descent": {"gain": gain, "gain_error": error, "regular_gain": regular_gain, "weight": 0.3},
    }
    return found


def test_a_good_loss_falls_short_in_nothing() -> None:
    assert shortfalls(metadata()) == []


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (
            {"loss": -0.2},
            "Spearman correlation on held-out generated points is -20.0, not above 30: it does not follow the metric",
        ),
        ({"loss": float("nan")}, "generated points is nan, not above 30: it does not follow the metric"),
        ({"loss": 0.29, "regular": 0.1}, "generated points is 29.0, not above 30: it does not follow the metric"),
        ({"loss": 0.5}, "its Spearman correlation on held-out generated points is 50.0, the regular loss's 50.0"),
        ({"gain": 0.29}, r"its gain in the descent check is 0.29 (standard error 0.1), the regular loss's alone 0.5"),
        ({"gain": float("nan")}, "its gain in the descent check is nan"),
    ],
)
def test_what_falls_short_is_told_with_its_figures(figures: dict[str, float], message: str) -> None:
    (found,) = shortfalls(metadata(**figures))
    assert message in found


def test_a_gain_that_is_not_surely_less_than_the_regular_loss_s_is_as_good() -> None:
    assert shortfalls(metadata(gain=0.31)) == []


def test_recorded_outputs_count_as_well() -> None:
    both = {**metadata(), "held_out_recorded": {"loss": {"spearman": 0.3}, "regular": {"spearman": 0.4}}}
    assert shortfalls(both) == [
        "its Spearman correlation on held-out recorded outputs is 30.0, the regular loss's 40.0"
    ]
    both["held_out_recorded"] = {"loss": {"spearman": -0.1}, "regular": {"spearman": -0.2}}
    (found,) = shortfalls(both)
    assert "held-out recorded outputs is -10.0, not above 0: it does not follow the metric" in found


def test_recorded_outputs_of_about_one_quality_may_be_hard_to_rank() -> None:
    both = {**metadata(), "held_out_recorded": {"loss": {"spearman": 0.2}, "regular": {"spearman": 0.1}}}
    assert shortfalls(both) == []


class Toy(nn.Module):
    """The probability of the target, steeper by some factor on every eighth set, whatever set that is."""

    def __init__(self, sign: float, factor: float) -> None:
        super().__init__()
        self.sign, self.factor = sign, factor
        self.calibration = Calibration()

    def points(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        found = preds.softmax(1).gather(1, target[:, None]).squeeze(1).view(-1, set_size).mean(1)
        steep = torch.where(torch.arange(len(found)) % 8 == 0, self.factor, 1.0)
        return self.calibration(self.sign * steep * found)


def labelled(seed: int) -> Chunk:
    generator = torch.Generator().manual_seed(seed)
    examples = TASK.generate(torch.linspace(0.1, 0.9, 60), generator, 32)
    values = [ACCURACY.function(*point) for point in points_of(TASK, ACCURACY, examples, 32)]
    return Chunk(examples, 32, torch.tensor(values, dtype=torch.float64), None)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    points = Points([], [labelled(0)], [], [])
    with Labeller(ACCURACY) as labeller:
        yield Judge(TASK, ACCURACY, labeller, torch.device("cpu"), points, 0)


def test_a_loss_that_helps_mends_more_than_the_regular_one_alone_and_a_harmful_one_less(judge: Judge) -> None:
    assert judge.regular_mended() == pytest.approx(0.25, abs=0.05)
    (helps, error), (harms, _) = (judge.mended(Toy(sign, 1.0)) for sign in (-1.0, 1.0))
    assert helps > judge.regular_mended() > harms + 3 * error


def test_a_loss_that_is_steep_on_a_few_points_mends_less_and_is_to_have_less_weight(judge: Judge) -> None:
    even, steep = Toy(-1.0, 1.0), Toy(-1.0, 50.0)
    assert judge.mended(steep)[0] < judge.mended(even)[0]
    weights = []
    for loss in (even, steep):
        judge.rescale(loss)
        report = judge.report(loss, HeldOut([labelled(1)], []))
        assert report["gradient_norm"]["loss"] == pytest.approx(report["gradient_norm"]["regular"], rel=1e-3)
        weights.append(report["suggested_weight"])
        assert report["suggested_weight"] >= report["descent"]["weight"]
    assert weights[1] < 0.3 * weights[0]


def test_a_metric_that_fails_once_predictions_have_moved_is_told() -> None:
    def fails(preds: np.ndarray, target: np.ndarray) -> float:
        raise ValueError("moved")

    broken = dataclasses.replace(ACCURACY, function=fails, spec=None)
    points = Points([], [labelled(0)], [], [])
    with Labeller(broken) as labeller:
        judge = Judge(TASK, broken, labeller, torch.device("cpu"), points, 0)
        with pytest.raises(LabellingError, match="nearly all points of the descent check"):
            judge.mended(Toy(-1.0, 1.0))
