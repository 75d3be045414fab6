from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.metrics.ccc import ccc
from autosurrogate.metrics.spearman import spearman
from autosurrogate.testing.losses import finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {"agreement": {"bandwidths": [0.02, 0.1], "anchors": [6, 24]}}

each_network = pytest.mark.parametrize("network", SETTINGS)


def examples(n: int = 24, n_columns: int = 2, seed: int = 0, noise: float = 0.7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(n, n_columns, generator=generator)
    return 0.8 * target + noise * torch.randn(n, n_columns, generator=generator) + 0.2, target


def feature(loss: Any, name: str, preds: Tensor, target: Tensor) -> float:
    features = loss.features(preds, target, len(target))
    return float(features[0, loss.network.feature_names().index(name)])


def with_whole_targets() -> tuple[Tensor, Tensor]:
    preds, target = examples()
    return preds, (4 * target).round()


CASE = NetworkCase(
    "values",
    SETTINGS,
    examples,
    set_size=8,
    target_dtypes=[torch.float16, torch.bfloat16, torch.float64, torch.int64],
    dtype_examples=with_whole_targets,
)


def built(network: str, level: str, **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
@each_level
def test_the_order_of_examples_and_of_columns_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    expected = loss(preds, target)
    torch.testing.assert_close(loss(preds[order], target[order]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss(preds[:, [1, 0]], target[:, [1, 0]]), expected, atol=1e-5, rtol=1e-5)
    assert differs(loss(preds[order], target), expected)


@each_network
@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_scale_and_offset_of_a_quantity_do_not_matter_but_for_the_spread_s_own_term(network: str, scale: float) -> None:
    loss, (preds, target) = built(network, "set"), examples()
    moved = loss(scale * (preds + 3), scale * (target + 3))
    torch.testing.assert_close(moved, loss(preds, target), atol=1e-3, rtol=1e-3)
    with torch.no_grad():
        loss.network.of_spread.fill_(0.5)
    moved = loss(scale * (preds + 3), scale * (target + 3)) - loss(preds, target)
    assert moved.item() == pytest.approx(1.7 * 0.5 * np.log(scale), rel=1e-3)


@each_network
@each_level
@pytest.mark.parametrize(
    ("preds", "target"),
    [
        ([[1.0]], [[2.0]]),
        ([[1.0], [1.0]], [[2.0], [3.0]]),
        ([[1.0], [2.0]], [[2.0], [2.0]]),
        ([[1.0], [2.0], [3.0]], [[0.1], [0.1], [0.1]]),
        ([[2.0], [2.0], [2.0]], [[2.0], [2.0], [2.0]]),
        ([[1.0], [2.0], [3.0]], [[1.0], [2.0], [3.0]]),
        ([[1e4], [-1e4], [0.0]], [[1.0], [2.0], [3.0]]),
        ([[1e7, 0.0], [2e7, 0.0]], [[1e7, 1.0], [2e7, 0.0]]),
    ],
)
def test_small_constant_perfect_and_extreme_sets_give_finite_gradients(
    network: str, level: str, preds: list[list[float]], target: list[list[float]]
) -> None:
    moved = torch.tensor(preds)
    gradient = finite_gradient(built(network, level), moved, torch.tensor(target))
    assert gradient.abs().max() < 1e4


@each_network
def test_whatever_the_parameters_it_falls_as_preds_come_nearer_to_the_target(network: str) -> None:
    preds, target = examples(200, 1)
    for seed in range(5):
        torch.manual_seed(seed)
        loss: Any = surrogates.build(tasks.get("values"), "set", network, **SETTINGS[network])
        losses = torch.stack([loss(target + share * (preds - target), target) for share in (1.5, 1.0, 0.5, 0.1)])
        assert (losses.diff() < 0).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [16, 512])
@pytest.mark.parametrize("noise", [0.2, 3.0])
def test_features_are_the_metrics(seed: int, n: int, noise: float) -> None:
    loss = built("agreement", "set", anchors=[6, 64])
    preds, target = examples(n, 2, seed, noise)
    p, t = preds.double().numpy(), target.double().numpy()
    z = np.abs(p - t) / t.std(0)
    expected = {
        "pearson": np.mean([np.corrcoef(p[:, d], t[:, d])[0, 1] for d in range(2)]),
        "concordance": ccc(p, t),
        "-squared error": -np.arcsinh((z**2).mean()),
        "-log mean error": -np.log(z.mean(0) + 0.01).mean(),
        "log spread": np.log(t.std(0)).mean(),
    }
    for name, value in expected.items():
        assert feature(loss, name, preds, target) == pytest.approx(value, abs=1e-3), name
    assert feature(loss, "rank correlation of 64", preds, target) == pytest.approx(spearman(p, t), abs=0.02)
    for quantile in (0.25, 0.5, 0.75, 0.9) if n > 100 else ():
        found = feature(loss, f"-log error {quantile:g} within 0.02", preds, target)
        assert found == pytest.approx(-np.log(np.quantile(z, quantile, 0) + 0.01).mean(), abs=0.1)


def test_ranks_of_tied_targets_are_averaged() -> None:
    loss = built("agreement", "set", anchors=[64])
    preds, target = examples(400, 1)
    target = target.round()
    assert target.unique().numel() < 10
    expected = spearman(preds.double().numpy(), target.double().numpy())
    assert feature(loss, "rank correlation of 64", preds, target) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("spread", [1e-3, 0.03])
def test_correlations_are_the_same_of_nearly_constant_predictions(spread: float) -> None:
    loss = built("agreement", "set")
    preds, target = examples(200, 1)
    for name in ("pearson", "rank correlation of 24"):
        close = feature(loss, name, spread * preds, target)
        assert close == pytest.approx(feature(loss, name, preds, target), abs=2e-3), name
        assert feature(loss, name, torch.full_like(preds, 0.3), target) == pytest.approx(0, abs=1e-3), name


@each_network
def test_predictions_that_are_nearly_constant_have_no_larger_gradient(network: str) -> None:
    loss, (preds, target) = built(network, "set"), examples(64, 1)
    norms = [finite_gradient(loss, spread * preds, target).norm() for spread in (1e-3, 0.1, 1.0)]
    assert max(norms[:2]) < 3 * norms[2]
