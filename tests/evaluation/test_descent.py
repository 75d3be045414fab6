from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from generated_points import ACCURACY, CPU, TASK, HereLabeller, labelled, of_values, target_probability
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.evaluation import descent, point_losses
from autosurrogate.evaluation.descent import descend, improvement, mid_quality
from autosurrogate.evaluation.point_losses import gradient_norms, regular_of_points
from autosurrogate.examples import Examples
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric


def change(
    of_points: point_losses.PointLosses, chunks: list[Chunk], metric: Metric = ACCURACY, distance: float = 1.0
) -> np.ndarray:
    labeller: Any = HereLabeller(metric)
    points = descend(of_points, chunks, tasks.get(metric.task), metric, CPU, distance)
    return improvement(points, chunks, metric, labeller)


def test_points_of_mid_quality_lie_between_a_fifth_and_seven_tenths_of_the_way() -> None:
    chunk = of_values([0.0, 0.1, 0.3, 0.5, 0.69, 0.71, 1.0] * 3)
    found = mid_quality([chunk], True, 100)
    assert [c.values.tolist() for c in found] == [[0.3, 0.5, 0.69] * 3]
    assert found[0].examples.preds[:6, 0].tolist() == [4, 5, 6, 7, 8, 9]  # their own examples, whole
    assert found[0].set_size == 2


def test_points_of_mid_quality_of_a_metric_where_lower_is_better_are_counted_from_its_worst() -> None:
    values = [0.0, 0.1, 0.29, 0.31, 0.5, 0.79, 0.81, 1.0] * 3
    assert mid_quality([of_values(values)], False, 100)[0].values.tolist() == [0.31, 0.5, 0.79] * 3


@pytest.mark.parametrize(("n_points", "n_chunks"), [(6, 3), (7, 3), (2, 5), (1, 4), (100, 3)])
def test_points_of_mid_quality_are_at_most_so_many_of_all_chunks_alike(n_points: int, n_chunks: int) -> None:
    chunks = [of_values([0.0, *np.linspace(0.3, 0.6, 10), 1.0]) for _ in range(n_chunks)]
    counts = [len(c) for c in mid_quality(chunks, True, n_points)]
    assert sum(counts) == min(n_points, 10 * n_chunks)
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("values", [[0.0] * 20 + [1.0] * 20, [0.5] * 9, [0.0] * 3 + [0.5] + [1.0] * 4])
def test_all_points_are_used_where_hardly_any_is_of_mid_quality(values: list[float]) -> None:
    assert mid_quality([of_values(values)], True, 100)[0].values.tolist() == values


def test_following_the_probability_of_the_target_gains_and_fleeing_it_loses() -> None:
    chunks = mid_quality([labelled(0, 30), labelled(1, 30)], True, 16)
    up, down = (change(target_probability(sign), chunks, distance=3.0) for sign in (-1, 1))
    assert up.shape == (16,)
    assert up.mean() > 0.02
    assert down.mean() < -0.02


def test_a_loss_of_constant_gradient_the_wrong_way_loses() -> None:
    def towards_others(examples: Examples, set_size: int) -> Tensor:
        own = examples.preds.gather(1, examples.target[:, None]).squeeze(1)
        return own.view(-1, set_size).sum(1)

    chunks = mid_quality([labelled(0), labelled(1)], True, 16)
    assert change(towards_others, chunks, distance=5.0).mean() < -0.02


