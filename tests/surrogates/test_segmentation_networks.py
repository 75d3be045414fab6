from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from network_cases import NetworkCase, differs, each_level, losses_of
from torch import Tensor

from autosurrogate.surrogates._segmentation_margins import relative_to_margins
from autosurrogate.testing.exports import exported
from autosurrogate.testing.losses import Tolerance, finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "overlap": {"temperatures": [1.0, 0.1], "relative_temperatures": [0.3]},
    "boundary": {"temperatures": [1.0, 0.1], "relative_temperatures": [0.3], "radii": [1, 2]},
    "regions": {"kinds": ["areas", "distances", "objects", "certainty"], "temperature": 0.1},
    "target_probability": {"width": 16, "n_hidden": 2},
}
SHARP = 1e-3

each_network = pytest.mark.parametrize("network", SETTINGS)


def examples(
    n: int = 6, n_classes: int = 4, height: int = 9, width: int = 7, seed: int = 0, sharpness: float = 2.0
) -> tuple[Tensor, Tensor]:
    """Logits of patches, and a target that they find mostly; some pixels have no target."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, n_classes, 4, 3, generator=generator)
    patches = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    preds = sharpness * (patches + 0.4 * torch.randn(n, n_classes, height, width, generator=generator))
    target = patches.argmax(1)
    target[torch.rand(target.shape, generator=generator) < 0.1] = -100
    return preds, target


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def with_an_empty_image() -> tuple[Tensor, Tensor]:
    preds, target = examples()
    target[2] = -100
    return preds, target


def with_full_targets(*sizes: int) -> tuple[Tensor, Tensor]:
    preds, target = examples(*sizes)
    return preds, target.clamp_min(0)


CASE = NetworkCase(
    "segmentation",
    SETTINGS,
    with_an_empty_image,
    set_size=3,
    tolerance=Tolerance(1e-5, 1e-5),
    target_dtypes=[torch.uint8, torch.int8, torch.int16, torch.int32],
    dtype_examples=with_full_targets,
    smallest=lambda level: [with_full_targets(*sizes) for sizes in ((1, 2, 1, 1), (2, 3, 1, 5), (1, 2, 4, 1))],
)


def built(network: str, level: str, **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_images_without_a_target_do_not_count(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    more = torch.cat([50 * torch.ones_like(preds[:2]), preds])
    more_target = torch.cat([torch.full_like(target[:2], -100), target])
    same(loss(more, more_target), loss(preds, target))
    if level == "sample":
        assert (loss.per_sample(more, more_target)[:2] == 0).all()


@each_network
@each_level
def test_pixels_without_a_target_do_not_count(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    noise = 20 * torch.randn(preds.shape, generator=torch.Generator().manual_seed(1))
    same(losses_of(loss, torch.where((target == -100)[:, None], noise, preds), target), losses_of(loss, preds, target))
    assert differs(
        losses_of(loss, torch.where((target == 1)[:, None], noise, preds), target), losses_of(loss, preds, target)
    )


@each_network
@each_level
def test_padding_changes_nothing(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    longer = F.pad(preds, (0, 3, 2, 0), value=5.0)
    same(losses_of(loss, longer, F.pad(target, (0, 3, 2, 0), value=-100)), losses_of(loss, preds, target))


@each_network
@each_level
@pytest.mark.parametrize("logit", [-1e4, -math.inf])
def test_classes_that_are_never_predicted_change_nothing(network: str, level: str, logit: float) -> None:
    loss, (preds, target) = built(network, level), examples()
    more = torch.cat([preds, torch.full_like(preds[:, :2], logit)], 1)
    same(losses_of(loss, more, target), losses_of(loss, preds, target))


@each_network
@each_level
def test_a_mirrored_image_is_as_good(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    same(losses_of(loss, preds.flip(2, 3), target.flip(1, 2)), losses_of(loss, preds, target))
    same(losses_of(loss, preds.transpose(2, 3), target.transpose(1, 2)), losses_of(loss, preds, target))


@each_network
@each_level
def test_what_the_classes_but_the_background_are_called_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    names = torch.tensor([0, 3, 1, 2])
    renamed = torch.empty_like(preds).index_copy_(1, names, preds)
    new = torch.where(target == -100, -100, names[target.clamp_min(0)])
    same(losses_of(loss, renamed, new), losses_of(loss, preds, target))
    assert differs(losses_of(loss, renamed, target), losses_of(loss, preds, target))


@each_network
@each_level
def test_a_shift_of_all_logits_of_a_pixel_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    shift = 10 * torch.randn(6, 1, 9, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        losses_of(loss, preds + shift, target), losses_of(loss, preds, target), atol=1e-3, rtol=1e-3
    )


@each_network
@each_level
def test_all_pixels_without_a_target_give_a_finite_loss_and_no_gradient(network: str, level: str) -> None:
    preds, target = examples()
    preds.requires_grad_()
    found = built(network, level)(preds, torch.full_like(target, -100))
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert (preds.grad == 0).all()


@each_network
@each_level
@pytest.mark.parametrize("value", [0.0, 1e4, -1e4, math.inf, -math.inf])
def test_ties_and_extremes_give_finite_gradients(network: str, level: str, value: float) -> None:
    preds, target = examples()
    preds[0] = value
    preds[1, 2] = value
    preds[2, :, 3] = value
    gradient = finite_gradient(built(network, level), preds, target)
    assert gradient[4:].abs().sum() > 0


@each_network
@each_level
@pytest.mark.slow
def test_an_exported_program_serves_other_sizes(network: str, level: str) -> None:
    loss = exported("segmentation", network, level)
    for n, n_classes, height, width in ((2, 2, 2, 30), (9, 21, 40, 2), (3, 2, 5, 5)):
        loss.check(*examples(n, n_classes, height, width))


def by_class(preds: np.ndarray, target: np.ndarray, n_classes: int) -> dict[str, float]:
    """Means over the classes that occur, from pixels that count, in plain numpy."""
    found: dict[str, list[float]] = {"iou": [], "dice": [], "precision": []}
    for c in range(n_classes):
        called, actual = preds == c, target == c
        both = (called & actual).sum()
        if called.any() or actual.any():
            found["iou"].append(both / (called | actual).sum())
            found["dice"].append(2 * both / (called.sum() + actual.sum()))
            found["precision"].append(both / max(called.sum(), 1))
    return {name: float(np.mean(values)) for name, values in found.items()}


@pytest.mark.parametrize("seed", range(4))
def test_sharp_overlaps_are_those_of_the_labels(seed: int) -> None:
    loss = built("overlap", "set", temperatures=[SHARP])
    columns = loss.network.feature_names()
    preds, target = examples(6, 5, seed=seed, sharpness=50.0)
    target[target == seed] = 4  # a class that is only predicted
    labels = preds.argmax(1).numpy()
    found = dict(zip(columns, loss.features(preds, target, 6)[0].tolist(), strict=True))
    kept = target.numpy() != -100
    pixels, right = labels[kept], target.numpy()[kept]
    for name, value in by_class(pixels, right, 5).items():
        assert found[f"{name} at {SHARP:g}"] == pytest.approx(value, abs=5e-3), name
    inner = by_class(np.where(pixels > 0, pixels, -1), np.where(right > 0, right, -1), 5)
    images = [by_class(p[k], t[k], 5) for p, t, k in zip(labels, target.numpy(), kept, strict=True)]
    recall = np.mean([(pixels[right == c] == c).mean() for c in np.unique(right)])
    assert found[f"foreground iou at {SHARP:g}"] == pytest.approx(inner["iou"], abs=2e-3)
    assert found[f"foreground dice at {SHARP:g}"] == pytest.approx(inner["dice"], abs=2e-3)
    assert found[f"image iou at {SHARP:g}"] == pytest.approx(np.mean([i["iou"] for i in images]), abs=2e-3)
    assert found[f"image dice at {SHARP:g}"] == pytest.approx(np.mean([i["dice"] for i in images]), abs=2e-3)
    assert found[f"accuracy at {SHARP:g}"] == pytest.approx((pixels == right).mean(), abs=2e-3)
    assert found[f"recall at {SHARP:g}"] == pytest.approx(recall, abs=2e-3)
    assert found["classes"] == pytest.approx(1 / len(np.unique(right)))


def edges(labels: np.ndarray, c: int) -> np.ndarray:
    """The pixels of a class beside another one."""
    padded = np.pad(labels, 1, mode="edge")
    around = [padded[1 + y : padded.shape[0] - 1 + y, 1 + x : padded.shape[1] - 1 + x]
              for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0))]  # fmt: skip
    other: np.ndarray = np.any([side != c for side in around], axis=0)
    found: np.ndarray = (labels == c) & other
    return found


@pytest.mark.parametrize("radius", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_sharp_boundaries_are_those_of_the_labels(seed: int, radius: int) -> None:
    loss = built("boundary", "sample", temperatures=[SHARP], radii=[1, 2])
    columns = loss.network.feature_names()
    preds, target = examples(4, 3, 12, 10, seed=seed, sharpness=50.0)
    target = examples(4, 3, 12, 10, seed=seed)[0].argmax(1)  # all pixels count
    preds = preds + 30 * F.one_hot(target, 3).permute(0, 3, 1, 2).roll(1, 3)
    labels = preds.argmax(1).numpy()
    features = loss.features(preds, target, 1)
    for i, (p, t) in enumerate(zip(labels, target.numpy(), strict=True)):
        found: list[tuple[float, float, float]] = []
        for c in range(3):
            own, right = edges(p, c), edges(t, c)
            if own.any() or right.any():
                near = [scipy.ndimage.binary_dilation(e, iterations=radius) for e in (own, right)]
                precision = (own & near[1]).sum() / max(own.sum(), 1)
                recall = (right & near[0]).sum() / max(right.sum(), 1)
                found.append((precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)))
        for kind, value in zip(("precision", "recall", "f1"), np.mean(found, axis=0), strict=True):
            got = float(features[i, columns.index(f"{kind} within {radius} at {SHARP:g}")])
            assert got == pytest.approx(value, abs=0.02), kind


def test_pixels_without_a_target_make_no_boundary() -> None:
    loss = built("boundary", "sample", temperatures=[SHARP])
    columns = loss.network.feature_names()
    target = torch.zeros(1, 6, 6, dtype=torch.int64)
    target[:, :, 3:] = 1
    preds = 10 * F.one_hot(target, 2).permute(0, 3, 1, 2).float()
    share = columns.index("share")
    assert loss.features(preds, target, 1)[0, share] == pytest.approx(12 / 36)
    target[:, :, 2:4] = -100
    assert loss.features(preds, target, 1)[0, share] == 0


def test_the_paper_s_network_sees_the_distribution_of_the_target_s_probability_alone() -> None:
    loss, (preds, target) = built("target_probability", "sample"), examples()
    features = loss.features(preds, target, 1)
    kept = target != -100
    probability = preds.softmax(1).gather(1, target.clamp_min(0)[:, None])[:, 0].double()
    for i in range(6):
        p = probability[i][kept[i]].numpy()
        expected = [np.mean(math.comb(7, k) * p**k * (1 - p) ** (7 - k)) for k in range(8)]
        np.testing.assert_allclose(features[i, :8].numpy(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(features[:, :8].sum(1), torch.ones(6))


def test_relative_logits_have_their_largest_at_the_label_where_many_are_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 1e-3 * torch.randint(0, 3, (4, 5, 9, 7), generator=generator).float()  # many are equal
    logits[0] = 0.0
    relative = relative_to_margins(logits, torch.ones(4, 9, 7), 2)
    np.testing.assert_array_equal(relative.argmax(1).numpy(), logits.numpy().argmax(1))


@pytest.mark.parametrize("scale", [1e-2, 30.0])
def test_relative_logits_are_the_same_at_any_scale(scale: float) -> None:
    preds, target = examples()
    valid = (target != -100).float()
    same_scale, scaled = (relative_to_margins(x, valid, 3) for x in (preds, scale * preds))
    torch.testing.assert_close(scaled, same_scale, rtol=1e-3, atol=1e-3)


def test_classes_that_are_ruled_out_do_not_count_in_the_size_of_margins() -> None:
    preds, target = examples()
    more = torch.cat([preds, torch.full_like(preds[:, :1], -math.inf)], 1)
    more[0, 1:, 0, 0] = -math.inf  # no competitor at all
    relative = relative_to_margins(more, (target != -100).float(), 6)
    mean = (relative[:, :4].topk(2, 1).values[:, 1]).abs().masked_fill(target == -100, 0.0)
    mean[0, 0, 0] = 0.0
    assert mean.sum() / ((target != -100).sum() - (target[0, 0, 0] != -100).sum()) == pytest.approx(1.0, abs=1e-3)
