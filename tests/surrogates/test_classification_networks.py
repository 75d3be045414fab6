from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import Tensor

from autosurrogate import surrogates, tasks

SETTINGS: dict[str, dict[str, Any]] = {
    "margin": {"temperatures": [1.0, 0.1], "n_competitors": 5},
    "confusion": {"temperatures": [1.0, 0.1]},
    "ordinal": {"temperatures": [1.0, 0.1]},
    "target_probability": {"width": 16, "n_hidden": 2},
}
SHARP = 1e-3

each_network = pytest.mark.parametrize("network", SETTINGS)
each_level = pytest.mark.parametrize("level", ["sample", "set"])


def built(network: str, level: str, **changed: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss: Any = surrogates.build(tasks.get("classification"), level, network, **{**SETTINGS[network], **changed})
    loss.calibration.stretch(1.7)
    return loss


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def examples(n: int = 12, n_classes: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    preds = 2 * torch.randn(n, n_classes, generator=generator)
    return preds, torch.randint(0, n_classes, (n,), generator=generator)


def of(loss: Any, preds: Tensor, target: Tensor) -> Tensor:
    """The loss of each example, or of the set."""
    found: Tensor = loss.per_sample(preds, target) if hasattr(loss, "per_sample") else loss(preds, target)[None]
    return found


def differs(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-4)


def test_all_networks_are_tested() -> None:
    assert set(SETTINGS) == set(surrogates.networks(tasks.get("classification")))


@each_network
def test_a_batch_s_loss_is_the_mean_of_its_examples(network: str) -> None:
    loss = built(network, "sample")
    preds, target = examples()
    assert loss.per_sample(preds, target).shape == (12,)
    torch.testing.assert_close(loss(preds, target), loss.per_sample(preds, target).mean())
    assert differs(loss.per_sample(preds, target), loss.per_sample(preds, target).mean())
    assert not hasattr(built(network, "set"), "per_sample")


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
    torch.testing.assert_close(of(loss, more, target), of(loss, preds, target), atol=1e-5, rtol=1e-5)


@each_network
@each_level
def test_predicted_classes_do_change_it(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    assert differs(of(loss, torch.cat([preds, preds.amax(1, keepdim=True) + 1], 1), target), of(loss, preds, target))


@each_network
@each_level
def test_the_order_of_examples_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    target[3] = -100
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    expected = of(loss, preds, target)
    torch.testing.assert_close(
        of(loss, preds[order], target[order]), expected[order] if level == "sample" else expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("network", sorted(set(SETTINGS) - {"ordinal"}))
@each_level
def test_what_the_classes_are_called_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    names = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    renamed = torch.empty_like(preds).index_copy_(1, names, preds)
    torch.testing.assert_close(of(loss, renamed, names[target]), of(loss, preds, target), atol=1e-5, rtol=1e-5)
    assert differs(of(loss, renamed, target), of(loss, preds, target))


@each_network
@each_level
def test_a_shift_of_all_logits_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    shifted = preds + 10 * randn(12, 1)
    torch.testing.assert_close(of(loss, shifted, target), of(loss, preds, target), atol=1e-4, rtol=1e-4)


@each_network
@each_level
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16])
def test_any_integer_target(network: str, level: str, dtype: torch.dtype) -> None:
    loss, (preds, target) = built(network, level), examples()
    torch.testing.assert_close(of(loss, preds, target.to(dtype)), of(loss, preds, target), atol=0, rtol=0)


@each_network
@each_level
def test_class_156_as_an_unsigned_byte_is_a_target(network: str, level: str) -> None:
    loss, (preds, _) = built(network, level), examples(n=1, n_classes=200)
    target = torch.tensor([156])
    torch.testing.assert_close(of(loss, preds, target.to(torch.uint8)), of(loss, preds, target), atol=0, rtol=0)


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
    preds.requires_grad_()
    found = built(network, level)(preds, target)
    found.backward()
    assert found.isfinite()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()
    assert preds.grad[4:].abs().sum() > 0


@each_network
@each_level
@pytest.mark.parametrize(("n", "n_classes"), [(1, 2), (1, 40), (5, 2)])
def test_the_smallest_batches(network: str, level: str, n: int, n_classes: int) -> None:
    preds, target = examples(n, n_classes)
    preds.requires_grad_()
    found = built(network, level)(preds, target)
    found.backward()
    assert found.shape == ()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


@each_network
@each_level
def test_it_is_the_loss_of_each_point_that_training_sees(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    target[5] = -100
    size = 1 if level == "sample" else 4
    points = loss.points(preds, target, size)
    for i in range(0, 12, size):
        if target[i] != -100 or size > 1:
            torch.testing.assert_close(points[i // size], loss(preds[i : i + size], target[i : i + size]))


@each_network
def test_features_and_columns_are_as_many(network: str) -> None:
    loss, (preds, target) = built(network, "set"), examples()
    features = loss.features(preds, target, 4)
    assert features.shape == (12 // 4 * loss.network.n_rows(4), len(loss.network.feature_names()))
    assert len(set(loss.network.feature_names())) == len(loss.network.feature_names())


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
