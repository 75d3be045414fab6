from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autosurrogate import tasks
from autosurrogate.errors import LabellingError
from autosurrogate.evaluation.evaluator import Evaluator
from autosurrogate.evaluation.shortfalls import shortfalls
from autosurrogate.export.metadata import DescentCheck, GradientNorms, HeldOutCorrelations, Quality, StratumOrder
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points.labelled_points import HeldOut, Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.metric_calls import points_of
from autosurrogate.rank_correlation.agreement import Agreement
from autosurrogate.registry.lookup import find
from autosurrogate.surrogates._calibration import Calibration

ACCURACY, TASK = find("accuracy"), tasks.get("classification")


def correlations(loss: float, regular: float) -> HeldOutCorrelations:
    agreements = (Agreement(spearman, (-1.0, 1.0), spearman, (-1.0, 1.0), 100) for spearman in (loss, regular))
    return HeldOutCorrelations(*agreements, by_set_size=())


def quality(
    loss: float = 0.9,
    regular: float = 0.5,
    gain: float = 1.0,
    error: float = 0.1,
    regular_gain: float = 0.5,
    recorded: tuple[float, float] | None = None,
) -> Quality:
    return Quality(
        held_out_generated=correlations(loss, regular),
        held_out_recorded=None if recorded is None else correlations(*recorded),
        gradient_norms=GradientNorms(1.0, 1.0),
        suggested_weight=1.0,
        descent_check=DescentCheck(gain, error, regular_gain, weight=0.3, distance=1.0, n_points=64),
    )


def stratum(loss: float, regular: float, error: float = 0.02) -> StratumOrder:
    return StratumOrder("untrained models", 80, loss, regular, error)


def test_a_kind_of_points_that_is_ordered_worse_than_by_the_regular_loss_beyond_noise_is_named() -> None:
    def with_strata(*rows: StratumOrder) -> Quality:
        return replace(quality(), held_out_generated=replace(correlations(0.9, 0.5), strata=rows))

    assert shortfalls(with_strata(stratum(0.57, 0.93))) == [
        "of held-out generated points it orders untrained models worse than the regular loss does: Somers' D 57.0, the "
        "regular loss's 93.0 (80 points)"
    ]
    assert shortfalls(with_strata(stratum(0.95, 0.93))) == []
    assert shortfalls(with_strata(stratum(0.90, 0.93))) == []  # within noise
    assert len(shortfalls(with_strata(stratum(0.88, 0.93)))) == 1
    assert shortfalls(with_strata(stratum(0.88, 0.93), *[stratum(0.9, 0.9)] * 9)) == []  # one of ten may be by chance


def test_a_good_loss_falls_short_in_nothing() -> None:
    assert shortfalls(quality()) == []


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
def test_what_falls_short_is_named_with_its_figures(figures: dict[str, float], message: str) -> None:
    (reason,) = shortfalls(quality(**figures))
    assert message in reason


def test_a_gain_that_is_not_surely_less_than_the_regular_loss_s_is_as_good() -> None:
    assert shortfalls(quality(gain=0.31)) == []


def test_recorded_outputs_count_as_well() -> None:
    assert shortfalls(quality(recorded=(0.3, 0.4))) == [
        "its Spearman correlation on held-out recorded outputs is 30.0, the regular loss's 40.0"
    ]
    (reason,) = shortfalls(quality(recorded=(-0.1, -0.2)))
    assert "held-out recorded outputs is -10.0, not above 0: it does not follow the metric" in reason


def test_recorded_outputs_of_about_one_quality_may_be_hard_to_rank() -> None:
    assert shortfalls(quality(recorded=(0.2, 0.1))) == []


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
    """Sets of few classes with the seeds 1 and 2: of many, the probability of the target is a poor guide."""
    generator = torch.Generator().manual_seed(seed)
    examples = TASK.generate(torch.linspace(0.1, 0.9, 60), generator, 32)
    values = [ACCURACY.function(*point) for point in points_of(TASK, ACCURACY, examples, 32)]
    return Chunk(examples, 32, torch.tensor(values, dtype=torch.float64), None)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Evaluator]:
    points = Points([], [labelled(1)], [], [])
    with Labeller(ACCURACY) as labeller:
        yield Evaluator(TASK, ACCURACY, labeller, torch.device("cpu"), points, 0)


def test_a_loss_that_helps_gains_more_than_the_regular_one_alone_and_a_harmful_one_less(evaluator: Evaluator) -> None:
    assert evaluator.regular_gain_fraction() == pytest.approx(0.25, abs=0.05)
    (helps, error), (harms, _) = (evaluator.gain_fraction(Toy(sign, 1.0)) for sign in (-1.0, 1.0))
    assert helps > evaluator.regular_gain_fraction() > harms + 3 * error


def test_a_loss_that_is_steep_on_a_few_points_gains_less_and_is_suggested_less_weight(evaluator: Evaluator) -> None:
    even, steep = Toy(-1.0, 1.0), Toy(-1.0, 50.0)
    assert evaluator.gain_fraction(steep)[0] < evaluator.gain_fraction(even)[0]
    weights = []
    for loss in (even, steep):
        evaluator.rescale(loss)
        report = evaluator.report(loss, HeldOut([labelled(2)], []))
        assert report.gradient_norms.loss == pytest.approx(report.gradient_norms.regular_loss, rel=1e-3)
        weights.append(report.suggested_weight)
        assert report.descent_check.weight is not None
        assert report.suggested_weight >= report.descent_check.weight
    assert weights[1] < 0.3 * weights[0]


def test_a_metric_that_fails_once_predictions_have_moved_is_an_error() -> None:
    def fails(preds: np.ndarray, target: np.ndarray) -> float:
        raise ValueError("moved")

    broken = dataclasses.replace(ACCURACY, function=fails, spec=None)
    points = Points([], [labelled(1)], [], [])
    with Labeller(broken) as labeller:
        evaluator = Evaluator(TASK, broken, labeller, torch.device("cpu"), points, 0)
        with pytest.raises(LabellingError, match="nearly all points of the descent check"):
            evaluator.gain_fraction(Toy(-1.0, 1.0))
