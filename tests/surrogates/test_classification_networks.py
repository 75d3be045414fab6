from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from sklearn.metrics import cohen_kappa_score, f1_score, jaccard_score, matthews_corrcoef, mutual_info_score
from torch import Tensor

from autosurrogate.surrogates._classification_margins import margins_to_strongest, relative_to_mean
from autosurrogate.testing.losses import finite_gradient

KINDS = ["counts", "information", "scores", "calibration", "places"]
SETTINGS: dict[str, dict[str, Any]] = {
    "margin": {"temperatures": [1.0, 0.1], "n_competitors": 5},
    "confusion": {"temperatures": [1.0, 0.1]},
    "ordinal": {"temperatures": [1.0, 0.1]},
    "general": {"kinds": KINDS, "temperatures": [1.0, 0.1]},
    "general_ordinal": {"kinds": [*KINDS, "numbers"], "temperatures": [1.0, 0.1]},
    "target_probability": {"width": 16, "n_hidden": 2},
}
SHARP = 1e-3

each_network = pytest.mark.parametrize("network", SETTINGS)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def examples(n: int = 12, n_classes: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    preds = 2 * torch.randn(n, n_classes, generator=generator)
    return preds, torch.randint(0, n_classes, (n,), generator=generator)


def with_missing() -> tuple[Tensor, Tensor]:
    """Examples of which two have no target."""
    preds, target = examples()
    target[[3, 5]] = -100
    return preds, target


CASE = NetworkCase(
    "classification",
    SETTINGS,
    with_missing,
    set_size=4,
    target_dtypes=[torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16],
    dtype_examples=examples,
    smallest=lambda level: [examples(*sizes) for sizes in ((1, 2), (1, 40), (5, 2))],
)


def built(network: str, level: str, **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_examples_without_a_target_do_not_count(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    more = torch.cat([50 * randn(5, 7), preds])
    more_target = torch.cat([torch.full((5,), -100), target])
    torch.testing.assert_close(loss(more, more_target), loss(preds, target))
    if level == "sample":
        torch.testing.assert_close(loss.per_sample(more, more_target)[5:], loss.per_sample(preds, target))
        assert (loss.per_sample(more, more_target)[:5] == 0).all()


@each_network
@each_level
@pytest.mark.parametrize("logit", [-1e4, -math.inf, -2e4])
@pytest.mark.parametrize("n_classes", [2, 3, 7, 30])
def test_classes_that_are_never_predicted_change_nothing(
    network: str, level: str, logit: float, n_classes: int
) -> None:
    loss, (preds, target) = built(network, level), examples(n_classes=n_classes)
    more = torch.cat([preds, torch.full((12, 9), logit)], 1)
    torch.testing.assert_close(losses_of(loss, more, target), losses_of(loss, preds, target), atol=1e-5, rtol=1e-5)


@each_network
@each_level
def test_predicted_classes_do_change_it(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    assert differs(
        losses_of(loss, torch.cat([preds, preds.amax(1, keepdim=True) + 1], 1), target), losses_of(loss, preds, target)
    )


@pytest.mark.parametrize("network", sorted(set(SETTINGS) - {"ordinal", "general_ordinal"}))
@each_level
def test_what_the_classes_are_called_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    names = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    renamed = torch.empty_like(preds).index_copy_(1, names, preds)
    torch.testing.assert_close(
        losses_of(loss, renamed, names[target]), losses_of(loss, preds, target), atol=1e-5, rtol=1e-5
    )
    assert differs(losses_of(loss, renamed, target), losses_of(loss, preds, target))


@each_network
@each_level
def test_a_shift_of_all_logits_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    shifted = preds + 10 * randn(12, 1)
    torch.testing.assert_close(losses_of(loss, shifted, target), losses_of(loss, preds, target), atol=1e-4, rtol=1e-4)


@each_network
@each_level
def test_class_156_as_an_unsigned_byte_is_a_target(network: str, level: str) -> None:
    loss, (preds, _) = built(network, level), examples(n=1, n_classes=200)
    target = torch.tensor([156])
    torch.testing.assert_close(
        losses_of(loss, preds, target.to(torch.uint8)), losses_of(loss, preds, target), atol=0, rtol=0
    )


@each_network
@each_level
def test_all_examples_without_a_target_give_a_finite_loss_and_no_gradient(network: str, level: str) -> None:
    preds = randn(4, 3).requires_grad_()
    found = built(network, level)(preds, torch.full((4,), -100))
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert (preds.grad == 0).all()


@each_network
@each_level
def test_infinite_logits_give_finite_gradients(network: str, level: str) -> None:
    preds, target = examples()
    preds[0, (target[0] + 1) % 7] = -math.inf  # a competitor
    preds[1, target[1]] = -math.inf  # the target
    preds[2] = -math.inf
    preds[3, target[3]] = math.inf
    gradient = finite_gradient(built(network, level), preds, target)
    assert gradient[4:].abs().sum() > 0


def test_a_sharp_margin_is_top_k_accuracy() -> None:
    loss, (preds, target) = built("margin", "set", temperatures=[SHARP]), examples(200, 9)
    preds = preds.argsort(1).argsort(1).float()  # no two nearly equal
    columns = loss.network.feature_names()
    features = loss.features(preds, target, 200)
    for k in range(1, 6):
        found = (features[:, columns.index(f"margin {k - 1} at {SHARP:g}")] + 1) / 2
        hit = (preds.topk(k, 1).indices == target[:, None]).any(1)
        torch.testing.assert_close(found, hit.float(), atol=1e-3, rtol=0)


def test_with_fewer_competitors_than_it_looks_at_the_others_are_beaten() -> None:
    loss, (preds, target) = built("margin", "set"), examples(20, 3)
    columns = loss.network.feature_names()
    features = loss.features(preds, target, 20)
    assert (features[:, columns.index("margin 2 at 1") : columns.index("margin 4 at 1") + 1] == 1).all()


def by_class(preds: Tensor, target: Tensor) -> dict[str, float]:
    """Accuracy, and recall, precision and F1 averaged over the classes that the targets have, in plain Python."""
    called, actual = preds.argmax(1).tolist(), target.tolist()
    recall, precision, f1 = [], [], []
    for c in sorted(set(actual)):
        hits = sum(p == t == c for p, t in zip(called, actual, strict=True))
        recall.append(hits / actual.count(c))
        precision.append(hits / max(called.count(c), 1))
        f1.append(2 * hits / (called.count(c) + actual.count(c)))
    accuracy = sum(p == t for p, t in zip(called, actual, strict=True)) / len(actual)
    return {"accuracy": accuracy, **{k: sum(v) / len(v) for k, v in
            {"recall": recall, "precision": precision, "f1": f1}.items()}}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_sharp_confusion_counts_as_hard_decisions_do(seed: int) -> None:
    loss = built("confusion", "set", temperatures=[SHARP])
    preds, target = examples(300, 4, seed)
    preds[torch.arange(300), target] += 1.5
    preds = preds.argsort(1).argsort(1).float()  # no two nearly equal
    columns = loss.network.feature_names()
    found = loss.features(preds, target, 300)[0].tolist()
    for name, value in by_class(preds, target).items():
        assert found[columns.index(f"{name} at {SHARP:g}")] == pytest.approx(value, abs=5e-3), name
    assert found[columns.index("classes")] == pytest.approx(1 / 4)


def test_the_paper_s_network_sees_the_probability_of_the_target_alone() -> None:
    loss, (preds, target) = built("target_probability", "sample"), examples()
    features = loss.features(preds, target, 1)
    np.testing.assert_allclose(features[:, 0].numpy(), preds.softmax(1)[torch.arange(12), target].numpy(), rtol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 5, 11])
def test_sharp_distances_of_classes_give_the_kappas(n_classes: int) -> None:
    target = torch.randint(n_classes, (64,), generator=torch.Generator().manual_seed(0))
    preds = 2 * randn(64, n_classes) + 2 * torch.nn.functional.one_hot(target, n_classes)
    loss = built("ordinal", "set", temperatures=[SHARP])
    found = dict(zip(loss.network.feature_names(), loss.features(preds, target, 64)[0].tolist(), strict=True))
    called = preds.argmax(1)
    for weights in ("linear", "quadratic"):
        expected = cohen_kappa_score(target, called, weights=weights)
        assert found[f"{weights} kappa at {SHARP:g}"] == pytest.approx(expected, abs=0.03)
    expected = np.corrcoef(target, called)[0, 1]
    assert found[f"correlation at {SHARP:g}"] == pytest.approx(expected, abs=0.03)
    assert found[f"accuracy at {SHARP:g}"] == pytest.approx(float((called == target).float().mean()), abs=1e-3)


def test_a_class_near_the_target_costs_less_than_one_far_from_it() -> None:
    loss = built("ordinal", "set", temperatures=[1.0])
    target = torch.arange(5).repeat(4)
    near, far = (torch.nn.functional.one_hot((target + away).clamp(0, 4), 5) * 4.0 for away in (1, 3))
    assert loss(near, target) < loss(far, target)


def argmax_hits(logits: Tensor, target: Tensor) -> Tensor:
    return torch.from_numpy(logits.numpy().argmax(1)) == target


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_margins_say_what_the_argmax_is_however_close_and_where_all_are_equal(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randint(0, 4, (64, 5), generator=generator).float()  # many are equal
    logits[:8] = 0.0
    target = torch.randint(0, 5, (64,), generator=generator)
    margins = margins_to_strongest(logits, target, 1)[:, 0]
    assert torch.equal(margins > 0, argmax_hits(logits, target))


def test_relative_margins_are_the_same_at_any_scale() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(32, 5, generator=generator), torch.randint(0, 5, (32,), generator=generator)
    valid = torch.ones(32)

    def relative(scale: float) -> Tensor:
        margins = margins_to_strongest(scale * logits, target, 3)
        return relative_to_mean(margins, margins, valid, 16)

    for scale in (1e-2, 30.0):
        torch.testing.assert_close(relative(scale), relative(1.0), rtol=1e-3, atol=1e-3)


def general(preds: Tensor, target: Tensor, network: str = "general") -> dict[str, float]:
    """The features of a set at a sharp temperature by name."""
    loss = built(network, "set", temperatures=[SHARP])
    values = loss.features(preds, target, len(target))[0].tolist()
    return dict(zip(loss.network.feature_names(), values, strict=True))


def called(classes: list[int], n_classes: int) -> Tensor:
    """Logits that call these classes."""
    return 5.0 * torch.nn.functional.one_hot(torch.tensor(classes), n_classes)


def assert_close(found: dict[str, float], expected: dict[str, Any], tolerance: float, suffix: str = "") -> None:
    for name, value in expected.items():
        assert found[name + suffix] == pytest.approx(float(value), abs=tolerance), name


def test_pooled_counts_are_those_of_hard_decisions() -> None:
    target, classes = [0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 3, 2, 2]
    found = general(called(classes, 5), torch.tensor(target))
    expected = {
        "accuracy": 6 / 8,
        "recall": (3 / 4 + 1 / 2 + 1) / 3,
        "precision": (1 + 1 / 2 + 1) / 3,
        "f1": f1_score(target, classes, average="macro", labels=[0, 1, 2]),
        "f1 of all": f1_score(target, classes, average="macro"),
        "weighted f1": f1_score(target, classes, average="weighted", labels=[0, 1, 2]),
        "jaccard": jaccard_score(target, classes, average="macro", labels=[0, 1, 2]),
        "mcc": matthews_corrcoef(target, classes),
        "kappa": cohen_kappa_score(target, classes),
        "recall of rare": (3 / 4 / 4 + 1 / 2 / 2 + 1 / 2) / (1 / 4 + 1 / 2 + 1 / 2),
        "frequencies": 1 - 2 / 16,
    }
    assert_close(found, expected, 0.03, f" at {SHARP:g}")
    frequencies = np.array([4, 2, 2]) / 8
    information = mutual_info_score(target, classes) / (0.1 - (frequencies * np.log(frequencies)).sum())
    assert_close(found, {"information by targets": information}, 0.01, f" at {SHARP:g}")


def test_means_towards_the_worst_class_fall_with_that_class() -> None:
    target = torch.arange(3).repeat(8)
    better, worse = target.clone(), target.clone()
    better[[0, 1, 2]] = torch.tensor([1, 2, 0])
    worse[[0, 3, 6]] = torch.tensor([1, 2, 1])  # as many errors, all of one class
    of_better, of_worse = (general(called(each.tolist(), 3), target) for each in (better, worse))
    for name in ("worst recall", "geometric recall", "harmonic recall"):
        assert of_worse[f"{name} at {SHARP:g}"] < of_better[f"{name} at {SHARP:g}"] - 0.005, name
    assert of_worse[f"recall at {SHARP:g}"] == pytest.approx(of_better[f"recall at {SHARP:g}"], abs=1e-4)


def test_gaps_of_bins_are_calibration_errors() -> None:
    preds, target = examples(400, 4)
    confidence, right = preds.softmax(1).amax(1).numpy(), argmax_hits(preds, target).double().numpy()
    by_value = np.minimum((confidence * 10).astype(int), 9)
    by_rank = np.array_split(np.argsort(-confidence), 10)
    surest = np.argsort(-confidence)[:100]
    expected = {
        "-gap of bins": -sum(abs((confidence - right)[by_value == b].sum()) for b in range(10)) / 400,
        "-gap of quantiles": -sum(abs((confidence - right)[rows].sum()) for rows in by_rank) / 400,
        "right of surest": right[surest].mean(),
        "surest": confidence[surest].mean(),
    }
    assert_close(general(preds, target), expected, 0.02)


def test_proper_scores_and_places_are_those_of_their_definitions() -> None:
    preds, target = examples(50, 12)
    p = preds.softmax(1)
    of_target = p[torch.arange(50), target]
    place = (preds > preds[torch.arange(50), target][:, None]).sum(1)
    expected = {
        "probability": of_target.mean(),
        "brier": 1 - (p - torch.nn.functional.one_hot(target, 12)).square().sum(1).mean() / 2,
        "spherical": (of_target / p.norm(dim=1)).mean(),
        "1 / place": (1 / (1 + place)).mean(),
        "among 5": (place < 5).double().mean(),
    }
    assert_close(general(preds, target), expected, 0.05)


def test_distances_of_numbered_classes_are_those_of_their_definitions() -> None:
    target, classes = [0, 0, 1, 2, 3, 4, 4], [0, 2, 1, 2, 1, 4, 0]
    away = np.abs(np.subtract(classes, target))
    by_class = np.mean([away[np.equal(target, c)].mean() for c in range(5)])
    expected = {
        "-distance": -np.log1p(away.mean()),
        "-distance by class": -np.log1p(by_class),
        "near": (away <= 1).mean(),
        "linear kappa": cohen_kappa_score(target, classes, weights="linear"),
        "quadratic kappa": cohen_kappa_score(target, classes, weights="quadratic"),
        "correlation": np.corrcoef(target, classes)[0, 1],
        "hits of first": 1 / 7,
        "predictions of first": 2 / 7,
        "hits of last": 1 / 7,
    }
    found = general(called(classes, 6), torch.tensor(target), "general_ordinal")
    assert_close(found, expected, 0.02, f" at {SHARP:g}")


@pytest.mark.parametrize("network", ["general", "general_ordinal"])
@pytest.mark.parametrize("preds", [torch.zeros(6, 3), 50 * torch.eye(3).repeat(2, 1)], ids=["ties", "saturated"])
def test_second_derivatives_are_finite_at_ties_and_where_logits_are_saturated(network: str, preds: Tensor) -> None:
    target = torch.tensor([0, 1, 2, 2, 1, 0])
    preds = preds.clone().requires_grad_()
    features = built(network, "set", relative_temperatures=[0.3, 0.03]).features(preds, target, 6)
    (gradient,) = torch.autograd.grad(features.sum(), preds, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), preds)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_a_monotone_head_falls_with_every_quality_and_a_free_one_need_not() -> None:
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'linear'"):
        built("general", "set", head="linear")
    falls = []
    for head in ("monotone", "free"):
        loss = built("general", "set", head=head)
        features = randn(20, len(loss.network.feature_names())).requires_grad_()
        loss.network.score(features, 1).sum().backward()
        n_qualities = loss.network.feature_names().index("chance at 1")
        assert features.grad is not None
        falls.append(bool((features.grad[:, :n_qualities] <= 0).all()))
    assert falls == [True, False]
