from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from autosurrogate.surrogates._classification_margins import margins_to_strongest, relative_to_mean
from autosurrogate.testing.losses import finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "margin": {"temperatures": [1.0, 0.1], "n_competitors": 5},
    "confusion": {"temperatures": [1.0, 0.1]},
    "ordinal": {"temperatures": [1.0, 0.1]},
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


@pytest.mark.parametrize("network", sorted(set(SETTINGS) - {"ordinal"}))
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
