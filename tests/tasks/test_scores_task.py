from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples

TASK = tasks.get("scores")
each_view = pytest.mark.parametrize("view", ["binary", "multilabel"])


def generated(severity: float, n_points: int = 4, set_size: int = 64, seed: int = 0, view: str = "binary") -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size, view)


@each_view
@pytest.mark.parametrize("set_size", [1, 2, 7])
def test_generated_examples_have_the_task_s_shapes_and_dtypes(view: str, set_size: int) -> None:
    for seed in range(10):
        made = generated(0.5, 3, set_size, seed, view)
        assert made.preds.shape == made.target.shape
        assert len(made) == 3 * set_size
        assert made.preds.ndim == (1 if view == "binary" else 2)
        assert (made.preds.dtype, made.target.dtype) == (torch.float32, torch.int64)
        assert made.preds.isfinite().all()
        TASK.check({"preds": made.preds.numpy(), "target": made.target.numpy()})


def test_the_first_view_is_the_default() -> None:
    default = TASK.generate(torch.tensor([0.3]), torch.Generator().manual_seed(0), 16)
    assert torch.equal(default.preds, generated(0.3, 1, 16).preds)


def test_there_are_from_two_labels_to_twenty_and_fewer_in_large_sets() -> None:
    n_labels = [generated(0.5, 1, 16, seed, "multilabel").preds.shape[1] for seed in range(80)]
    assert (min(n_labels), max(n_labels)) == (2, 20)
    assert max(generated(0.5, 1, 512, seed, "multilabel").preds.shape[1] for seed in range(30)) == 4


@each_view
def test_the_generator_decides_everything(view: str) -> None:
    state = torch.get_rng_state()
    first, again, other = (generated(0.5, seed=seed, view=view) for seed in (0, 0, 1))
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


def sets(severity: float, n_sets: int, set_size: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    made = generated(severity, n_sets, set_size, seed)
    return TASK.points(made, "binary", set_size)


@pytest.mark.parametrize("score", [f1_score, roc_auc_score, average_precision_score])
@pytest.mark.slow
def test_metrics_fall_with_the_severity(score: Any) -> None:
    def mean(severity: float) -> float:
        points = [(p, t) for p, t in sets(severity, 200, 64) if 0 < t.sum() < 64]
        return float(np.mean([score(t, p >= 0.5 if score is f1_score else p) for p, t in points]))

    found = [mean(severity) for severity in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] < {f1_score: 0.1, roc_auc_score: 0.45, average_precision_score: 0.2}[score]


def test_positives_are_few_or_many_and_seldom_missing() -> None:
    share = np.array([t.mean() for _, t in sets(0.5, 500, 200)])
    assert share.min() < 0.015
    assert share.max() > 0.55
    for set_size in (16, 32):
        alike = np.mean([t.min() == t.max() for _, t in sets(0.5, 1000, set_size)])
        assert 0 < alike < 0.05


def test_the_share_of_positives_does_not_tell_the_severity() -> None:
    easy, hard = (np.mean([t.mean() for _, t in sets(severity, 500, 100)]) for severity in (0.0, 1.0))
    assert easy == pytest.approx(hard, abs=0.02)


def test_the_labels_of_a_single_example_are_seldom_alike() -> None:
    target = generated(0.5, 500, 1, 3, "multilabel").target
    assert (target.amin(1) == target.amax(1)).double().mean() < 0.06


def test_how_far_the_logits_spread_does_not_tell_the_quality() -> None:
    spread = generated(0.5, 200, 100).preds.view(200, 100).std(1)
    assert spread.quantile(0.9) > 5 * spread.quantile(0.1)


def test_probabilities_of_generated_logits_are_below_1() -> None:
    assert generated(0.0, 500, 100).preds.abs().max() < 36


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    examples = Examples(torch.tensor([0.0, 2.0, -30.0], dtype=dtype), torch.tensor([1, 0, 1]))
    preds, target = TASK.decode(examples, "binary")
    np.testing.assert_allclose(preds, [0.5, 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(30))], rtol=1e-12)
    np.testing.assert_array_equal(target, [1, 0, 1])
    assert target.dtype == np.int64
    assert TASK.regular_loss(examples).isfinite().all()


def test_probabilities_near_1_keep_the_order_of_the_logits() -> None:
    preds, _ = TASK.decode(Examples(torch.tensor([20.0, 25.0, 30.0, 36.0]), torch.zeros(4)), "binary")
    assert (np.diff(preds) > 0).all()


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.float32])
def test_any_dtype_of_target_is_the_same_target(dtype: torch.dtype) -> None:
    preds, target = torch.randn(4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0])
    examples = Examples(preds, target.to(dtype))
    np.testing.assert_array_equal(TASK.decode(examples, "binary")[1], target.numpy())
    torch.testing.assert_close(TASK.regular_loss(examples), TASK.regular_loss(Examples(preds, target)))


def test_a_single_label_fits_both_views() -> None:
    flat, column = torch.tensor([1.0, -1.0]), torch.tensor([[1.0], [-1.0]])
    for preds in (flat, column):
        examples = Examples(preds, (preds > 0).long())
        assert TASK.decode(examples, "binary")[0].shape == (2,)
        assert TASK.decode(examples, "multilabel")[0].shape == TASK.decode(examples, "multilabel")[1].shape == (2, 1)


