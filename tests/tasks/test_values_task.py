from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autosurrogate import tasks
from autosurrogate.errors import OutputsError
from autosurrogate.examples import Examples
from autosurrogate.metrics.ccc import ccc
from autosurrogate.metrics.median_absolute_error import median_absolute_error
from autosurrogate.metrics.r2 import r2
from autosurrogate.metrics.spearman import spearman

TASK = tasks.get("values")


def generated(severity: float, n_points: int = 8, set_size: int = 64, seed: int = 0) -> Examples:
    return TASK.generate(torch.full((n_points,), severity), torch.Generator().manual_seed(seed), set_size)


def means(severity: float) -> dict[str, float]:
    points = [p for seed in range(12) for p in TASK.points(generated(severity, seed=seed), "values", 64)]
    metrics = {"r2": r2, "spearman": spearman, "ccc": ccc, "error": median_absolute_error}
    return {name: float(np.mean([metric(*p) for p in points])) for name, metric in metrics.items()}


def test_generated_examples_have_the_task_s_shapes_and_dtypes() -> None:
    for seed in range(10):
        made = generated(0.5, 3, 7, seed)
        assert made.preds.shape == made.target.shape
        assert len(made) == 21
        assert (made.preds.dtype, made.target.dtype) == (torch.float32, torch.float32)
        TASK.check({"preds": made.preds.numpy(), "target": made.target.numpy()})


def test_the_number_of_columns_is_drawn_mostly_one() -> None:
    n_columns = [generated(0.5, 1, 2, seed).preds.shape[1] for seed in range(60)]
    assert set(n_columns) == {1, 2, 3, 4}
    assert n_columns.count(1) > 30


def test_the_generator_decides_everything() -> None:
    state = torch.get_rng_state()
    first, again, other = generated(0.5), generated(0.5), generated(0.5, seed=1)
    assert torch.equal(first.preds, again.preds)
    assert torch.equal(first.target, again.target)
    assert first.preds.shape != other.preds.shape or not torch.equal(first.preds, other.preds)
    assert torch.equal(state, torch.get_rng_state())


