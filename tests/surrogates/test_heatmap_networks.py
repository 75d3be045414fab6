from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.export.writer import freeze
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.lookup import find
from autosurrogate.testing.exports import exported
from autosurrogate.testing.losses import Tolerance, finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "peaks": {"temperatures": [0.5, 0.1], "radii": [0.4, 0.1, 0.05]},
    "embedding": {"width": 16, "n_hidden": 1},
    "geometry": {"temperatures": [0.3, 0.03]},
}
SHARP = 1e-3
Arguments = tuple[Tensor, Tensor, Tensor]

each_network = pytest.mark.parametrize("network", SETTINGS)


def examples(n: int = 6, n_keypoints: int = 3, height: int = 9, width: int = 7, seed: int = 0) -> Arguments:
    generator = torch.Generator().manual_seed(seed)
    preds, target = torch.rand(2, n, n_keypoints, height, width, generator=generator)
    weight = (torch.rand(n, n_keypoints, generator=generator) < 0.7).float()
    weight[0, 0] = 1
    return preds, target, weight


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def scripted(loss: Any) -> Any:
    """The loss as an exported file is loaded."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(freeze(loss)), file)
        file.seek(0)
        return torch.jit.load(file)


def with_nothing_annotated() -> Arguments:
    """Examples of which one has no annotated keypoint."""
    preds, target, weight = examples()
    weight[2] = 0
    return preds, target, weight


SMALLEST = [(1, 1, 1, 1), (1, 1, 5, 4), (1, 17, 8, 8), (5, 2, 1, 6), (2, 1, 40, 30)]
CASE = NetworkCase(
    "heatmap",
    SETTINGS,
    with_nothing_annotated,
    set_size=3,
    tolerance=Tolerance(1e-5, 1e-5),
    smallest=lambda level: [examples(*sizes) for sizes in SMALLEST],
)


def built(network: str, level: str, **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_maps_that_are_not_annotated_do_not_count(network: str, level: str) -> None:
    loss, (preds, target, weight) = built(network, level), examples()
    absent = weight[..., None, None] == 0
    if network != "embedding":  # but for their heights, by which people are ordered, as the metric does
        moved = torch.where(absent, preds.flip(-1), preds)
    else:
        moved = torch.where(absent, 5 * torch.rand(preds.shape), preds)
    same(
        losses_of(loss, moved, torch.where(absent, torch.rand(target.shape), target), weight),
        losses_of(loss, preds, target, weight),
    )
    assert differs(losses_of(loss, preds.flip(-1), target, weight), losses_of(loss, preds, target, weight))


@each_network
def test_people_without_an_annotated_keypoint_do_not_count_in_a_set(network: str) -> None:
    loss, (preds, target, weight) = built(network, "set"), examples()
    more = torch.cat([torch.full((2, 3, 9, 7), 5.0) + torch.rand(2, 3, 9, 7), preds])
    more_target = torch.cat([torch.rand(2, 3, 9, 7), target])
    same(loss(more, more_target, torch.cat([torch.zeros(2, 3), weight])), loss(preds, target, weight))


@each_network
@each_level
def test_without_a_weight_all_keypoints_are_annotated(network: str, level: str) -> None:
    loss, (preds, target, weight) = built(network, level), examples()
    same(losses_of(loss, preds, target, None), losses_of(loss, preds, target, torch.ones(6, 3)))
    assert differs(losses_of(loss, preds, target, None), losses_of(loss, preds, target, weight))
    for dtype in (torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64):
        same(losses_of(loss, preds, target, weight.to(dtype)), losses_of(loss, preds, target, weight))
    same(losses_of(loss, preds, target, 0.5 * weight), losses_of(loss, preds, target, weight))


@each_network
@each_level
def test_the_order_of_examples_and_keypoints_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target, weight) = built(network, level), examples()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    keypoints = torch.tensor([0, 1, 2] if network == "geometry" else [2, 0, 1])  # limbs are between neighbours
    expected = losses_of(loss, preds, target, weight)
    expected = expected[order] if level == "sample" else expected
    moved = [a[order][:, keypoints] for a in (preds, target, weight)]
    same(losses_of(loss, *moved), expected)


@each_level
def test_scale_and_offset_of_the_maps_do_not_matter_to_peaks(level: str) -> None:
    loss, (preds, target, weight) = built("peaks", level), examples()
    for moved in (100 * preds, preds - 20, 3 * preds + 1):
        torch.testing.assert_close(
            losses_of(loss, moved, target, weight), losses_of(loss, preds, target, weight), atol=5e-3, rtol=5e-3
        )


def test_of_equal_cells_the_first_is_the_maximum_and_nearly_flat_maps_are_seen_as_others() -> None:
    loss, (preds, target, weight) = built("peaks", "sample", temperatures=[0.1]), examples()
    torch.testing.assert_close(
        losses_of(loss, 1e-4 * preds, target, weight), losses_of(loss, preds, target, weight), atol=1e-2, rtol=1e-2
    )
    at_first, elsewhere = torch.zeros(2, 1, 1, 9, 7)
    at_first[..., 0, 0] = elsewhere[..., 5, 5] = 1.0
    column = loss.network.feature_names().index("within 0.05 at 0.1")
    found = [
        float(loss.features(torch.zeros(1, 1, 9, 7), x, torch.ones(1, 1), 1)[0, column]) for x in (at_first, elsewhere)
    ]
    assert found[0] > 0.95
    assert found[1] < 0.05


def test_flat_maps_have_the_gradient_of_maps_as_high_as_the_target() -> None:
    loss, (preds, target, weight) = built("peaks", "sample"), examples()
    norms = {}
    for scale in (0.02, 0.2, 5.0, 10.0):
        maps = (scale * preds).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(maps, target, weight), maps)
        norms[scale] = float(gradient.norm())
    assert norms[0.02] == pytest.approx(norms[0.2], rel=0.15)  # their heights are a little more than those of the maps
    assert norms[10.0] == pytest.approx(norms[5.0] / 2, rel=0.02)


@each_network
@each_level
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_is_computed_in_float32(network: str, level: str, dtype: torch.dtype) -> None:
    loss, (preds, target, weight) = built(network, level), examples()
    preds, target = preds.to(dtype), target.to(dtype)
    found = losses_of(loss, preds, target, weight)
    assert found.dtype == torch.float32
    same(found, losses_of(loss, preds.float(), target.float(), weight))


@each_network
@each_level
def test_it_is_exact_under_autocast(network: str, level: str) -> None:
    loss, arguments = scripted(built(network, level)), examples()
    expected = losses_of(loss, *arguments)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same(losses_of(loss, *arguments), expected)


EXTREMES = {
    "zeros": lambda p: torch.zeros_like(p),
    "ties": lambda p: (4 * p).round(),
    "far": lambda p: (p - 0.5).sign() * 1e4,
    "infinite": lambda p: torch.where(p < 0.3, -math.inf, p),
    "tiny": lambda p: 1e-6 * p,
}


@each_network
@each_level
@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("annotated", [True, False])
def test_gradients_are_finite(network: str, level: str, kind: str, annotated: bool) -> None:
    preds, target, weight = examples()
    preds = EXTREMES[kind](preds)
    gradient = finite_gradient(built(network, level), preds, target, weight * annotated)
    assert (gradient == 0).all() or annotated


@each_network
@each_level
def test_a_penalty_on_its_gradient_has_a_gradient(network: str, level: str) -> None:
    preds, target, weight = examples()
    preds.requires_grad_()
    loss = built(network, level)
    (gradient,) = torch.autograd.grad(loss(preds, target, weight), preds, create_graph=True)
    (gradient.square().sum().sqrt() - 1).square().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for n, p in loss.named_parameters() if "weight" in n)
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


@each_network
@each_level
@pytest.mark.slow
def test_scripted_and_exported_it_gives_the_same_numbers_at_any_size(network: str, level: str) -> None:
    loss = exported("heatmap", network, level)
    for shape in ((5, 4, 12, 12), (2, 1, 9, 14), (1, 17, 24, 18), (9, 3, 64, 48)):
        loss.check(*examples(*shape))


@each_network
def test_features_are_means_so_that_a_set_may_have_any_size(network: str) -> None:
    loss, (preds, target, weight) = built(network, "set"), examples()
    once = loss.features(preds, target, weight, 6)
    twice = loss.features(*(torch.cat([a, a]) for a in (preds, target, weight)), 12)
    for name, one, two in zip(loss.network.feature_names(), once.T, twice.T, strict=True):
        away = 0.05 if name.startswith("precision") else 1e-5  # of a pair of equal scores each is half in front
        torch.testing.assert_close(two[: len(one)], one, atol=away, rtol=0)


def generated(severity: float, seed: int, set_size: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return tasks.get("heatmap").generate(torch.full((2,), severity), generator, set_size)


def points(set_size: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Features of generated sets at a sharp temperature, by column, and what metrics say of the sets."""
    loss, task = built("peaks", "set", temperatures=[SHARP]), tasks.get("heatmap")
    features, values = [], []
    for seed, severity in enumerate(np.linspace(0, 1, 25)):
        made = generated(float(severity), seed, set_size)
        features.append(loss.features(made.preds, made.target, made.extras["weight"], set_size).numpy())
        for preds, target in task.points(made, "keypoints", set_size):
            at = {f"pck {t:g}": find("pck").function(preds, target, threshold=t) for t in (0.05, 0.1, 0.4)}
            keypoints = [(p, t, t["weight"].sum()) for p, t in zip(preds, target, strict=True)]
            summed = sum(find("mean_distance").function(p, t) * n for p, t, n in keypoints)
            at |= {
                "distance": summed / sum(n for _, _, n in keypoints),
                "oks_ap": find("oks_ap").function(preds, target),
            }
            values.append(at)
    columns = loss.network.feature_names()
    found = np.concatenate(features).T
    by_name = {name: np.array([v[name] for v in values]) for name in values[0]}
    return found, dict(zip(columns, found, strict=True)), by_name


