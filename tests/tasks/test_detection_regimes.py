"""Detections of untrained, collapsed and saturated models, and sets of which most images are empty."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.tasks._detection_generator import ABSENT

TASK = tasks.get("detection")
SET_SIZE, N_SETS = 8, 200


def examples() -> Examples:
    return TASK.generate(torch.rand(N_SETS), torch.Generator().manual_seed(0), SET_SIZE)


def in_regime(regime: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes, best logits before and after, and which queries there are; of sets."""
    given = examples()
    changed = TASK.in_regime(regime, given, SET_SIZE, torch.Generator().manual_seed(1)).preds
    before, after = (preds[..., 4:].amax(-1).view(N_SETS, -1) for preds in (given.preds, changed))
    valid = before > -1e3
    assert torch.equal(valid, after > -1e3)
    return changed[..., :4].reshape(N_SETS, -1, 4), before, after, valid


def spread(values: Tensor, valid: Tensor) -> Tensor:
    """The standard deviation of each set's."""
    count = valid.sum(1)
    mean = (values * valid).sum(1) / count
    return (((values - mean[:, None]) * valid).square().sum(1) / count).sqrt()


def test_untrained_scores_are_nearly_equal_and_many_keep_their_order() -> None:
    _, before, after, valid = in_regime("untrained")
    ratio = spread(after, valid) / spread(before, valid)
    assert ratio.median() < 0.3
    assert ratio.min() < 0.01
    same_best = torch.where(valid, before, -torch.inf).argmax(1) == torch.where(valid, after, -torch.inf).argmax(1)
    assert 0.3 < same_best.float().mean() < 0.9
    level = (after * valid).sum(1) / valid.sum(1)
    assert 0.3 < (level < -3).float().mean() < 0.7  # as detectors begin that are trained by focal loss


def test_boxes_of_untrained_models_lie_about_one_place_in_some_sets() -> None:
    given = examples().preds[..., :4].reshape(N_SETS, -1, 4)
    boxes, _, _, valid = in_regime("untrained")
    ratio = torch.stack([spread(boxes[..., k], valid) / spread(given[..., k], valid) for k in range(4)]).mean(0)
    assert 0.2 < (ratio < 0.55).float().mean() < 0.8


@pytest.mark.parametrize(("low", "high"), [(-torch.inf, -2.0), (1.5, torch.inf)])
def test_collapsed_models_find_nothing_or_everything_in_some_sets(low: float, high: float) -> None:
    _, _, after, valid = in_regime("collapsed")
    highest = torch.where(valid, after, -torch.inf).amax(1)
    middle = torch.where(valid, after, torch.nan).nanmedian(1).values
    in_range = (highest < high) if high < 0 else (middle > low)
    assert in_range.float().mean() > 0.1


def test_collapsed_models_give_the_same_class_in_some_sets() -> None:
    given = examples()
    changed = TASK.in_regime("collapsed", given, SET_SIZE, torch.Generator().manual_seed(1)).preds

    def most_frequent(preds: Tensor) -> Tensor:
        labels = torch.nn.functional.one_hot(preds[..., 4:].argmax(-1), preds.shape[-1] - 4)
        valid = preds[..., 4:].amax(-1) > -1e3
        counts = (labels * valid[..., None]).view(N_SETS, -1, preds.shape[-1] - 4).sum(1)
        return counts.amax(1) / counts.sum(1)

    assert (most_frequent(changed) > most_frequent(given.preds) + 0.1).float().mean() > 0.05


def test_saturated_scores_are_far_apart_in_the_same_order() -> None:
    _, before, after, valid = in_regime("saturated")
    masked = [torch.where(valid, values, -torch.inf) for values in (before, after)]
    assert torch.equal(masked[0].argmax(1), masked[1].argmax(1))
    assert spread(after, valid).median() > 3


def test_in_some_sets_most_images_have_no_true_box_and_one_has() -> None:
    has_true = torch.cat(
        [
            (TASK.generate(torch.rand(50), torch.Generator().manual_seed(k), 16).target[..., 4] >= 0)
            .any(1)
            .view(50, 16)
            for k in range(6)
        ]
    )
    empty = 1 - has_true.float().mean(1)
    assert 0.01 < (empty > 0.5).float().mean() < 0.1
    assert has_true.any(1).all()


def test_the_sharpness_of_a_set_is_that_of_its_scores_not_of_boxes_and_padding() -> None:
    preds = torch.tensor(
        [[[0.0, 0.0, 900.0, 900.0, 2.0, -5.0], [5.0, 5.0, 6.0, 6.0, -7.0, 0.0], [0.0] * 4 + [ABSENT] * 2]]
    )
    sharpness = tasks.get("detection").traits(Examples(preds, torch.zeros(1, 1, 5)), 1)["sharpness"]
    assert sharpness.tolist() == pytest.approx([1.0])