def test_a_gain_is_positive_where_a_lower_metric_is_better() -> None:
    error = dataclasses.replace(
        ACCURACY, function=lambda preds, target: 1 - ACCURACY.function(preds, target), higher_is_better=False
    )
    chunk = labelled(0)
    turned = Chunk(chunk.examples, chunk.set_size, 1 - chunk.values, None)
    np.testing.assert_allclose(
        change(target_probability(-1), [turned], error, distance=3.0),
        change(target_probability(-1), [chunk], distance=3.0),
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_points_move_the_distance_that_is_asked_for_whatever_the_scale(scale: float) -> None:
    chunk = labelled(0, 3)

    def straight(examples: Examples, set_size: int) -> Tensor:
        return scale * examples.preds[:, 0].view(-1, set_size).sum(1)

    moved = descent.descend_examples(straight, chunk.examples, tasks.get("classification"), 32, 2.0)
    torch.testing.assert_close(
        (moved.preds - chunk.examples.preds).view(3, -1).norm(dim=1), torch.full((3,), 2.0), rtol=1e-3, atol=1e-3
    )
    assert torch.equal(moved.target, chunk.examples.target)


def test_predictions_move_in_the_unit_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk, task = labelled(0, 3), tasks.get("classification")
    unit = torch.ones(chunk.examples.preds.shape[1])
    unit[0] = 10.0
    monkeypatch.setattr(type(task), "unit", lambda self, examples: unit)

    def two_classes(examples: Examples, set_size: int) -> Tensor:
        return examples.preds[:, :2].sum(1).view(-1, set_size).sum(1)

    moved_by = chunk.examples.preds - descent.descend_examples(two_classes, chunk.examples, task, 32, 2.0).preds
    torch.testing.assert_close((moved_by / unit).view(3, -1).norm(dim=1), torch.full((3,), 2.0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        moved_by[:, 0], 100 * moved_by[:, 1], rtol=1e-2, atol=1e-4
    )  # as steep as its unit, and as far again
    norms = gradient_norms(two_classes, [chunk], task, CPU)
    torch.testing.assert_close(norms, torch.full((3,), (32 * 101) ** 0.5))


def test_points_without_a_gradient_stay() -> None:
    chunk = labelled(0, 2)
    moved = descent.descend_examples(
        lambda e, size: 0 * e.preds.view(2, -1).sum(1), chunk.examples, tasks.get("classification"), 32, 1.0
    )
    assert torch.equal(moved.preds, chunk.examples.preds)
    assert (change(lambda e, size: 0 * e.preds.view(2, -1).sum(1), [chunk]) == 0).all()


def test_points_move_together_those_with_the_steeper_loss_further() -> None:
    chunk = labelled(0, 2)
    steepness = torch.tensor([1.0, 7.0])
    moved = descent.descend_examples(
        lambda e, size: steepness * e.preds[:, 0].view(2, -1).sum(1), chunk.examples, TASK, 32, 2.0
    )
    distances = (moved.preds - chunk.examples.preds).view(2, -1).norm(dim=1)
    assert float(distances[1] / distances[0]) == pytest.approx(7, rel=1e-2)
    assert float(distances.square().mean().sqrt()) == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(
    ("gain", "distance"),
    [
        (lambda d: d / 100, 25.0),  # a quarter of what is missing, between two of those that are tried
        (lambda d: min(d, 10.0) / 100, 2.5),  # never a quarter: a quarter of the most
        (lambda d: -d, 1.0),  # the regular loss does harm
        (lambda d: 1.0, 0.025),  # at once
    ],
)
def test_the_distance_is_that_over_which_the_regular_loss_gains_a_quarter(
    gain: Callable[[float], float], distance: float
) -> None:
    assert descent.descent_distance(gain, 1.0) == pytest.approx(distance)


def test_points_on_which_the_metric_then_fails_have_no_gain() -> None:
    labeller: Any = HereLabeller(ACCURACY, fails=True)
    chunks = [labelled(0, 2)]
    points = descend(target_probability(-1), chunks, TASK, ACCURACY, CPU, 1.0)
    found = improvement(points, chunks, ACCURACY, labeller)
    assert np.isnan(found).tolist() == [True, True]


def test_sentences_gain_from_the_regular_loss() -> None:
    metric = find("bleu")
    chunk = labelled(0, 40, 1, metric)
    regular = regular_of_points(tasks.get("sequence"))
    assert change(regular, [chunk], metric, distance=8.0).mean() > 0