def test_labels_do_not_fit_the_binary_view() -> None:
    examples = Examples(torch.zeros(4, 3), torch.zeros(4, 3))
    with pytest.raises(OutputsError, match=re.escape("preds has 3 labels, but the metric has the view 'binary'")):
        TASK.decode(examples, "binary")


def test_points_are_sets_or_the_labels_of_single_examples() -> None:
    examples = Examples(torch.arange(8.0).view(4, 2) - 4, torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]))
    assert [p.shape for p, _ in TASK.points(examples, "multilabel", 2)] == [(2, 2), (2, 2)]
    assert [t.tolist() for _, t in TASK.points(examples, "multilabel", None)] == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_the_regular_loss_is_binary_cross_entropy_averaged_over_labels() -> None:
    preds = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.tensor([[0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]])
    right = torch.where(target == 1, preds.sigmoid(), 1 - preds.sigmoid())
    found = TASK.regular_loss(Examples(preds, target))
    torch.testing.assert_close(found, -right.log().mean(1))
    torch.testing.assert_close(TASK.regular_loss(Examples(preds[:, 0], target[:, 0])), -right[:, 0].log())
    found.sum().backward()
    assert preds.grad is not None
    assert (preds.grad != 0).all()


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((3, 2), np.float32), "target": np.array([[0, 1], [1, 1], [0, 0]]), **changed}


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(target=arrays()["target"].astype(dtype)))
    TASK.check({"preds": np.zeros(3, np.float16), "target": np.array([0, 1, 0], dtype)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros((3, 2), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"preds": np.zeros((3, 2, 1))}, "preds must have shape (n,) or (n, n_labels), got (3, 2, 1)"),
        ({"target": np.zeros(3)}, "target must have the shape of preds (3, 2), got (3,)"),
        ({"target": np.array([[0, 1], [0, 2], [3, 0]])}, "target holds 2 in row 1, label 1; expected 0 or 1"),
        ({"preds": np.zeros(2), "target": np.array([0, -100])}, "target holds -100 in row 1; expected 0 or 1"),
        ({"target": np.full((3, 2), 0.5)}, "target holds 0.5 in row 0, label 0; expected 0 or 1"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def in_regime(regime: str, view: str = "binary", set_size: int = 64) -> tuple[Examples, Examples]:
    """Points of trained models, and the same in a regime."""
    made = TASK.generate(torch.rand(200, generator=torch.Generator().manual_seed(1)), torch.Generator(), set_size, view)
    return made, TASK.in_regime(regime, made, set_size, torch.Generator().manual_seed(2))


@each_view
def test_untrained_logits_are_nearly_equal_in_the_same_order_but_for_ties(view: str) -> None:
    made, changed = in_regime("untrained", view)
    before, after = (examples.preds.view(200, 64, -1) for examples in (made, changed))
    smaller = after.std(1) / before.std(1).clamp_min(1e-6)
    assert smaller.median() < 0.1
    assert smaller.quantile(0.95) < 0.4
    order = before.argsort(1)
    assert (after.gather(1, order).diff(dim=1) >= -1e-6).all()
    sides = (after >= 0).float().mean(1)
    one_side = ((sides == 0) | (sides == 1)).float().mean()
    assert 0.2 < one_side < 0.7
    assert 0.01 < (after == 0).float().mean() < 0.2


@each_view
def test_collapsed_logits_are_nearly_all_on_one_side_in_the_same_order(view: str) -> None:
    made, changed = in_regime("collapsed", view)
    before, after = (examples.preds.view(200, 64, -1) for examples in (made, changed))
    assert (after.gather(1, before.argsort(1)).diff(dim=1) >= -1e-6).all()
    n_across = torch.minimum((after >= 0).sum(1), (after <= 0).sum(1)).float()
    assert 0.4 < (n_across == 0).float().mean() < 0.6
    assert n_across.quantile(0.9) <= 0.1 * 64 + 1
    assert 0.1 < ((after >= 0).float().mean(1) > 0.5).float().mean() < 0.5  # most predict no positive


def test_the_labels_of_a_single_example_are_a_set_in_each_regime() -> None:
    for regime in TASK.regimes:
        made, changed = in_regime(regime, "multilabel", 1)
        assert changed.preds.shape == made.preds.shape
        assert (changed.preds.gather(1, made.preds.argsort(1)).diff(dim=1) >= -1e-6).all()


def test_less_confident_logits_keep_their_order_and_sides_and_no_two_become_equal() -> None:
    made = generated(0.0, 50)
    changed = TASK.perturbations(made, torch.Generator())["how sure the probabilities are"]
    order = made.preds.argsort()
    (before, _), (after, _) = (TASK.decode(e, "binary") for e in (made, changed))
    assert torch.equal(changed.preds.argsort(), order)
    np.testing.assert_array_equal(np.diff(after[order]) == 0, np.diff(made.preds.numpy()[order]) == 0)
    np.testing.assert_array_equal(after >= 0.5, before >= 0.5)
    assert np.abs(after - before).max() > 0.1
