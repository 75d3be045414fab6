from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate import outputs, tasks
from autosurrogate.errors import OptionError, ShapeError
from autosurrogate.rank_correlation import (
    Agreement,
    bootstrap_interval,
    kendall,
    mean_agreement,
    rank_agreement,
    spearman,
)

Correlation = Callable[[np.ndarray, np.ndarray], float]
SCIPY: dict[Correlation, Callable[[np.ndarray, np.ndarray], float]] = {
    spearman: lambda a, b: float(scipy.stats.spearmanr(a, b).statistic),
    kendall: lambda a, b: float(scipy.stats.kendalltau(a, b).statistic),
}

few_values = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=25)  # so that many tie
both = pytest.mark.parametrize("statistic", [spearman, kendall])


def spearman_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of ranks, a rank being the mean of the first and the last place that the value could have."""
    ranks = [np.array([((x <= v).sum() + (x < v).sum() + 1) / 2 for v in x]) for x in (a, b)]
    rank_a, rank_b = (rank - rank.mean() for rank in ranks)
    return float((rank_a * rank_b).sum() / math.sqrt((rank_a**2).sum() * (rank_b**2).sum()))


def kendall_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Tau-b, pair by pair."""
    pairs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in itertools.combinations(range(len(a)), 2)]
    untied_a, untied_b = (sum(pair[side] != 0 for pair in pairs) for side in (0, 1))
    return float(sum(x * y for x, y in pairs) / math.sqrt(untied_a * untied_b))


def check(ours: Correlation, oracle: Correlation, a: np.ndarray, b: np.ndarray) -> None:
    assert ours(a, b) == pytest.approx(oracle(a, b), abs=1e-12)


def two_lists(n_points: int, *, seed: int = 0, decimals: int = 8) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=n_points)
    return a.round(decimals), (a + generator.normal(size=n_points)).round(decimals)


@both
@given(points=few_values)
def test_agrees_with_scipy_with_ties(statistic: Correlation, points: list[tuple[int, int]]) -> None:
    a, b = np.array(points, dtype=np.float64).T
    if len(set(a)) > 1 and len(set(b)) > 1:
        check(statistic, SCIPY[statistic], a, b)


@pytest.mark.parametrize(
    ("statistic", "definition"), [(spearman, spearman_by_definition), (kendall, kendall_by_definition)]
)
@given(points=few_values)
def test_agrees_with_its_definition_with_ties(
    statistic: Correlation, definition: Correlation, points: list[tuple[int, int]]
) -> None:
    a, b = np.array(points, dtype=np.float64).T
    if len(set(a)) > 1 and len(set(b)) > 1:
        check(statistic, definition, a, b)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a, b: -spearman(a, b),
        kendall,
        lambda a, b: float(np.corrcoef(a, b)[0, 1]),
        lambda a, b: float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1]),  # ties not averaged
    ],
)
def test_the_check_catches_other_correlations(wrong: Correlation) -> None:
    with pytest.raises(AssertionError):
        check(wrong, SCIPY[spearman], np.array([1.0, 1, 2, 5, 2, 9]), np.array([3.0, 2, 2, 9, 9, 1]))


def test_the_check_catches_tau_that_does_not_mind_ties() -> None:
    def tau_a(a: np.ndarray, b: np.ndarray) -> float:
        n_pairs = len(a) * (len(a) - 1) / 2
        return float((np.sign(a[:, None] - a) * np.sign(b[:, None] - b)).sum() / 2 / n_pairs)

    with pytest.raises(AssertionError):
        check(tau_a, SCIPY[kendall], np.array([1.0, 1, 2, 5]), np.array([3.0, 2, 2, 9]))


@both
@given(points=few_values)
@pytest.mark.slow
def test_sees_only_the_order(statistic: Correlation, points: list[tuple[int, int]]) -> None:
    a, b = np.array(points, dtype=np.float64).T
    expected = pytest.approx(statistic(a, b), abs=1e-12, nan_ok=True)
    assert statistic(np.exp(a), b) == expected
    assert statistic(b, a) == expected
    assert -statistic(-a, b) == expected


