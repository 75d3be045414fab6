from __future__ import annotations

import pytest

from autosurrogate.export import ready
from autosurrogate.registry.lookup import find
from studies import micro_training
from studies.training._comparison import exported


@pytest.mark.parametrize("name", ["accuracy", "f1", "ndcg"])
def test_a_loss_that_is_nothing_changes_nothing_on_problems_that_can_be_learned(name: str) -> None:
    metric = find(name)
    alone = micro_training.measured(metric, 1)
    assert micro_training.measured(metric, 1, lambda examples: 0 * examples.preds.sum(), 1.0).tolist() == alone.tolist()
    assert 0.1 < alone.item() < 0.95


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
@pytest.mark.slow
def test_the_f1_of_a_rare_class_is_raised_and_a_loss_that_goes_the_other_way_lowers_it() -> None:
    loss = exported(ready.path("f1"), "scores")
    metric = find("f1")
    alone, raised, lowered = (
        micro_training.measured(metric, 2, *more).mean()
        for more in ((), (loss, 3.0), (lambda examples: -loss(examples), 3.0))
    )
    assert raised > alone + 0.1
    assert lowered < alone - 0.1