def test_each_metric_gets_worse_with_the_severity_over_much_of_its_range() -> None:
    found = [means(s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for name, sign in (("r2", 1), ("spearman", 1), ("ccc", 1), ("error", -1)):
        values = [sign * f[name] for f in found]
        assert values == sorted(values, reverse=True), name
    assert found[0]["r2"] > 0.99
    assert found[0]["error"] < 0.05
    assert found[-1]["r2"] < 0
    assert found[-1]["spearman"] < 0.5
    assert found[-1]["error"] > 0.5


def test_nearly_all_the_range_of_r2_above_minus_1_is_reached_and_little_below() -> None:
    values = [r2(*p) for seed in range(12) for p in TASK.points(generated(1.0, seed=seed), "values", 64)]
    assert min(values) > -1.3
    assert np.mean(np.array(values) < -0.5) > 0.1


def test_targets_have_many_distributions_and_spreads() -> None:
    targets = [generated(0.5, 1, 400, seed).target[:, 0] for seed in range(60)]
    spreads = torch.stack([t.std() for t in targets])
    usual = (spreads > 0.5) & (spreads < 2)
    assert 0.6 < usual.float().mean() < 0.95
    assert spreads[usual].min() < 0.8
    assert spreads[usual].max() > 1.25
    assert spreads.min() < 0.03
    assert spreads.max() > 1e3
    standardised = [(t - t.mean()) / t.std() for t in targets]
    kurtosis = torch.stack([t.pow(4).mean() for t in standardised])
    assert kurtosis.min() < 1.8
    assert kurtosis.max() > 5


def test_some_calls_give_values_far_from_0_positive_ones_or_whole_targets() -> None:
    calls = [generated(0.5, 4, 64, seed) for seed in range(100)]
    far = [bool((c.target.mean(0).abs() > 9 * c.target.std(0)).any()) for c in calls]
    positive = [bool((c.target > 0).all() and (c.preds > 0).all()) for c in calls]
    whole = [bool((c.target == c.target.round()).all()) for c in calls]
    assert 0.05 < np.mean(far) < 0.3
    assert 0.2 < np.mean(positive) < 0.6
    assert 0.05 < np.mean(whole) < 0.4
    assert all(c.target.isfinite().all() and c.preds.isfinite().all() for c in calls)


def test_perturbations_keep_ties_order_and_distances_exactly() -> None:
    for seed in range(30):
        examples = generated(0.5, 1, 64, seed)
        for name, changed in TASK.perturbations(examples, torch.Generator().manual_seed(0)).items():
            if name == "which column is which":
                continue
            before, after = ((e.preds.double() - e.target.double()) for e in (examples, changed))
            factor = 4.0 if name == "the unit of the values" else 1.0
            assert torch.equal(factor * before, after), name
            assert not torch.equal(changed.target, examples.target.to(changed.target.dtype))


def test_single_examples_have_several_columns_and_err_by_their_severity() -> None:
    errors = []
    for severity in (0.0, 0.5, 1.0):
        made = [generated(severity, 50, 1, seed) for seed in range(5)]
        assert all(e.target.shape[1] > 1 for e in made)
        assert all(len(e.target[:, 0].unique()) > 10 for e in made)
        errors.append(float(np.mean([((e.preds - e.target) / TASK.unit(e)).square().mean() for e in made])))
    assert errors == sorted(errors)
    assert errors[0] < 0.01


def test_some_targets_are_tied() -> None:
    n_values = [len(generated(0.5, 1, 128, seed).target[:, 0].unique()) for seed in range(40)]
    assert 0 < sum(n < 20 for n in n_values) < 15


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_decoding_takes_any_floating_dtype(dtype: torch.dtype) -> None:
    examples = Examples(torch.tensor([[1.5], [-2.0]], dtype=dtype), torch.tensor([[1], [2]]))
    preds, target = TASK.decode(examples, "values")
    assert (preds.dtype, target.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(preds, [[1.5], [-2.0]])
    np.testing.assert_array_equal(target, [[1], [2]])
    assert TASK.regular_loss(examples).tolist() == [0.25, 16.0]


def test_points_are_sets_or_rows() -> None:
    examples = generated(0.5, 2, 5)
    assert [p.shape[0] for p, _ in TASK.points(examples, "values", 5)] == [5, 5]
    assert TASK.points(examples, "values", None)[3][0].shape == examples.preds.shape[1:]


def test_the_regular_loss_is_the_mean_squared_error() -> None:
    preds = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.zeros(4, 3)
    found = TASK.regular_loss(Examples(preds, target))
    assert found.shape == (4,)
    torch.testing.assert_close(found.mean(), F.mse_loss(preds, target))


def test_the_unit_is_the_spread_of_each_column() -> None:
    target = torch.tensor([[100.0, 0.1], [104.0, 0.1], [96.0, 0.1], [100.0, 0.1]])
    unit = TASK.unit(Examples(torch.zeros(4, 2), target))
    torch.testing.assert_close(unit, torch.tensor([8**0.5, 1.0]))
    target = 8 * torch.randn(500, 1, generator=torch.Generator().manual_seed(0))
    assert 7 < TASK.unit(Examples(target, target)).item() < 9


def arrays(**changed: Any) -> dict[str, np.ndarray]:
    return {"preds": np.zeros((3, 2), np.float32), "target": np.ones((3, 2)), **changed}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8])
def test_right_arrays_pass_the_check(dtype: Any) -> None:
    TASK.check(arrays(target=np.ones((3, 2), dtype)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preds": np.zeros(3)}, "preds must have shape (n, n_columns), got (3,)"),
        ({"preds": np.zeros((3, 2), int)}, "preds must have a dtype of kind floating, got int64"),
        ({"target": np.zeros(3)}, "target must have the shape of preds (3, 2), got (3,)"),
        ({"target": np.zeros((3, 2), bool)}, "target must have a dtype of kind number, got bool"),
        ({"target": np.array([[0, 1], [0, np.nan], [1, 1]])}, "target holds nan in row 1; expected finite values"),
        ({"preds": np.array([[0, 1], [0, 1], [-np.inf, 1]])}, "preds holds -inf in row 2; expected finite values"),
    ],
)
def test_each_wrong_array_has_its_message(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OutputsError, match=re.escape(message)):
        TASK.check(arrays(**changed))


def in_regime(regime: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Preds of trained models, preds in a regime, and targets, all (n_points, set_size, n_columns)."""
    made = TASK.generate(torch.rand(300, generator=torch.Generator().manual_seed(1)), torch.Generator(), 32)
    changed = TASK.in_regime(regime, made, 32, torch.Generator().manual_seed(2))
    before, after, target = (values.view(300, 32, -1) for values in (made.preds, changed.preds, made.target))
    return before, after, target


def test_untrained_predictions_are_nearly_constant_and_correlated_as_before() -> None:
    before, after, target = in_regime("untrained")
    spread = after.std(1) / target.std(1)
    assert 9e-4 < spread.min() < 0.01
    assert 0.1 < spread.max() < 0.31

    def correlation(preds: torch.Tensor) -> torch.Tensor:
        centred, other = (values - values.mean(1, keepdim=True) for values in (preds.double(), target.double()))
        return (centred * other).sum(1) / (centred.square().sum(1) * other.square().sum(1)).sqrt()

    torch.testing.assert_close(correlation(after), correlation(before), atol=0.02, rtol=0)
    centre = after.mean(1) / target.std(1)
    mean = target.mean(1) / target.std(1)
    assert ((centre - mean).abs() < 1).float().mean() > 0.8
    assert 0.02 < (centre.abs() < 1)[mean.abs() > 3].float().mean() < 0.3


def test_collapsed_predictions_are_one_constant_often_the_mean() -> None:
    _, after, target = in_regime("collapsed")
    assert (after == after[:, :1]).all()
    assert 0.1 < (after[:, 0] == target.mean(1)).float().mean() < 0.4
