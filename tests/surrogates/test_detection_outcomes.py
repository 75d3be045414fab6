"""What the features of the network `outcomes` are, on detections whose outcomes are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks

TASK = tasks.get("detection")
KINDS = ["counts", "curve", "places", "areas"]
SHARP = 0.01
Row = tuple[list[float], float]  # a box and the logit of class 0


def network(temperature: float = SHARP, head: str = "monotone") -> Any:
    return surrogates.build(TASK, "set", "outcomes", kinds=KINDS, temperatures=[temperature], head=head)


def box(left: float, width: float = 10.0) -> list[float]:
    return [left, 0.0, left + width, 10.0]


def image(detections: list[Row], true: list[list[float]], n_classes: int = 1) -> tuple[Tensor, Tensor]:
    preds = torch.tensor([[*b, logit, *[-9.0] * (n_classes - 1)] for b, logit in detections])[None]
    target = torch.tensor([[*b, 0.0] for b in true]).reshape(1, -1, 5)
    return preds, target


def features(preds: Tensor, target: Tensor, temperature: float = SHARP) -> dict[str, Tensor]:
    loss = network(temperature)
    values = loss.features(preds, target, len(preds))[0]
    return {
        name.removesuffix(f", {temperature:g}"): value
        for name, value in zip(loss.network.feature_names(), values, strict=True)
    }


def approx(value: float, tolerance: float = 0.02) -> Any:
    return pytest.approx(value, abs=tolerance)


def test_hits_false_alarms_and_misses_are_counted_from_each_score_on() -> None:
    # A hit of score 0.95, a double of it of 0.88, a false alarm of 0.62, a hit of 0.38; and a miss.
    rows = [(box(0), 3.0), (box(0), 2.0), (box(200), 0.5), (box(50), -0.5)]
    found = features(*image(rows, [box(0), box(50), box(100)]))
    assert found["recall of class at 0.5 from 0.5"].item() == approx(1 / 3)
    assert found["recall of class at 0.5 from 0.25"].item() == approx(2 / 3)
    assert found["precision of class at 0.5 from 0.5"].item() == approx(1 / 3.1)
    assert found["precision of class at 0.5 from 0.75"].item() == approx(1 / 2.1)
    assert found["F1 of class at 0.5"].item() == approx(1 / 3)
    assert found["counted from 0.5"].item() == approx(math.log(3.5 / 3.5) / 3)
    assert found["squared error of counts"].item() == approx(0)


def test_a_match_of_any_class_is_told_from_one_of_its_class() -> None:
    preds, target = image([(box(0), 3.0)], [box(0)], n_classes=2)
    target[..., 4] = 1
    found = features(preds, target)
    assert found["recall of class at 0.5 from 0.5"].item() == approx(0)
    assert found["recall of any at 0.5 from 0.5"].item() == approx(1)
    assert found["class of the best"].item() == approx(0)


def test_the_overlap_decides_at_which_bounds_a_detection_is_a_hit() -> None:
    found = features(*image([(box(0, 8.0), 3.0)], [box(0, 12.0)]))  # IoU 2/3
    assert found["recall of class at 0.5"].item() == approx(1)
    assert found["recall of class at 0.75"].item() == approx(0)
    assert found["IoU of hits of class at 0.5"].item() == approx(2 / 3 / 1.1)
    assert found["panoptic quality of class at 0.5"].item() == approx(2 / 3)


def test_average_precision_is_that_of_all_classes_together() -> None:
    rows = [(box(0), 3.0), (box(200), 2.0), (box(50), 1.0)]
    found = features(*image(rows, [box(0), box(50)]))
    assert found["average precision of class at 0.5"].item() == approx((1 + 2 / 3) / 2, 0.06)


@pytest.mark.parametrize(("rate", "recall"), [(0.1, 1 / 3), (0.3, 1 / 3), (1, 2 / 3), (3, 1)])
def test_recall_is_taken_where_there_are_so_many_false_alarms_per_image(rate: float, recall: float) -> None:
    hits, false = [(box(0), 6.0), (box(50), 4.0), (box(100), 2.0)], [(box(200), 5.0), (box(300), 3.0)]
    found = features(*image([*hits, *false], [row[0] for row in hits]))
    assert found[f"recall at {rate:g} false alarms of any at 0.5"].item() == approx(recall)


def test_a_false_alarm_that_is_scored_higher_costs_recall_at_a_rate() -> None:
    hits, false = [(box(0), 1.5), (box(50), 0.5), (box(100), -0.5)], [(box(200), 1.0), (box(300), 0.0)]
    preds, target = image([*hits, *false], [row[0] for row in hits])
    preds.requires_grad_()
    (gradient,) = torch.autograd.grad(features(preds, target, 0.3)["recall at 1 false alarms of any at 0.5"], preds)
    assert gradient[0, :3, 4].sum() > 0 > gradient[0, 3:, 4].sum()


def test_places_of_the_surest_and_of_the_nearest_detection() -> None:
    found = features(*image([(box(1.0), 3.0), (box(500), 2.0)], [box(0)]))
    assert found["centre of the surest"].item() == approx(1)
    assert found["IoU of the surest"].item() == approx(9 / 11)
    assert found["IoU of the best"].item() == approx(9 / 11)
    assert found["likeness of sizes"].item() == approx(1)
    side = math.sqrt(101)
    assert found["nearness of the nearest"].item() == approx(1 / (1 + 1 / side))
    surest_is_away = features(*image([(box(1.0), 3.0), (box(500), 4.0)], [box(0)]))
    assert surest_is_away["centre of the surest"].item() == approx(0)


def test_true_boxes_of_each_size_are_found_or_not() -> None:
    small, large = [0.0, 0.0, 10.0, 10.0], [100.0, 100.0, 300.0, 300.0]
    found = features(*image([(small, 3.0)], [small, large]))
    assert found["found small"].item() == approx(1, 0.06)
    assert found["found large"].item() == approx(0, 0.06)
    assert found["found"].item() == approx(0.5)


def test_the_area_that_boxes_cover_is_counted_once() -> None:
    doubled = [(box(0), 3.0), (box(0), 2.0), (box(3, 4.0), 2.0), (box(40), -3.0)]  # the last does not count
    found = features(*image(doubled, [box(0, 20.0)]))
    assert found["covered IoU"].item() == approx(0.5)
    assert found["covered precision"].item() == approx(1)
    assert found["covered recall"].item() == approx(0.5)


def test_sets_are_told_apart_by_counts_though_no_image_has_a_true_box() -> None:
    empty = torch.full((1, 1, 5), -1.0)
    (none, _), (some, _) = image([(box(0), -5.0)], []), image([(box(0), 5.0)], [])
    assert features(none, empty)["equal counts"].item() == approx(1)
    assert features(some, empty)["equal counts"].item() == approx(math.exp(-4))


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-3])
def test_order_and_classes_are_seen_at_any_scale_of_the_logits(scale: float) -> None:
    examples = TASK.generate(torch.full((1,), 0.3), torch.Generator().manual_seed(3), 8)
    logits = examples.preds[..., 4:]
    small = torch.cat([examples.preds[..., :4], torch.where(logits > -1e3, scale * logits, logits)], 2)
    full, scaled = features(examples.preds, examples.target, 0.1), features(small, examples.target, 0.1)
    for name in ("average precision of class at 0.5", "IoU of the surest", "class of the best"):
        assert scaled[name].item() == approx(full[name].item(), 0.05)


@pytest.mark.parametrize("what", ["equal scores", "equal boxes", "saturated", "on the target"])
def test_gradients_and_second_derivatives_are_finite(what: str) -> None:
    rows = [(box(0), 1.0), (box(3), 1.0), (box(50), 1.0)]
    preds, target = image(rows, [box(0), box(52)], n_classes=2)
    if what == "equal boxes":
        preds[..., :4] = preds[:, :1, :4]
    if what == "saturated":
        preds[..., 4:] = preds[..., 4:].sign() * 9e3
    if what == "on the target":
        preds[:, :2, :4] = target[..., :4]
    preds.requires_grad_()
    (gradient,) = torch.autograd.grad(network(0.1, "free")(preds, target), preds, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), preds)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'other'"):
        network(head="other")


def test_the_monotone_loss_falls_as_any_quality_rises() -> None:
    torch.manual_seed(0)
    built = network().network
    inputs = torch.randn(50, len(built.feature_names()), requires_grad=True)
    (gradient,) = torch.autograd.grad(built.score(inputs, 1).sum(), inputs)
    rises = {name.partition(",")[0] for name, g in zip(built.feature_names(), gradient.T, strict=True) if (g > 0).any()}
    counts = {"counted from 0.5", "counted from 0.25", "counted from 0.75", "detections", "true boxes"}
    assert 0 < len(rises)
    assert rises <= counts | {"squared error of counts", "area covered", "classes", "images without true box"}
