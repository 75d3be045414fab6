from __future__ import annotations

import pytest

from autosurrogate import ready
from autosurrogate.metric import find
from benchmarks import micro_training
from benchmarks.training._comparison import exported


@pytest.mark.parametrize("name", ["accuracy", "f1", "ndcg"])
def test_a_loss_that_is_nothing_gains_nothing(name: str) -> None:
    found = micro_training.gains(find(name), lambda examples: 0 * examples.preds.sum(), 1.0, 1)
    assert found.tolist() == [0.0]


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
def test_the_f1_of_a_rare_class_is_raised_and_a_loss_that_goes_the_other_way_lowers_it() -> None:
    loss = exported(ready.path("f1"), "scores")
    metric = find("f1")
    assert micro_training.gains(metric, loss, 3.0, 2).mean() > 0.1
    assert micro_training.gains(metric, lambda examples: -loss(examples), 3.0, 2).mean() < -0.1