@pytest.mark.slow
def test_sharp_features_are_what_the_metrics_count() -> None:
    _, features, values = points(16)
    for radius in (0.05, 0.1, 0.4):
        np.testing.assert_allclose(features[f"within {radius:g} at {SHARP:g}"], values[f"pck {radius:g}"], atol=0.02)
        hits = (features[f"margin {radius:g} at {SHARP:g}"] + 1) / 2
        np.testing.assert_allclose(hits, values[f"pck {radius:g}"], atol=0.02)
    np.testing.assert_allclose(1 - features[f"nearness at {SHARP:g}"], values["distance"], atol=0.01)


@pytest.mark.slow
def test_the_soft_precision_ranks_as_pycocotools_does() -> None:
    _, features, values = points(16)
    assert spearman(features[f"precision at {SHARP:g}"], values["oks_ap"]) > 0.9
    assert spearman(features[f"precision by extent at {SHARP:g}"], values["oks_ap"]) > 0.9
    assert spearman(features[f"precision at {SHARP:g}"], values["oks_ap"]) > spearman(
        features[f"within 0.05 at {SHARP:g}"], values["oks_ap"]
    )


def test_the_order_of_scores_matters_to_the_precision_alone() -> None:
    loss = built("peaks", "set", temperatures=[SHARP])
    columns = loss.network.feature_names()
    target = torch.zeros(8, 2, 12, 12)
    target[:, :, 3, 4] = 1
    preds = target.clone()
    preds[4:] = preds[4:].flip(2, 3)
    heights = torch.linspace(2, 1, 8)[:, None, None, None]
    right_first, wrong_first = (loss.features(preds * h, target, None, 8)[0] for h in (heights, heights.flip(0)))
    by_name = dict(zip(columns, zip(right_first.tolist(), wrong_first.tolist(), strict=True), strict=True))
    first, last = by_name[f"precision at {SHARP:g}"]
    assert first == pytest.approx(0.5, abs=0.02)
    assert last == pytest.approx((1 / 5 + 2 / 6 + 3 / 7 + 4 / 8) / 8, abs=0.02)
    for name, (one, other) in by_name.items():
        assert one == pytest.approx(other, abs=1e-4) or name.startswith("precision")