@both
def test_infinite_values_have_a_rank(statistic: Correlation) -> None:
    a, b = np.array([0.0, np.inf, 1, -np.inf, np.inf]), np.array([1.0, 3, 2, 0, 4])
    assert statistic(a, b) == pytest.approx(statistic(np.array([1.0, 3, 2, 0, 3]), b), abs=1e-12)


@both
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([], []),
        ([1.0], [2.0]),
        ([1.0, 1, 1], [1.0, 2, 3]),
        ([1.0, 2, 3], [2.0, 2, 2]),
        ([1.0, np.nan, 3], [1.0, 2, 3]),
        ([np.nan, np.nan, np.nan], [1.0, 2, 3]),
    ],
)
def test_what_cannot_be_ranked_is_nan_without_a_warning(statistic: Correlation, a: list[float], b: list[float]) -> None:
    assert math.isnan(statistic(np.array(a), np.array(b)))
    assert np.isnan(bootstrap_interval(np.array(a), np.array(b), statistic)).all()


@both
@pytest.mark.parametrize(("a", "b"), [((3,), (4,)), ((2, 3), (2, 3)), ((), ())])
def test_refuses_other_shapes(statistic: Correlation, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    for function in (
        statistic,
        lambda x, y: bootstrap_interval(x, y, statistic),
        lambda x, y: rank_agreement(x, y, True),
    ):
        with pytest.raises(ShapeError) as error:
            function(np.zeros(a), np.zeros(b))
        assert f"got {a} and {b}" in str(error.value)


@both
@pytest.mark.parametrize(("n_points", "decimals"), [(2, 8), (3, 0), (40, 0), (217, 1), (2500, 8)])
def test_resampling_many_at_once_equals_one_by_one(statistic: Correlation, n_points: int, decimals: int) -> None:
    a, b = two_lists(n_points, decimals=decimals)
    at_once = bootstrap_interval(a, b, statistic, n_resamples=60, seed=3)
    one_by_one = bootstrap_interval(a, b, SCIPY_OR_NAN[statistic], n_resamples=60, seed=3)
    assert at_once == pytest.approx(one_by_one, abs=1e-12)


@both
@pytest.mark.parametrize("groups", [(1, 1), (40,), (20, 20), (1, 30, 9)])
def test_resampling_groups_at_once_equals_one_by_one(statistic: Correlation, groups: tuple[int, ...]) -> None:
    a, b = two_lists(sum(groups), decimals=1)
    at_once = bootstrap_interval(a, b, statistic, n_resamples=60, groups=groups)
    one_by_one = bootstrap_interval(a, b, SCIPY_OR_NAN[statistic], n_resamples=60, groups=groups)
    assert at_once == pytest.approx(one_by_one, abs=1e-12, nan_ok=True)


def test_groups_are_drawn_first_and_then_points_of_each() -> None:
    """Of three groups, one has been drawn `k` times: then its points are there `k` times as often, others not."""
    seen = []

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        seen.append(np.bincount(a.astype(int) // 100, minlength=3) / 100)
        points.append(len(np.unique(a)))
        return 0.0

    points: list[int] = []
    bootstrap_interval(np.arange(300.0), np.arange(300.0), statistic, groups=(100, 100, 100))
    often = np.stack(seen)
    assert (often == often.round()).all()
    assert (often.sum(1) == 3).all()
    assert np.allclose(often.mean(0), 1, atol=0.1)
    assert np.isin([0, 1, 2, 3], often).all()
    assert max(points) < 220  # 300 draws give 190 different points of as many: not all of a group that is drawn


@both
@pytest.mark.slow
def test_the_interval_of_points_that_are_alike_in_groups_is_as_wide_as_it_should_be(statistic: Correlation) -> None:
    """Eight groups of 30 points, whose values lie about the group's own: the correlation of all is of the eight."""
    generator = np.random.default_rng(0)
    hits = {"groups": 0, "points": 0}
    for seed in range(100):
        shift, noise = generator.normal(size=(2, 8)).repeat(30, axis=1), generator.normal(size=(2, 240))
        a, b = 2 * shift[0] + noise[0], 2 * shift[1] + noise[1]  # not correlated
        for name, groups in (("groups", [30] * 8), ("points", None)):
            low, high = bootstrap_interval(a, b, statistic, seed=seed, n_resamples=200, groups=groups)
            hits[name] += low <= 0 <= high
    assert hits["groups"] >= 80
    assert hits["points"] < 50


@pytest.mark.parametrize("groups", [(2, 2), (3, 0), (4, -1), ()])
def test_groups_must_be_of_all_points(groups: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"groups .* are not of the 3 points"):
        bootstrap_interval(np.arange(3), np.arange(3), spearman, groups=groups)


SCIPY_OR_NAN: dict[Correlation, Correlation] = {
    spearman: lambda a, b: SCIPY[spearman](a, b) if np.ptp(a) and np.ptp(b) else math.nan,
    kendall: lambda a, b: SCIPY[kendall](a, b) if np.ptp(a) and np.ptp(b) else math.nan,
}


@pytest.mark.slow
def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    a, b = two_lists(300)
    theirs = scipy.stats.bootstrap(
        (a, b), SCIPY[spearman], paired=True, vectorized=False, n_resamples=1500, method="percentile", rng=1
    ).confidence_interval
    ours = bootstrap_interval(a, b, spearman, n_resamples=1500)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.01)  # both intervals are random; their width is 0.12
    assert ours != pytest.approx(tuple(bootstrap_interval(a, b, spearman, confidence=0.5)), abs=0.01)


@pytest.mark.parametrize(
    ("statistic", "true_value"),
    [(spearman, 6 / math.pi * math.asin(0.7 / 2)), (kendall, 2 / math.pi * math.asin(0.7))],  # of two normal variables
)
def test_the_interval_holds_the_true_value_about_as_often_as_it_says(statistic: Correlation, true_value: float) -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        a, noise = generator.normal(size=(2, 100))
        low, high = bootstrap_interval(
            a, 0.7 * a + math.sqrt(1 - 0.7**2) * noise, statistic, seed=seed, n_resamples=300
        )
        hits += low <= true_value <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_resamples_without_a_value_are_left_out() -> None:
    """Of three points, a ninth of all resamples are three times the same."""
    a = np.array([1.0, 2, 3])
    assert bootstrap_interval(a, a, spearman) == (1.0, 1.0)
    assert np.isnan(bootstrap_interval(a, a, lambda x, y: math.nan)).all()


def test_the_interval_follows_its_seed() -> None:
    a, b = two_lists(80)
    first = bootstrap_interval(a, b, kendall, seed=1)
    assert first == bootstrap_interval(a, b, kendall, seed=1)
    assert first != bootstrap_interval(a, b, kendall, seed=2)


@both
@pytest.mark.parametrize("n_points", [2000, 20_000])
@pytest.mark.slow
def test_an_interval_takes_less_than_two_seconds(statistic: Correlation, n_points: int) -> None:
    a, b = two_lists(n_points)
    start = time.process_time()
    bootstrap_interval(a, b, statistic)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("n_points", "n_calls"), [(100, 1000), (8000, 500), (100_000, 100)])
def test_many_points_get_fewer_resamples(n_points: int, n_calls: int) -> None:
    calls = []

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        calls.append(len(a))
        return 0.0

    points = np.arange(n_points)
    bootstrap_interval(points, points, statistic)
    assert calls == [n_points] * n_calls


@pytest.mark.parametrize(("n_resamples", "confidence"), [(0, 0.95), (10, 0.0), (10, 1.0), (10, math.nan)])
def test_refuses_impossible_intervals(n_resamples: int, confidence: float) -> None:
    with pytest.raises(OptionError, match=f"got n_resamples={n_resamples}, confidence={confidence}"):
        bootstrap_interval(np.arange(3), np.arange(3), spearman, n_resamples=n_resamples, confidence=confidence)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_agreement_is_positive_where_loss_and_metric_agree(higher_is_better: bool) -> None:
    quality, loss = two_lists(60)
    metric_values = quality if higher_is_better else -quality
    found = rank_agreement(-loss, metric_values, higher_is_better, seed=4)
    assert found.spearman == pytest.approx(SCIPY[spearman](quality, loss), abs=1e-12)
    assert found.kendall == pytest.approx(SCIPY[kendall](quality, loss), abs=1e-12)
    assert found.spearman > 0.3
    assert found.spearman_interval[0] < found.spearman < found.spearman_interval[1]
    assert found.kendall_interval[0] < found.kendall < found.kendall_interval[1]
    assert found.n_points == 60
    other_way = rank_agreement(loss, metric_values, higher_is_better, seed=4)
    assert other_way.spearman == pytest.approx(-found.spearman, abs=1e-12)


def test_the_mean_of_agreements() -> None:
    shuffles = [Agreement(0.5, (0.25, 0.75), 0.25, (0.0, 0.5), 10), Agreement(1.0, (0.75, 1.0), 0.75, (0.5, 1.0), 10)]
    assert mean_agreement(shuffles) == Agreement(0.75, (0.5, 0.875), 0.5, (0.25, 0.75), 10)
    assert mean_agreement(shuffles[:1]) == shuffles[0]
    undefined = Agreement(math.nan, (math.nan, math.nan), 0.5, (0.0, 1.0), 9)
    mean = mean_agreement([*shuffles, undefined])
    assert math.isnan(mean.spearman)
    assert mean.n_points == 9
    with pytest.raises(OptionError, match="at least one agreement, got none"):
        mean_agreement([])


def accuracy_and_losses(recorded: outputs.Recorded) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Of each row: whether it is right, its cross-entropy, and the probability it leaves to other classes."""
    preds, target = recorded.examples.preds.numpy().astype(np.float64), recorded.examples.target.numpy()
    shifted = preds - preds.max(1, keepdims=True)
    cross_entropy = np.log(np.exp(shifted).sum(1)) - np.take_along_axis(shifted, target[:, None], 1)[:, 0]
    return preds.argmax(1) == target, {"cross-entropy": cross_entropy, "probability": 1 - np.exp(-cross_entropy)}


@pytest.mark.parametrize(("loss", "rho", "tau"), [("cross-entropy", 0.965, 0.840), ("probability", 0.977, 0.880)])
def test_losses_against_accuracy_on_real_outputs(data: Path, loss: str, rho: float, tau: float) -> None:
    """The figures that the README of the data gives, which lie where those of single shuffles do."""
    recorded = outputs.read(data / "outputs" / "fashion_mnist_cnn.npz", tasks.get("classification"))
    correct, losses = accuracy_and_losses(recorded)
    generator = torch.Generator().manual_seed(0)
    shuffles = []
    for seed in range(10):
        sets = recorded.sets(128, generator).numpy()
        loss_values, metric_values = losses[loss][sets].mean(1), correct[sets].mean(1)
        found = rank_agreement(loss_values, metric_values, True, seed)
        assert found.spearman == pytest.approx(SCIPY[spearman](-loss_values, metric_values), abs=1e-12)
        assert found.kendall == pytest.approx(SCIPY[kendall](-loss_values, metric_values), abs=1e-12)
        shuffles.append(found)
    mean = mean_agreement(shuffles)
    assert mean.n_points == 217
    assert abs(mean.spearman - rho) < 3 * np.std([one.spearman for one in shuffles], ddof=1) < 0.01
    assert abs(mean.kendall - tau) < 3 * np.std([one.kendall for one in shuffles], ddof=1) < 0.03
    assert mean.spearman_interval[0] < mean.spearman < mean.spearman_interval[1]


def test_sets_that_mix_sources_would_not_show_it(data: Path) -> None:
    recorded = outputs.read(data / "outputs" / "fashion_mnist_cnn.npz", tasks.get("classification"))
    correct, losses = accuracy_and_losses(recorded)
    mixed = outputs.Recorded(recorded.examples, torch.zeros_like(recorded.source))
    sets = mixed.sets(128, torch.Generator().manual_seed(0)).numpy()
    assert rank_agreement(losses["cross-entropy"][sets].mean(1), correct[sets].mean(1), True).spearman < 0.9
