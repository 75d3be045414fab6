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

GROUPS = ["errors", "signed", "relative", "order", "columns"]
SETTINGS: dict[str, dict[str, Any]] = {
    "agreement": {"bandwidths": [0.02, 0.1], "anchors": [6, 24]},
    "statistics": {"groups": GROUPS},
}

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
    groups = {"groups": GROUPS[:-1]} if network == "statistics" else {}  # the last sees the first column
    loss, (preds, target) = built(network, level, **groups), examples()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    expected = loss(preds, target)
    torch.testing.assert_close(loss(preds[order], target[order]), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss(preds[:, [1, 0]], target[:, [1, 0]]), expected, atol=1e-5, rtol=1e-5)
    assert differs(loss(preds[order], target), expected)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_scale_and_offset_of_a_quantity_do_not_matter_but_for_the_spread_s_own_term(scale: float) -> None:
    loss, (preds, target) = built("agreement", "set"), examples()
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


def test_whatever_the_parameters_it_falls_as_preds_come_nearer_to_the_target() -> None:
    preds, target = examples(200, 1)
    for seed in range(5):
        torch.manual_seed(seed)
        loss: Any = surrogates.build(tasks.get("values"), "set", "agreement", **SETTINGS["agreement"])
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


def statistic(name: str, preds: Tensor, target: Tensor) -> float:
    return feature(built("statistics", "set"), name, preds, target)


@pytest.mark.parametrize("n", [40, 512])
@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_statistics_are_what_their_names_say(n: int, offset: float) -> None:
    preds, target = (values + offset for values in examples(n, 2, 3))
    p, t = preds.double().numpy(), target.double().numpy()
    error, spread = p - t, t.std(0)
    z, relative = np.abs(error) / spread, np.abs(error) / (np.abs(t) + 1e-4 * spread)
    quarters = [np.quantile(t, [0.25, 0.5, 0.75], 0)[:, d] for d in range(2)]
    zones = [[z[np.searchsorted(quarters[d], t[:, d]) == i, d].mean() for i in range(4)] for d in range(2)]
    expected = {
        "errors: mean error": -np.log(z.mean(0) + 1e-3).mean(),
        "errors: geometric mean error": -np.log(z + 1e-3).mean(),
        "errors: spread of errors": -np.log((error / spread).std(0)).mean(),
        "errors: largest error": -np.log(z.max(0)).mean(),
        "signed: mean signed error": np.arcsinh((error / spread).mean(0)).mean(),
        "signed: worst quarter": -np.log(np.max(zones, 1)).mean(),
        "relative: relative error": -np.log(relative.mean(0) + 1e-3).mean(),
        "relative: error to mean size": -np.log(np.abs(error).mean(0) / np.abs(t).mean(0) + 1e-3).mean(),
        "relative: angle": -np.log(
            np.linalg.norm(p / np.linalg.norm(p, axis=0) - t / np.linalg.norm(t, axis=0), axis=0)
        ).mean(),
        "relative: cosine of error": np.cos(error).mean(),
        "order: correlation": np.mean([np.corrcoef(p[:, d], t[:, d])[0, 1] for d in range(2)]),
        "order: concordance": ccc(p, t),
        "order: distance of distributions": -np.log(np.abs(np.sort(p, 0) - np.sort(t, 0)).mean(0) / spread).mean(),
        "columns: worst mean error": -np.log(z.mean(0).max() + 1e-3),
        "columns: first mean error": -np.log(z[:, 0].mean() + 1e-3),
        "target: log spread": np.log(spread).mean() / 3,
        "target: 1 / n": 1 / n,
    }
    for name, value in expected.items():
        assert statistic(name, preds, target) == pytest.approx(value, abs=0.02), name
    assert statistic("order: rank correlation", preds, target) == pytest.approx(spearman(p, t), abs=0.03)
    for bound in (0.25, 1.0):
        found = statistic(f"errors: within {bound:g}", preds, target)
        assert found == pytest.approx((z <= bound).mean(), abs=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_only_what_speaks_of_zero_and_unit_sees_them(scale: float) -> None:
    preds, target = examples(64)
    loss = built("statistics", "set", groups=["errors", "signed", "order"])
    names = loss.network.feature_names()
    before, after = (loss.features(scale * p, scale * t, 64)[0] for p, t in ((preds, target), (preds + 3, target + 3)))
    for name, one, other in zip(names, before.tolist(), after.tolist(), strict=True):
        if not name.startswith("target: "):
            assert one == pytest.approx(other, abs=2e-3), name
    small, large = (
        statistic("target: log spread", preds, target),
        statistic("target: log spread", 8 * preds, 8 * target),
    )
    assert large - small == pytest.approx(np.log(8) / 3, abs=1e-4)
    assert statistic("target: place of zero", preds + 3, target + 3) > statistic("target: place of zero", preds, target)


def test_a_single_example_counts_as_a_set_of_its_values() -> None:
    preds, target = examples(3, 5)
    found = built("statistics", "sample").features(preds, target, 1)
    expected = built("statistics", "set").features(preds.flatten()[:, None], target.flatten()[:, None], 5)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_monotone_head_falls_as_any_quality_rises_and_the_free_one_need_not() -> None:
    names = built("statistics", "set").network.feature_names()
    n_qualities = built("statistics", "set").network.layers.n_qualities
    assert names[n_qualities] == "signed: mean signed error"
    falls = {}
    for head in ("monotone", "free"):
        features = torch.randn(16, len(names), generator=torch.Generator().manual_seed(0)).requires_grad_()
        built("statistics", "set", head=head).network.score(features, 1).sum().backward()
        assert features.grad is not None
        falls[head] = bool((features.grad[:, :n_qualities] <= 0).all())
    assert falls == {"monotone": True, "free": False}


@pytest.mark.parametrize("changed", [{"groups": ["errors", "unknown"]}, {"head": "unknown"}])
def test_an_unknown_group_or_head_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unknown"):
        built("statistics", "set", **changed)
