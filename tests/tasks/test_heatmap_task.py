from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.lookup import find

TASK = tasks.get("heatmap")


def generated(severity: float, n_points: int = 3, set_size: int = 16, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def values(name: str, examples: Examples, set_size: int = 16) -> list[float]:
    metric = find(name)
    points = TASK.points(examples, "keypoints", set_size if metric.level == "set" else None)
    return [metric.function(preds, target) for preds, target in points]


def arrays_of(examples: Examples) -> dict[str, np.ndarray]:
    tensors = {"preds": examples.preds, "target": examples.target, **examples.extras}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def test_generated_examples_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = generated(0.5, 3, 7, seed)
        assert made.preds.shape == made.target.shape
        assert made.preds.shape[0] == 21
        assert set(made.extras) == {"weight", "area", "normaliser"} == {*TASK.extras, *TASK.metric_extras}
        assert {a.dtype for a in (made.preds, made.target, *made.extras.values())} == {torch.float32}
        assert made.preds.isfinite().all()
        TASK.check(arrays_of(made))


def test_sizes_are_drawn_and_stay_small() -> None:
    shapes = [tuple(generated(0.5, 1, 2, seed).preds.shape[1:]) for seed in range(100)]
    n_keypoints = [k for k, _, _ in shapes]
    assert min(n_keypoints) == 2
    assert 10 <= n_keypoints.count(17) <= 35
    assert max(n_keypoints) == 17
    assert len(set(n_keypoints)) == 8
    assert {h > w for _, h, w in shapes if h != w} == {True, False}
    assert min(min(h, w) for _, h, w in shapes) >= 8
    assert max(max(h, w) for _, h, w in shapes) > 25
    assert max(k * h * w for k, h, w in shapes) < 3500


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert all(torch.equal(first.extras[name], again.extras[name]) for name in first.extras)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "best", "worst"), [("pck", 0.85, 0.2), ("oks_ap", 0.75, 0.1), ("mean_distance", 0.03, 0.2)]
)
def test_each_metric_gets_worse_with_the_severity_over_its_range(name: str, best: float, worst: float) -> None:
    found = [np.nanmean([v for k in range(15) for v in values(name, generated(s, seed=k))]) for s in (0, 0.25, 0.5, 1)]
    if name == "mean_distance":
        assert found == sorted(found)
        assert found[0] < best
        assert found[-1] > worst
    else:
        assert found == sorted(found, reverse=True)
        assert found[0] > best
        assert found[-1] < worst


def test_quality_is_not_read_from_scale_or_height() -> None:
    made = [generated(float(s), 8, 16, seed) for seed, s in enumerate(torch.linspace(0, 1, 40))]
    quality = np.concatenate([values("pck", e) for e in made])
    for of in (lambda e: e.preds.abs().mean((1, 2, 3)), lambda e: e.preds.amax((1, 2, 3)), TASK.regular_loss):
        seen = torch.cat([of(e).view(-1, 16).mean(1) for e in made]).numpy()
        assert abs(spearman(seen, quality)) < 0.3


def test_the_order_of_heights_follows_quality_in_some_sets_alone() -> None:
    found = []
    for seed in range(30):
        made = generated(0.4, 1, 32, seed)
        distance = np.array(values("mean_distance", made))
        height = made.preds.amax((2, 3)).mean(1).numpy()
        found.append(-spearman(height[~np.isnan(distance)], distance[~np.isnan(distance)]))
    assert min(found) < 0.1
    assert max(found) > 0.5


def maps(*places: tuple[int, int, float], height: int = 5, width: int = 8) -> Tensor:
    """A map for each (x, y, height of the peak)."""
    found = torch.zeros(len(places), height, width)
    for one, (x, y, peak) in zip(found, places, strict=True):
        one[y, x] = peak
    return found


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keypoints_are_the_maxima(dtype: torch.dtype) -> None:
    preds = torch.stack([maps((7, 4, 0.5), (0, 3, 0.25)), maps((2, 0, 2.0), (3, 3, 4.0))]).to(dtype)
    target = torch.stack([maps((7, 3, 1.0), (1, 1, 1.0)), maps((0, 0, 1.0), (5, 2, 1.0))]).to(dtype)
    extras = {"weight": torch.tensor([[1, 0], [1, 1]]), "area": torch.tensor([30.0, 20.0])}
    ours, theirs = TASK.decode(Examples(preds, target, extras), "keypoints")
    assert [item["keypoints"].tolist() for item in ours] == [[[7, 4], [0, 3]], [[2, 0], [3, 3]]]
    assert [item["scores"].tolist() for item in ours] == [[0.5, 0.25], [2, 4]]
    assert [item["keypoints"].tolist() for item in theirs] == [[[7, 3], [1, 1]], [[0, 0], [5, 2]]]
    assert [item["weight"].tolist() for item in theirs] == [[1, 0], [1, 1]]
    assert [(item["area"], item["size"], item["normaliser"]) for item in theirs] == [(30, 8, 8), (20, 8, 8)]