def test_17_keypoints_have_coco_s_deviations() -> None:
    loss = built("peaks", "set", temperatures=[SHARP])
    column = loss.network.feature_names().index(f"similarity at {SHARP:g}")
    area = 0.25 * 20 * 20

    def similarity(n_keypoints: int, moved: int) -> float:
        """Of an example where one keypoint is two cells off."""
        target = torch.zeros(1, n_keypoints, 20, 20)
        target[:, :, 5, 5] = 1
        preds = target.clone()
        preds[0, moved] = preds[0, moved].roll(2, 1)
        found = float(loss.features(preds, target, None, 1)[0, column])
        return found * n_keypoints - (n_keypoints - 1)

    for moved, sigma in ((0, 0.026), (4, 0.035), (11, 0.107), (16, 0.089)):
        assert similarity(17, moved) == pytest.approx(math.exp(-4 / (2 * area * (2 * sigma) ** 2)), abs=1e-3)
    mean = (0.026 + 0.05 + 0.07 + 2 * (0.079 + 0.072 + 0.062 + 0.107 + 0.087 + 0.089)) / 17
    for n_keypoints in (2, 16, 18):
        assert similarity(n_keypoints, 1) == pytest.approx(math.exp(-4 / (2 * area * (2 * mean) ** 2)), abs=1e-3)


def test_the_embedding_s_finest_distance_on_a_map_of_its_size_is_that_of_the_maps() -> None:
    loss, (preds, target, weight) = built("embedding", "sample"), examples(4, 2, 16, 16)
    features = loss.features(preds, target, weight, 1)
    by_keypoint = (preds - target).square().mean((2, 3)).sqrt()
    expected = (by_keypoint * weight).sum(1) / weight.sum(1).clamp_min(1)
    torch.testing.assert_close(
        features[:, loss.network.feature_names().index("distance on 16")], expected, atol=1e-4, rtol=1e-4
    )
    assert torch.equal(features[:, -1], weight.sum(1))


