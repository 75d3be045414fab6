from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from torch import Tensor

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.surrogates.span import Overlap, expected_overlaps
from autosurrogate.testing.losses import Tolerance, finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "overlap": {"temperatures": [0.3, 0.1], "width": 12},
    "target_attention": {"width": 8, "n_layers": 2},
    "places": {"temperatures": [0.3, 0.02]},
}
SHARP = 1e-3
INF = math.inf

each_network = pytest.mark.parametrize("network", SETTINGS)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def examples(n: int = 12, n_positions: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits that lean to the target."""
    target = torch.randint(0, n_positions, (n, 2), generator=torch.Generator().manual_seed(seed)).sort(1).values
    preds = 2 * randn(n, 2, n_positions, seed=seed)
    return preds.scatter_add(2, target[..., None], 2 * torch.ones(n, 2, 1)), target


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


CASE = NetworkCase(
    "span",
    SETTINGS,
    examples,
    set_size=4,
    tolerance=Tolerance(2e-5, 1e-4),
    order_tolerance=Tolerance(2e-5, 1e-4),
    target_dtypes=[torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16],
    smallest=lambda level: [examples(*sizes) for sizes in ((1, 1), (1, 2), (3, 1), (1, 600))],  # and the longest
)


def built(network: str, level: str = "sample", **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


@functools.cache
def scripted_once(network: str, level: str) -> Any:
    return torch.jit.script(built(network, level))  # type: ignore[no-untyped-call]


test_every_property = CASE.test()


@each_network
@each_level
@pytest.mark.parametrize("logit", [-INF, -1e4, -2e4])
def test_masked_positions_change_nothing_before_or_behind(network: str, level: str, logit: float) -> None:
    loss, (preds, target) = built(network, level), examples()
    masked = torch.full((12, 2, 5), logit)
    same(losses_of(loss, torch.cat([masked, preds, masked[..., :3]], 2), target + 5), losses_of(loss, preds, target))
    assert differs(
        losses_of(loss, torch.cat([masked.clamp_min(3), preds], 2), target + 5), losses_of(loss, preds, target)
    )


@each_network
@each_level
def test_a_shift_of_all_start_or_end_logits_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    same(losses_of(loss, preds + 10 * randn(12, 2, 1), target), losses_of(loss, preds, target))


@each_level
@pytest.mark.parametrize("factor", [1e-4, 0.02, 30.0])
def test_how_far_all_logits_are_apart_does_not_matter(level: str, factor: float) -> None:
    loss, (preds, target) = built("overlap", level), examples()
    torch.testing.assert_close(
        losses_of(loss, factor * preds, target), losses_of(loss, preds, target), atol=1e-3, rtol=1e-3
    )


def test_flat_logits_have_the_gradient_of_logits_that_are_apart_by_one() -> None:
    loss, (preds, target) = built("overlap", "sample"), examples()
    norms = {}
    for scale in (0.02, 0.2, 5.0, 10.0):
        logits = (scale * preds).requires_grad_()
        (gradient,) = torch.autograd.grad(loss(logits, target), logits)
        norms[scale] = float(gradient.norm())
    assert norms[0.02] == pytest.approx(norms[0.2], rel=0.05)
    assert norms[10.0] == pytest.approx(norms[5.0] / 2, rel=0.02)


@pytest.mark.parametrize("first", [0, 5])
def test_of_equal_logits_the_first_that_is_not_masked_is_predicted(first: int) -> None:
    loss, logits = built("overlap", temperatures=[0.03]), torch.zeros(2, 2, 12)
    logits[:, :, :first] = -INF
    features = loss.features(logits, torch.tensor([[first, first], [first + 2, first + 3]]), 1)
    exact = features[:, loss.network.feature_names().index("exact at 0.03")]
    assert exact[0] > 0.95
    assert exact[1] < 0.05


@each_network
def test_a_set_twice_has_the_loss_of_the_set(network: str) -> None:
    loss, (preds, target) = built(network, "set"), examples()
    same(loss(preds.repeat(2, 1, 1), target.repeat(2, 1)), loss(preds, target))


EXTREMES: dict[str, Tensor] = {
    "infinite": torch.tensor([[0.0, INF, 1, 2, -INF], [0, 1, INF, -INF, 3]]),
    "target masked": torch.tensor([[-INF, -INF, 1, 2, 0], [-INF, -INF, 3, 1, 0]]),
    "all masked": torch.full((2, 5), -INF),
    "one open": torch.tensor([[-INF, 0, -INF, -INF, -INF], [-INF, 0, -INF, -INF, -INF]]),
    "no span possible": torch.tensor([[-INF, -INF, -INF, 0.0, 1], [0, 1, -INF, -INF, -INF]]),
    "ties": torch.zeros(2, 5),
    "large": torch.tensor([[1e4, -1e4, 1e4, 0, 0], [-1e4, 1e4, 0, 1e4, 0]]),
    "start far behind end": torch.tensor([[0.0, 0, 0, 0, 500], [500, 0, 0, 0, 0]]),
}


@each_network
@each_level
@pytest.mark.parametrize("scripted", [False, True])
@pytest.mark.parametrize("extreme", EXTREMES)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_extreme_logits_give_finite_losses_and_gradients(
    network: str, level: str, scripted: bool, extreme: str
) -> None:
    preds, target = examples(4, 5)
    preds[0], target[0] = EXTREMES[extreme], torch.tensor([0, 1])
    loss = scripted_once(network, level) if scripted else built(network, level)
    gradient = finite_gradient(loss, preds, target)
    assert (gradient[1:].flatten(1).norm(dim=1) > 0).any()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_least_shares_of_spans_at_the_target_give_finite_gradients_scripted() -> None:
    scripted = torch.jit.script(expected_overlaps)
    behind = torch.arange(0.0, 120.0, 5.0)[:, None, None]  # by so much are all spans at the target behind the best
    preds = torch.cat([torch.zeros(len(behind), 2, 3), behind.expand(-1, 2, 2)], 2)
    for _ in range(4):  # scripted code is compiled anew after its first calls
        preds = preds.detach().requires_grad_()
        scripted(preds, torch.tensor([[0, 1]] * len(behind))).sum().backward()
        assert preds.grad is not None
        assert preds.grad.isfinite().all()


@each_network
@each_level
def test_targets_that_are_no_spans_of_the_passage_give_finite_losses(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples()
    assert losses_of(loss, 100 * preds, target.flip(1)).isfinite().all()
    assert losses_of(loss, 100 * preds, target + 100).isfinite().all()


def expectations(logits: Tensor, target: list[int]) -> dict[str, float]:
    """What `expected_overlaps` returns for one example, summed over all spans one by one in double precision."""
    (first, last), n = target, logits.shape[1]
    start, end = logits.double().tolist()
    best = max(start[s] + end[e] for s in range(n) for e in range(s, n))
    weight = {(s, e): math.exp(start[s] + end[e] - best) for s in range(n) for e in range(s, n)}
    total = sum(weight.values())
    common = {(s, e): max(0, min(e, last) - max(s, first) + 1) for s, e in weight}
    touching = sum(w for span, w in weight.items() if common[span])
    in_common = sum(w * common[span] for span, w in weight.items()) / max(touching, 1e-300)
    length = sum(w * (e - s + 1) for (s, e), w in weight.items() if common[s, e]) / max(touching, 1e-300)
    reached, right = touching / total, last - first + 1
    return {
        "recall": reached * in_common / right,
        "precision": reached * in_common / max(length, 1),
        "f1": reached * 2 * in_common / (max(length, 1) + right),
        "exact": weight[first, last] / total,
        "start": sum(w for (s, _), w in weight.items() if s == first) / total,
        "end": sum(w for (_, e), w in weight.items() if e == last) / total,
    }


@pytest.mark.parametrize("factor", [0.1, 1.0, 10.0])
def test_overlaps_are_expectations_over_all_spans(factor: float) -> None:
    preds, target = examples(40, 8)
    preds[:8, :, 6:] = -1e4
    target[:8] = target[:8].clamp(max=5)
    found = expected_overlaps(factor * preds, target)
    for row in range(40):
        expected = expectations(factor * preds[row], target[row].tolist())
        assert found[row].tolist() == pytest.approx([expected[k] for k in Overlap.PER_TEMPERATURE], abs=1e-5), row


@pytest.mark.parametrize("end_first", [0.0, 55.0, 60.0, 75.0])
def test_overlaps_are_right_where_start_and_end_alone_contradict_each_other(end_first: float) -> None:
    start, end = torch.zeros(6), torch.zeros(6)
    start[4], end[1] = 60.0, end_first  # the best start comes after the best end
    target = [0, 1]
    found = expected_overlaps(torch.stack([start, end])[None], torch.tensor([target]))[0].tolist()
    expected = expectations(torch.stack([start, end]), target)
    assert found == pytest.approx([expected[k] for k in Overlap.PER_TEMPERATURE], abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_sharp_features_are_those_of_the_predicted_span(seed: int) -> None:
    loss = built("overlap", "sample", temperatures=[SHARP])
    preds, target = examples(100, 12, seed)
    preds = preds.argsort(2).argsort(2) * torch.tensor([[12.0], [1.0]])  # no two spans nearly equal
    spans = tasks.get("span").decode(Examples(preds, target), "positions")
    features = loss.features(preds, target, 1)
    for row, ((s, e), (first, last)) in enumerate(zip(*(a.tolist() for a in spans), strict=True)):
        ours, right = set(range(s, e + 1)), set(range(first, last + 1))
        common = len(ours & right)
        expected = [
            common / len(right),
            common / len(ours),
            2 * common / (len(ours) + len(right)),
            float(ours == right),
            float(s == first),
            float(e == last),
            1 / len(right),
        ]
        assert features[row, :7].tolist() == pytest.approx(expected, abs=0.02)


def test_the_features_of_a_set_are_the_means_of_its_examples() -> None:
    loss, (preds, target) = built("overlap", "set"), examples()
    same(loss.features(preds, target, 4), loss.features(preds, target, 1).view(3, 4, -1).mean(1))


@pytest.mark.parametrize("n_hidden", [1, 2, 3])
def test_the_loss_falls_with_everything_that_is_seen(n_hidden: int) -> None:
    loss = built("overlap", "sample", n_hidden=n_hidden)
    for seed in range(5):
        features = torch.rand(50, len(loss.network.feature_names()), generator=torch.Generator().manual_seed(seed))
        features.requires_grad_()
        (slopes,) = torch.autograd.grad(loss.network.score(features, 1).sum(), features)
        assert (slopes[:, :-2] < 0).all()
        assert (slopes[:, -2:] != 0).any()


def test_the_paper_s_network_sees_the_probabilities_of_the_target_s_start_and_end_alone() -> None:
    loss, (preds, target) = built("target_attention"), examples()
    features = loss.features(preds, target, 1)
    rows = torch.arange(12)
    for column, which in ((0, preds[:, 0]), (1, preds[:, 1])):
        torch.testing.assert_close(features[:, column], which.softmax(1)[rows, target[:, column]])
    swapped = loss.network.score(features.flip(1), 1)
    assert differs(swapped, loss.network.score(features, 1))  # it knows which is which


def place_features(predicted: list[list[int]], target: list[list[int]], n_positions: int = 40) -> dict[str, float]:
    """Features of a set whose predicted spans are certain."""
    loss = built("places", "set", temperatures=[0.02])
    preds = torch.zeros(len(predicted), 2, n_positions).scatter_(2, torch.tensor(predicted)[..., None], 10.0)
    features = loss.features(preds, torch.tensor(target), len(predicted))[0]
    return dict(zip(loss.network.feature_names(), features.tolist(), strict=True))


def test_places_are_what_their_names_say() -> None:
    found = place_features([[10, 19], [5, 5]], [[12, 15], [5, 5]])
    expected = {
        "error of start": -math.log(2 / 2 + 0.05),
        "error of end": -math.log(4 / 2 + 0.05),
        "log error of end": -math.log(5) / 2,
        "capped error of end": -4 / 20 / 2,
        "start late": -math.log(0.05),
        "start early": -math.log(2 / 2 + 0.05),
        "end late": -math.log(4 / 2 + 0.05),
        "end by length": -math.log(4 / 4 / 2 + 0.05),
        "start right": 0.5,
        "both within 0.5": 0.5,
        "both within 5.5": 1.0,
        "overlap": (0.4 + 1) / 2,
        "f1": (8 / 14 + 1) / 2,
        "recall": 1.0,
        "precision": (0.4 + 1) / 2,
        "overlap above 0.5": 0.5,
        "overlap above 0.3": 1.0,
        "touching": 1.0,
        "inside": 0.5,
        "contains": 1.0,
        "contains, at most 2 long": 0.5,
    }
    for name, value in expected.items():
        assert found[f"{name} at 0.02"] == pytest.approx(value, abs=0.05), name
    assert found["log ratio of lengths at 0.02"] == pytest.approx(math.log(2.5) / 2, abs=0.02)
    assert found["log length of target"] == pytest.approx(math.log(4) / 2, abs=1e-5)
    assert found["log positions"] == pytest.approx(math.log(40), abs=1e-5)


def test_spans_that_do_not_touch_have_no_overlap() -> None:
    found = place_features([[20, 22]], [[2, 4]])
    for name in ("overlap", "f1", "recall", "precision", "touching", "contains", "inside"):
        assert found[f"{name} at 0.02"] == pytest.approx(0, abs=1e-3), name
    assert found["overlap of hull at 0.02"] == pytest.approx(-15 / 21, abs=0.02)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_places_see_the_order_of_logits_at_any_scale(scale: float) -> None:
    loss, (preds, target) = built("places", "set", temperatures=[0.02]), examples()
    same(loss.features(scale * preds, target, 12), loss.features(preds, target, 12))


def test_an_unknown_head_of_places_is_refused() -> None:
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'unknown'"):
        built("places", "set", head="unknown")