def test_what_is_not_given_has_a_default() -> None:
    examples = Examples(torch.rand(2, 3, 10, 6), torch.rand(2, 3, 10, 6))
    _, target = TASK.decode(examples, "keypoints")
    assert [(t["weight"].tolist(), t["area"], t["normaliser"]) for t in target] == [([1, 1, 1], 15, 10)] * 2
    assert TASK.has_target(examples) is None
    assert len(TASK.points(examples, "keypoints", 2)[0][0]) == 2


def test_sets_leave_out_examples_without_an_annotated_keypoint() -> None:
    weight = torch.tensor([[0, 1], [0, 0], [0, 0], [1, 1]])
    examples = Examples(torch.rand(4, 2, 5, 5), torch.rand(4, 2, 5, 5), {"weight": weight})
    kept: Any = TASK.has_target(examples)
    assert kept.tolist() == [True, False, False, True]
    points = TASK.points(examples, "keypoints", 2)
    assert [len(preds) for preds, _ in points] == [len(target) for _, target in points] == [1, 1]
    preds, target = TASK.decode(examples, "keypoints")
    assert [p[0]["scores"].tolist() for p, _ in points] == [preds[i]["scores"].tolist() for i in (0, 3)]
    assert [t[0]["weight"].tolist() for _, t in points] == [target[i]["weight"].tolist() for i in (0, 3)]
    assert len(TASK.points(examples, "keypoints", None)) == 4


def test_the_regular_loss_is_the_squared_error_of_annotated_maps() -> None:
    preds, target = torch.rand(3, 2, 4, 5, requires_grad=True), torch.rand(3, 2, 4, 5)
    weight = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = TASK.regular_loss(Examples(preds, target, {"weight": weight}))
    by_hand = ((preds - target) ** 2).flatten(2).mean(2)
    torch.testing.assert_close(found, torch.stack([by_hand[0, 0], by_hand[1].mean(), torch.tensor(0.0)]))
    torch.testing.assert_close(TASK.regular_loss(Examples(preds, target)), by_hand.mean(1))
    found.sum().backward()
    assert preds.grad is not None
    assert (preds.grad[2] == 0).all()
    assert TASK.regular_loss(Examples(preds.detach().half(), target.half())).dtype == torch.float32


def test_the_unit_grows_with_the_heights_of_the_peaks() -> None:
    examples = Examples(torch.rand(4, 2, 6, 6, requires_grad=True), torch.rand(4, 2, 6, 6))
    unit: Any = TASK.unit(examples)
    assert unit.shape == (4, 1, 1, 1)
    assert not unit.requires_grad
    torch.testing.assert_close(TASK.unit(examples.with_preds(10 * examples.preds + 5)), 10 * unit)
    assert (TASK.unit(examples.with_preds(torch.zeros(4, 2, 6, 6))) > 0).all()


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((3, 2, 4, 5), np.float32), "target": np.zeros((3, 2, 4, 5)), **changed}


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays())
    TASK.check(arrays(weight=np.array([[0, 1], [1, 1], [0, 0]], dtype), area=np.ones(3), normaliser=np.ones(3, dtype)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((3, 4, 5))}, "preds must have shape (n, n_keypoints, height, width), got (3, 4, 5)"),
        ({"target": np.zeros((3, 2, 2))}, "target must have shape (n, n_keypoints, height, width), got (3, 2, 2)"),
        ({"preds": np.zeros((3, 2, 4, 5), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros((3, 2, 4, 5), int)}, "target must have a dtype of kind floating, got int64"),
        ({"target": np.zeros((3, 2, 5, 4))}, "target must have the shape of preds (3, 2, 4, 5), got (3, 2, 5, 4)"),
        ({"target": np.full((3, 2, 4, 5), np.nan)}, "target must be finite: it holds NaN or infinity"),
        ({"weight": np.ones(3)}, "weight must have shape (3, 2), the first of preds' axes, got (3,)"),
        ({"area": np.ones((3, 2))}, "area must have shape (3,), the first of preds' axes, got (3, 2)"),
        ({"weight": np.full((3, 2), -1.0)}, "weight must be 0 or more and finite, got -1.0"),
        ({"area": np.array([1, 0, 2])}, "area must be above 0 and finite, got 0"),
        ({"normaliser": np.array([1, 2, np.inf])}, "normaliser must be above 0 and finite, got inf"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def maps_in(regime: str) -> Tensor:
    """Cells of the maps of 64 sets in a regime, (n_sets, set_size * n_keypoints, n_cells)."""
    made = generated(0.3, 64, 8)
    return (
        TASK.in_regime(regime, made, 8, torch.Generator().manual_seed(1))
        .preds.unflatten(0, (64, -1))
        .flatten(3)
        .flatten(1, 2)
    )


def test_untrained_maps_are_nearly_flat_and_some_are_zero_everywhere() -> None:
    cells = maps_in("untrained")
    height = (cells.amax(2) - cells.mean(2)).mean(1)
    assert height.median() < 0.3
    assert 0 < (cells.flatten(1) == 0).all(1).float().mean() < 0.2


def test_a_collapsed_model_sees_most_keypoints_in_one_place() -> None:
    place = maps_in("collapsed").argmax(2)
    most_frequent = torch.nn.functional.one_hot(place).float().mean(1).amax(1)
    assert most_frequent.median() > 0.5
