from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from network_cases import NetworkCase, differs, each_level, losses_of
from sklearn import metrics
from torch import Tensor

from autosurrogate.surrogates import scores
from autosurrogate.testing.losses import finite_gradient

SETTINGS: dict[str, dict[str, Any]] = {
    "order": {"temperatures": [1.0, 0.1]},
    "counts": {"thresholds": [0.5, 0.2], "temperatures": [1.0, 0.1]},
    "top": {"temperatures": [1.0, 0.1], "tops": [30, 3]},
    "sweep": {"thresholds": [0.8, 0.5, 0.2], "temperatures": [0.3]},
    "operating_curve": {"temperatures": [1.0, 0.1]},
    "label_sets": {"temperatures": [1.0, 0.1]},
    "target_probability": {"width": 16, "n_hidden": 2},
}
SHARP = 1e-3

each_network = pytest.mark.parametrize("network", SETTINGS)
of_ranks = pytest.mark.parametrize("network", ["order", "top"])


def examples(n: int = 24, n_labels: int | None = None, seed: int = 0, share: float = 0.4) -> tuple[Tensor, Tensor]:
    """Logits that are somewhat right, all different, and targets with positives and negatives of each label."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n,) if n_labels is None else (n, n_labels)
    target = (torch.rand(shape, generator=generator) < share).long()
    if n > 1:
        target[0], target[1] = 0, 1
    return 2 * torch.randn(shape, generator=generator) + target, target


def feature(loss: Any, name: str, preds: Tensor, target: Tensor) -> float:
    """One feature of a set."""
    columns: list[str] = loss.network.feature_names()
    return float(loss.features(preds, target, len(preds))[0, columns.index(name)])


def smallest(level: str) -> list[tuple[Tensor, Tensor]]:
    """Single examples have labels."""
    return [*(examples(n) for n in (1, 2) if level == "set"), *(examples(*sizes) for sizes in ((1, 1), (1, 5), (5, 1)))]


CASE = NetworkCase(
    "scores",
    SETTINGS,
    lambda: examples(n_labels=3),
    set_size=6,
    target_dtypes=[torch.bool, torch.uint8, torch.int16, torch.uint16, torch.float32, torch.float16],
    dtype_examples=lambda: examples(n_labels=4),
    smallest=smallest,
)


def built(network: str, level: str = "set", **changed: Any) -> Any:
    return CASE.built(network, level, **changed)


test_every_property = CASE.test()


@each_network
def test_an_example_is_the_set_of_its_labels(network: str) -> None:
    preds, target = examples(1, 24)
    if network == "target_probability":
        pytest.skip("sees the mean over the labels of an example")
    alone, together = built(network, "sample"), built(network, "set")
    torch.testing.assert_close(alone.per_sample(preds, target)[0], together(preds[0], target[0]))


@each_network
@each_level
def test_the_order_of_labels_does_not_matter(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples(n_labels=5)
    order = torch.tensor([3, 0, 4, 2, 1])
    torch.testing.assert_close(
        losses_of(loss, preds[:, order], target[:, order]), losses_of(loss, preds, target), atol=1e-5, rtol=1e-5
    )


@each_network
def test_a_single_label_may_have_an_axis_of_its_own(network: str) -> None:
    loss, (preds, target) = built(network), examples()
    torch.testing.assert_close(loss(preds[:, None], target[:, None]), loss(preds, target))


@each_network
def test_a_label_twice_is_the_label_once(network: str) -> None:
    loss, (preds, target) = built(network), examples()
    if network == "label_sets":
        pytest.skip("sees how many labels an example has")
    torch.testing.assert_close(
        loss(preds[:, None].expand(-1, 2), target[:, None].expand(-1, 2)), loss(preds, target), atol=1e-5, rtol=1e-5
    )


@of_ranks
def test_ranks_see_the_order_however_far_the_logits_spread_and_wherever_they_lie(network: str) -> None:
    loss, (preds, target) = built(network), examples(n_labels=2)
    expected = loss(preds, target)
    for moved in (
        10 * preds,
        0.3 * preds,
        1e-3 * preds,
        preds + 5,
        preds * torch.tensor([1.0, 4.0]) - torch.tensor([3.0, 0.0]),
    ):
        torch.testing.assert_close(loss(moved, target), expected, atol=2e-3, rtol=2e-3)
    assert differs(loss(-preds, target), expected)


def test_counts_see_the_side_however_far_the_logits_spread() -> None:
    loss, (preds, target) = built("counts", thresholds=[0.5]), examples()
    for scale in (10, 1e-3):
        torch.testing.assert_close(loss(scale * preds, target), loss(preds, target), atol=5e-3, rtol=5e-3)
    assert differs(loss(preds + 5, target), loss(preds, target))


@each_network
def test_features_of_a_set_twice_as_large_are_alike(network: str) -> None:
    loss, (preds, target) = built(network), examples(200)
    columns = [name for name in loss.network.feature_names() if not name.startswith(("precision at", "1 /"))]
    index = [loss.network.feature_names().index(name) for name in columns]
    once, twice = (
        loss.features(p, t, len(p)).mean(0) for p, t in ((preds, target), (preds.repeat(2), target.repeat(2)))
    )
    torch.testing.assert_close(twice[index], once[index], atol=0.02, rtol=0)


@each_network
@each_level
@pytest.mark.parametrize("kind", ["all positive", "all negative", "tied", "tied at 0"])
def test_sets_that_tell_nothing_give_finite_gradients(network: str, level: str, kind: str) -> None:
    preds, target = examples(6, 4)
    if kind.startswith("all"):
        target = torch.full_like(target, int(kind == "all positive"))
    else:
        preds = torch.full_like(preds, 0.0 if kind == "tied at 0" else -2.5)
    finite_gradient(built(network, level), preds, target)


@each_network
@each_level
def test_extreme_logits_give_finite_gradients(network: str, level: str) -> None:
    preds, target = examples(n_labels=4)
    preds[0], preds[1], preds[2], preds[3] = -1e4, 1e4, -math.inf, math.inf
    finite_gradient(built(network, level), preds, target)


@each_network
def test_fewer_settings_give_some_of_the_features(network: str) -> None:
    few = {name: values[:1] for name, values in SETTINGS[network].items() if isinstance(values, list)}
    wide, narrow = built(network), built(network, **few)
    preds, target = examples()
    index = [wide.network.feature_names().index(name) for name in narrow.network.feature_names()]
    torch.testing.assert_close(wide.features(preds, target, 24)[:, index], narrow.features(preds, target, 24))


@each_network
def test_gradients_are_those_of_the_features(network: str) -> None:
    network_, (preds, target) = built(network).network, examples(8, 2)

    def features(logits: Tensor) -> Tensor:
        found: Tensor = network_.features(logits, target.double().view(1, 8, 2), 8)
        return found

    assert torch.autograd.gradcheck(features, preds.double().view(1, 8, 2).requires_grad_(), atol=1e-4)


@each_network
@each_level
def test_scripted_it_is_the_same(network: str, level: str) -> None:
    loss, (preds, target) = built(network, level), examples(n_labels=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        scripted: Any = torch.jit.script(loss)  # type: ignore[no-untyped-call]
    gradients = []
    for one in (loss, scripted):
        moved = preds.clone().requires_grad_()
        one(moved, target).backward()
        gradients.append(moved.grad)
    torch.testing.assert_close(scripted(preds, target), loss(preds, target))
    torch.testing.assert_close(*gradients)


def odds(share: float) -> float:
    return math.log((share + 0.01) / (1.01 - share)) / 4


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("n", [16, 128])
def test_sharp_ranks_give_roc_auc_and_average_precision(n: int, share: float) -> None:
    loss, (preds, target) = built("order", temperatures=[SHARP]), examples(n, share=share, seed=n)
    preds = preds.argsort().argsort().float()  # no two nearly equal
    auc, precision = (feature(loss, f"{name} by {SHARP:g}", preds, target) for name in ("roc auc", "average precision"))
    assert auc == pytest.approx(odds(metrics.roc_auc_score(target, preds)), abs=2e-3)
    assert precision == pytest.approx(odds(metrics.average_precision_score(target, preds)), abs=2e-3)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_of_many_positives_some_stand_for_all(share: float) -> None:
    loss, (preds, target) = built("order", temperatures=[1e-4]), examples(4000, share=share)
    preds = preds.argsort().argsort().float()
    auc, precision = (feature(loss, f"{name} by 0.0001", preds, target) for name in ("roc auc", "average precision"))
    assert auc == pytest.approx(odds(metrics.roc_auc_score(target, preds)), abs=5e-3)
    assert precision == pytest.approx(odds(metrics.average_precision_score(target, preds)), abs=5e-3)


def test_ties_are_halves() -> None:
    loss = built("order", temperatures=[SHARP])
    preds, target = torch.tensor([1.0, 1.0, 0.0, 2.0]), torch.tensor([1, 0, 0, 0])
    assert feature(loss, f"roc auc by {SHARP:g}", preds, target) == pytest.approx(odds(0.5), abs=1e-4)


@pytest.mark.parametrize("k", [1, 10, 30, 100])
@pytest.mark.parametrize("n", [20, 300])
def test_sharp_ranks_give_precision_among_the_first(n: int, k: int) -> None:
    loss, (preds, target) = built("top", temperatures=[1e-4], tops=[k]), examples(n, share=0.3)
    preds = preds.argsort().argsort().float()
    first = preds.topk(min(k, n)).indices
    found = feature(loss, f"precision at {k} by 0.0001", preds, target)
    assert found == pytest.approx(float(target[first].double().mean()), abs=0.01)


@pytest.mark.parametrize("threshold", [0.5, 0.2])
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_sharp_counts_give_what_hard_ones_do(threshold: float, share: float) -> None:
    loss = built("counts", thresholds=[threshold], temperatures=[1e-5])
    preds, target = examples(200, share=share)
    called = preds.sigmoid() >= threshold
    expected = {
        "recall": metrics.recall_score(target, called),
        "specificity": metrics.recall_score(target, called, pos_label=0),
        "precision": metrics.precision_score(target, called),
        "f1": metrics.f1_score(target, called),
        "mcc": metrics.matthews_corrcoef(target, called),
        "f1 of all": metrics.f1_score(target, called),
    }
    for name, value in expected.items():
        assert feature(loss, f"{name} at {threshold:g} by 1e-05", preds, target) == pytest.approx(value, abs=5e-3), name
    assert feature(loss, "prevalence", preds, target) == pytest.approx(float(target.double().mean()))


@pytest.mark.parametrize("n_hidden", [1, 2])
def test_no_count_that_rises_makes_the_loss_rise(n_hidden: int) -> None:
    loss = built("counts", thresholds=[0.5], temperatures=[0.3, 0.03], n_hidden=n_hidden)
    features = torch.rand(64, len(loss.network.feature_names()), requires_grad=True)
    (slope,) = torch.autograd.grad(loss.network.score(features, 1).sum(), features)
    qualities, prevalence = slope.split([features.shape[1] - 1, 1], 1)
    assert qualities.max() <= 0
    assert qualities.min() < 0
    assert prevalence.abs().max() > 0  # it may count, in any direction


def test_counts_of_labels_are_averaged_and_pooled() -> None:
    loss = built("counts", thresholds=[0.5], temperatures=[1e-5])
    preds, target = examples(100, 6)
    target[:, 5], preds[:, 5] = 0, -1.0  # a label that is neither there nor called: not defined, and left out
    called = preds > 0
    macro = metrics.f1_score(target[:, :5], called[:, :5], average="macro")
    micro = metrics.f1_score(target, called, average="micro")
    assert feature(loss, "f1 at 0.5 by 1e-05", preds, target) == pytest.approx(macro, abs=1e-3)
    assert feature(loss, "f1 of all at 0.5 by 1e-05", preds, target) == pytest.approx(micro, abs=1e-3)


def test_the_order_of_labels_is_averaged_over_those_with_both_classes() -> None:
    loss = built("order", temperatures=[SHARP])
    preds, target = examples(50, 4)
    target[:, 3] = 1
    mean = metrics.roc_auc_score(target[:, :3], preds[:, :3], average="macro")
    assert feature(loss, f"roc auc by {SHARP:g}", preds, target) == pytest.approx(odds(mean), abs=5e-3)


def test_the_paper_s_network_sees_the_probability_of_the_truth_alone() -> None:
    loss, (preds, target) = built("target_probability"), examples(12, 3)
    right = torch.where(target == 1, preds.sigmoid(), (-preds).sigmoid())
    torch.testing.assert_close(loss.features(preds, target, 4), right.mean(1, keepdim=True))


def test_a_large_batch_costs_no_square_of_it() -> None:
    preds, target = examples(100_000, share=0.3)  # its square would take 40 GB
    preds.requires_grad_()
    built("order")(preds, target).backward()
    assert preds.grad is not None
    assert preds.grad.isfinite().all()


@pytest.mark.parametrize("network", [scores.Order([0.3]), scores.Counts([0.5], [0.3])])
def test_logits_that_lie_close_together_have_no_larger_gradient(network: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    shape, target = torch.randn(64, generator=generator), (torch.rand(64, generator=generator) < 0.3).long()
    loss = scores.SetLoss(network)
    norms = []
    for scale in (0.1, 1.0):
        logits = (scale * shape).requires_grad_(True)
        norms.append(torch.autograd.grad(loss(logits, target), logits)[0].norm())
    assert 0.3 * norms[1] < norms[0] < 1.5 * norms[1]


def hard(network: str, preds: Tensor, target: Tensor) -> dict[str, float]:
    """Features of a set by name, at a temperature at which all is counted hard."""
    loss = built(network, temperatures=[1e-4])
    names = [name.removesuffix(" by 0.0001") for name in loss.network.feature_names()]
    return dict(zip(names, loss.features(preds, target, len(preds))[0].tolist(), strict=True))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_operating_curve_holds_what_metrics_are_made_of(share: float) -> None:
    preds, target = examples(400, share=share)
    found, probability = hard("operating_curve", preds, target), preds.double().sigmoid()
    for threshold in (0.1, 0.5, 0.9):
        called = probability >= threshold
        expected = {
            "recall": metrics.recall_score(target, called),
            "specificity": metrics.recall_score(target, called, pos_label=0),
            "precision": metrics.precision_score(target, called),
            "negative precision": metrics.precision_score(target, called, pos_label=0),
            "number": 1 - abs(float(called.double().mean() - target.double().mean())),
        }
        for name, value in expected.items():
            assert found[f"{name} above {threshold:g}"] == pytest.approx(value, abs=0.01), name
    false, true, _ = metrics.roc_curve(target, preds, drop_intermediate=False)
    for rate in (0.0, 0.1, 0.3):
        assert found[f"recall at false-positive rate {rate:g}"] == pytest.approx(true[false <= rate].max(), abs=0.03)
    for recall in (0.25, 0.75, 1.0):
        rate = 1 - found[f"specificity at recall {recall:g}"]
        assert rate == pytest.approx(false[true >= recall - 1e-9].min(), abs=0.03)
    assert found["least cost 1"] == pytest.approx((true - false).max(), abs=0.05)
    precision, recalls, _ = metrics.precision_recall_curve(target, preds)
    best = np.max(2 * precision * recalls / np.maximum(precision + recalls, 1e-9))
    assert found["best f1"] == pytest.approx(best, abs=0.05)
    assert found["roc auc"] == pytest.approx(odds(metrics.roc_auc_score(target, preds)), abs=0.01)
    assert found["average precision"] == pytest.approx(odds(metrics.average_precision_score(target, preds)), abs=0.03)
    positives, negatives = probability[target == 1], probability[target == 0]
    assert found["probability of positives"] == pytest.approx(float(positives.mean()), abs=1e-5)
    assert found["squared error of negatives"] == pytest.approx(-float(negatives.square().mean()), abs=1e-5)
    assert found["log-likelihood of positives"] == pytest.approx(-math.log1p(float(-positives.log().mean())), abs=1e-5)
    assert found["excess of the mean"] == pytest.approx(float((probability - target).mean()), abs=1e-5)
    assert found["uncertainty"] == pytest.approx(float((probability * (1 - probability)).mean()), abs=1e-5)


def test_bins_of_probability_are_compared_with_the_targets() -> None:
    preds, target = examples(400)
    probability = preds.double().sigmoid()
    edges = torch.tensor([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    bins = torch.bucketize(probability, edges)
    errors = [float((probability - target)[bins == i].sum().abs()) for i in range(len(edges) + 1)]
    assert hard("operating_curve", preds, target)["calibration of bins"] == pytest.approx(
        1 - sum(errors) / 400, abs=1e-3
    )


def test_label_sets_hold_what_metrics_of_examples_are_made_of() -> None:
    preds, target = examples(60, 6)
    target[:, 2] |= target.sum(1) == 0  # each example has a label, and none has all
    target[:, 3] &= target.sum(1) < 6
    found, called = hard("label_sets", preds, target), (preds > 0).long()
    expected = {
        "recall of examples": metrics.recall_score(target, called, average="samples"),
        "f1 of examples": metrics.f1_score(target, called, average="samples"),
        "jaccard of examples": metrics.jaccard_score(target, called, average="samples"),
        "agreement of examples": 1 - metrics.hamming_loss(target, called),
        "all right of examples": metrics.accuracy_score(target, called),
        "number of examples": 1 - float((called.sum(1) - target.sum(1)).abs().double().mean()) / 6,
        "pairs of examples": 1 - metrics.label_ranking_loss(target, preds),
        "first of examples": float(target.gather(1, preds.argmax(1, keepdim=True)).double().mean()),
        "average precision of examples": metrics.label_ranking_average_precision_score(target, preds),
        "depth of examples": 1 - metrics.coverage_error(target, preds) / 6,
        "worst f1": metrics.f1_score(target, called, average=None).min(),
        "f1 by prevalence": metrics.f1_score(target, called, average="weighted"),
        "f1 of all": metrics.f1_score(target, called, average="micro"),
        "worst roc auc": metrics.roc_auc_score(target, preds, average=None).min(),
        "best roc auc": metrics.roc_auc_score(target, preds, average=None).max(),
        "roc auc": metrics.roc_auc_score(target, preds, average="macro"),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.04), name


@pytest.mark.parametrize("network", ["operating_curve", "label_sets"])
def test_a_monotone_head_falls_with_each_quality_and_a_free_one_does_not(network: str) -> None:
    for head in ("monotone", "free"):
        loss = built(network, head=head)
        names = loss.network.feature_names()
        end = names.index("prevalence")
        features = torch.rand(64, len(names), requires_grad=True)
        (slope,) = torch.autograd.grad(loss.network.score(features, 1).sum(), features)
        assert (slope[:, :end] < 0).any()
        assert bool((slope[:, :end] > 0).any()) == (head == "free")
    with pytest.raises(ValueError, match="head must be 'monotone' or 'free', got 'linear'"):
        built(network, head="linear")
