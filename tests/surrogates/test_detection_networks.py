from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from network_cases import NetworkCase, differs, each_level
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.surrogates._detection_matching import N_CLOSE
from autosurrogate.surrogates._detection_precision import N_LEVELS
from autosurrogate.testing.exports import exported
from autosurrogate.testing.losses import Tolerance, finite_gradient

TASK = tasks.get("detection")
SETTINGS: dict[str, dict[str, Any]] = {
    "matching": {"temperatures": [1.0, 0.1], "width": 16},
    "outcomes": {"kinds": ["counts", "curve", "places", "areas"], "temperatures": [0.1], "width": 16},
    "target_probability": {"width": 16},
}
SHARP = 1e-3

each_network = pytest.mark.parametrize("network", SETTINGS)


def examples(n: int = 8, seed: int = 0, severity: float = 0.3) -> Examples:
    """Images of one set, several classes among them."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        made = TASK.generate(torch.full((1,), severity), generator, n)
        if made.preds.shape[2] > 5:
            return made


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def feature(name: str, made: Examples, set_size: int, temperature: float = SHARP) -> Tensor:
    loss = built("matching", temperatures=[temperature])
    column = loss.network.feature_names().index(f"{name} at {temperature:g}")
    found: Tensor = loss.features(made.preds, made.target, set_size)[:, column]
    return found


def smallest(level: str) -> list[tuple[Tensor, Tensor]]:
    batches = []
    for n, n_queries, n_true, n_classes in ((1, 1, 1, 1), (1, 0, 2, 3), (2, 3, 0, 1), (1, 0, 0, 2)):
        preds = torch.rand(n, n_queries, 4 + n_classes, generator=torch.Generator().manual_seed(0))
        batches.append((preds, torch.tensor([0.0, 0, 1, 1, 0]).expand(n, n_true, 5)))
    return batches


CASE = NetworkCase(
    "detection",
    SETTINGS,
    lambda: (examples().preds, examples().target),
    set_size=4,
    tolerance=Tolerance(2e-5, 1e-4),
    order_tolerance=Tolerance(2e-5, 1e-4),
    smallest=smallest,
    one_row=("matching", "outcomes", "target_probability"),
)


def built(network: str, level: str = "set", **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_more_padding_changes_nothing(network: str, level: str) -> None:
    loss, made = built(network, level), examples()
    preds = torch.cat([torch.full((8, 3, made.preds.shape[2]), -math.inf), made.preds], 1)
    target = torch.cat([torch.full((8, 2, 5), -1.0), made.target], 1)
    target[:, :2, :4] = torch.tensor([3.0, 3, 90, 90])
    same(loss(preds, target), loss(made.preds, made.target))


@each_network
@each_level
def test_what_the_classes_are_called_does_not_matter(network: str, level: str) -> None:
    loss, made = built(network, level), examples()
    n_classes = made.preds.shape[2] - 4
    names = torch.arange(n_classes).roll(1)
    preds = made.preds.clone()
    preds[..., 4:] = preds[..., 4 + names.argsort()]
    target = made.target.clone()
    real = target[..., 4] >= 0
    target[..., 4][real] = names[target[..., 4][real].long()].float()
    same(loss(preds, target), loss(made.preds, made.target))
    assert differs(loss(made.preds, target), loss(made.preds, made.target))


@pytest.mark.parametrize("network", ["matching", "target_probability"])
def test_the_size_of_the_images_does_not_matter(network: str) -> None:
    loss, made = built(network), examples()
    larger = torch.cat([3 * made.preds[..., :4], made.preds[..., 4:]], 2)
    target = torch.cat([3 * made.target[..., :4], made.target[..., 4:]], 2)
    same(loss(larger, target), loss(made.preds, made.target))
    assert differs(loss(larger, made.target), loss(made.preds, made.target))


@each_network
@each_level
@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.float16])
def test_any_dtype_of_the_target(network: str, level: str, dtype: torch.dtype) -> None:
    loss, made = built(network, level), examples()
    whole = made.target.round()
    same(loss(made.preds, whole.to(dtype)), loss(made.preds, whole.to(dtype).float()))


@pytest.mark.parametrize("network", ["matching", "target_probability"])
@each_level
def test_images_without_true_boxes_give_no_gradient(network: str, level: str) -> None:
    made = examples()
    preds = made.preds.requires_grad_()
    built(network, level)(preds, torch.full_like(made.target, -1)).backward()
    assert preds.grad is not None
    assert (preds.grad == 0).all()


@each_network
@each_level
def test_infinite_and_equal_logits_give_finite_gradients(network: str, level: str) -> None:
    made = examples()
    preds = made.preds.clone()
    preds[0, :, 4] = -math.inf
    preds[1, 0, 5] = math.inf
    preds[2, :, 4:] = 0
    preds[3] = -math.inf
    preds[4, :, :4] = preds[4, :1, :4]
    gradient = finite_gradient(built(network, level), preds, made.target)
    assert gradient[5:].abs().sum() > 0


def row(n: int) -> Tensor:
    """Boxes beside one another, (n, 4)."""
    left = 20.0 * torch.arange(n)
    return torch.stack([left, 0 * left, left + 10, 0 * left + 10], 1)


def one_class(boxes: Tensor, logits: list[float], true: Tensor) -> Examples:
    preds = torch.cat([boxes, torch.tensor(logits)[:, None]], 1)
    return Examples(preds[None], torch.cat([true, torch.zeros(len(true), 1)], 1)[None])


def test_one_false_detection_by_hand() -> None:
    true = row(2)
    between = one_class(torch.cat([true[:1], true[:1] + 500, true[1:]]), [2.0, 1.0, 0.0], true)
    expected = (1 + 2 / 3) / 2
    assert float(feature("precision 0.5", between, 1)) == pytest.approx(expected, abs=1 / N_LEVELS)
    last = one_class(torch.cat([true[:1], true[:1] + 500, true[1:]]), [2.0, -1.0, 0.0], true)
    assert float(feature("precision 0.5", last, 1)) == pytest.approx(1, abs=0.01)


def test_the_better_scored_of_two_detections_has_the_true_box() -> None:
    true = row(2)
    doubled = one_class(torch.cat([true[:1], true[:1], true[1:]]), [2.0, 1.0, 0.0], true)
    assert float(feature("precision 0.5", doubled, 1)) == pytest.approx((1 + 2 / 3) / 2, abs=1 / N_LEVELS)
    assert float(feature("recall", doubled, 1)) == pytest.approx(1, abs=0.01)


def test_precision_is_the_mean_over_classes_that_have_true_boxes() -> None:
    true = row(2)
    preds = torch.full((1, 2, 7), -5.0)
    preds[0, :, :4] = true
    preds[0, 0, 4], preds[0, 1, 6] = 1, 3  # the second is of a class without true boxes
    target = torch.cat([true, torch.tensor([[0.0], [1.0]])], 1)[None]
    assert float(feature("precision 0.5", Examples(preds, target), 1)) == pytest.approx(0.5, abs=0.01)


def crowd(n: int, true: Tensor) -> Examples:
    """Detections of two true boxes, and `n` that are nowhere near and scored lowest; one of the first is doubled."""
    boxes = torch.cat([true[:1], true[:1] + 1, true[1:], true[:1].repeat(n, 1) + 500])
    return one_class(boxes, [2.0, 1.0, 0.0, *[-30.0] * n], true)


def test_of_many_detections_those_that_overlap_true_boxes_are_told_apart_as_of_few() -> None:
    true = row(2)
    few, many = (crowd(n, true) for n in (5, 3 * N_CLOSE))
    for name in ("precision 0.5", "precision 0.75"):
        # Not the same to the last digit: what is scored lowest of all counts for a sliver of recall.
        torch.testing.assert_close(feature(name, many, 1), feature(name, few, 1), atol=0.01, rtol=0)
    gradients = [gradient(made)[0, :3].flatten() for made in (few, many)]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.98


def test_an_image_of_many_true_boxes_may_have_as_many_hits() -> None:
    n = 2 * N_CLOSE
    true = row(n)
    made = one_class(true, torch.linspace(3, 0, n).tolist(), true)
    assert float(feature("precision 0.5", made, 1)) > 0.95
    assert float(feature("recall", made, 1)) == pytest.approx(1, abs=0.01)


@pytest.mark.slow
def test_the_exported_program_serves_few_detections_and_many() -> None:
    loss = exported("detection", "matching", "set")
    for n in (1, N_CLOSE - 4, N_CLOSE, 300):
        made = crowd(n, row(2))
        loss.check(made.preds, made.target)


def gradient(made: Examples, network: str = "matching") -> Tensor:
    """Of the smoothest average precision, by the predictions."""
    loss = built(network, temperatures=[1.0])
    preds = made.preds.requires_grad_()
    columns = [i for i, name in enumerate(loss.network.feature_names()) if name.startswith("precision")]
    (found,) = torch.autograd.grad(loss.features(preds, made.target, len(preds))[:, columns].sum(), preds)
    return found


def test_precision_rises_as_hits_are_scored_higher_and_false_detections_lower() -> None:
    true = row(2)
    found = gradient(one_class(torch.cat([true[:1], true[:1] + 500, true[1:]]), [2.0, 1.0, 0.0], true))
    assert found[0, 1, 4] < 0 < found[0, 2, 4]


def test_precision_rises_as_a_box_moves_to_its_target() -> None:
    true = row(1)
    found = gradient(one_class(true + torch.tensor([4.0, 0, 4, 0]), [1.0], true))
    assert found[0, 0, 0] + found[0, 0, 2] < 0


def test_a_box_that_does_not_overlap_is_drawn_near() -> None:
    true = row(1)
    made = one_class(true + torch.tensor([40.0, 0, 40, 0]), [1.0], true)
    loss, preds = built("matching"), made.preds.requires_grad_()
    column = loss.network.feature_names().index("generalised IoU")
    (found,) = torch.autograd.grad(loss.features(preds, made.target, 1)[:, column].sum(), preds)
    assert found[0, 0, 0] < 0


def test_the_plain_network_sees_the_query_that_fits_best() -> None:
    true = row(1)
    made = one_class(torch.cat([true + 2, true, true]), [3.0, -1.0, 1.0], true)
    found = built("target_probability").features(made.preds, made.target, 1)
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, 1 / (1 + math.exp(-1))]]))