TRUE_PLACES = [[2.0, 3.0], [8.0, 3.0], [8.0, 9.0], [2.0, 9.0]]


def peaks_at(places: list[list[float]], side: int = 16) -> Tensor:
    """A map for each place, shape (1, K, side, side)."""
    cells = torch.arange(side, dtype=torch.float32)
    maps = [torch.exp(-2.0 * ((cells[:, None] - y) ** 2 + (cells[None] - x) ** 2)) for x, y in places]
    return torch.stack(maps)[None]


def geometry(places: list[list[float]], weight: list[float] | None = None) -> dict[str, float]:
    """Features of one example, whose places are those of the target but for the change."""
    loss = built("geometry", "sample", temperatures=[0.03])
    annotated = torch.tensor([weight or [1.0] * len(places)])
    features = loss.features(peaks_at(places), peaks_at(TRUE_PLACES), annotated, 1)[0]
    return dict(zip(loss.network.feature_names(), features.tolist(), strict=True))


def moved(by: tuple[float, float]) -> list[list[float]]:
    return [[x + by[0], y + by[1]] for x, y in TRUE_PLACES]


def test_a_shift_moves_the_centre_and_leaves_the_limbs() -> None:
    right, shifted = geometry(TRUE_PLACES), geometry(moved((3.0, 4.0)))
    off = 5 / 16
    assert shifted["distance at 0.03"] == pytest.approx(-math.log(off + 3e-3), abs=0.02)
    assert shifted["centre at 0.03"] == pytest.approx(-math.log(off + 3e-3), abs=0.02)
    assert shifted["distance to the right at 0.03"] == pytest.approx(3 / 16, abs=2e-3)
    assert shifted["distance down at 0.03"] == pytest.approx(4 / 16, abs=2e-3)
    assert shifted["within 0.2 at 0.03"] < 0.05 < 0.5 < shifted["within 0.35 at 0.03"]
    for name in ("limb", "direction", "without shift", "distances in between"):
        assert shifted[f"{name} at 0.03"] == pytest.approx(right[f"{name} at 0.03"], abs=0.1), name


def test_a_turn_and_another_size_leave_the_shape() -> None:
    right = geometry(TRUE_PLACES)
    turned = geometry([[2.0, 9.0], [2.0, 3.0], [8.0, 3.0], [8.0, 9.0]])
    mirrored = geometry([[8.0, 3.0], [2.0, 3.0], [2.0, 9.0], [8.0, 9.0]])
    smaller = geometry([[3.0, 4.0], [6.0, 4.0], [6.0, 7.0], [3.0, 7.0]])
    name = "without shift, turn and size at 0.03"
    assert turned[name] == pytest.approx(right[name], abs=0.1)
    assert smaller[name] == pytest.approx(right[name], abs=0.2)
    assert mirrored[name] < right[name] - 2
    side = "without shift, turn, size and side at 0.03"
    assert mirrored[side] == pytest.approx(right[side], abs=0.1)
    assert smaller["ratio of sizes at 0.03"] == pytest.approx(-math.log(2), abs=0.02)
    chord = math.sqrt(2)  # of a quarter turn
    assert turned["direction at 0.03"] == pytest.approx(-math.log(chord + 0.01), abs=0.02)


def test_swapped_keypoints_are_far_off_each_and_near_as_a_set() -> None:
    swapped = geometry([TRUE_PLACES[i] for i in (1, 0, 2, 3)])
    assert swapped["nearest of set at 0.03"] > 4
    assert swapped["distance at 0.03"] == pytest.approx(-math.log(2 * 6 / 16 / 4 + 3e-3), abs=0.02)
    assert swapped["distance of last at 0.03"] > 4
    assert swapped["distance of first at 0.03"] == pytest.approx(-math.log(6 / 16 + 3e-3), abs=0.02)
    assert swapped["all within 0.16 at 0.03"] < 0.01
    assert swapped["within 0.02 at 0.03"] == pytest.approx(0.5, abs=0.02)


def test_limbs_connect_annotated_keypoints() -> None:
    off = [TRUE_PLACES[0], [14.0, 14.0], TRUE_PLACES[2], TRUE_PLACES[3]]
    assert geometry(off)["limb within 0.5 at 0.03"] == pytest.approx(1 / 3, abs=0.02)
    assert geometry(off, [1.0, 0.0, 1.0, 1.0])["limb within 0.5 at 0.03"] == pytest.approx(1.0, abs=0.02)


def test_an_unknown_head_of_geometry_is_refused() -> None:
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'unknown'"):
        built("geometry", "set", head="unknown")
