from __future__ import annotations

from typing import Any

import pytest

from autosurrogate import tasks
from autosurrogate.pipeline.fit_decisions import too_few_trials
from autosurrogate.run.options import Options
from autosurrogate.search import search_space


def options(trials: int | None) -> Options:
    values: dict[str, Any] = {
        "metric": "accuracy", "metric_digest": "", "out": "accuracy.pt", "budget_s": 20.0, "trials": trials,
        "outputs": (), "outputs_digests": (), "random_share": None, "device": "cpu", "workers": 1, "seed": 0,
        "objective": "correlation", "space": None, "tokenizer": None, "tokenizer_digest": None, "force": False,
        "overwrite": False,
    }  # fmt: skip
    return Options(**values)


@pytest.mark.parametrize(("n_trials", "trials", "warned"), [(1, None, True), (40, None, False), (1, 1, False)])
def test_a_budget_that_was_enough_for_hardly_any_trials_is_named(
    n_trials: int, trials: int | None, *, warned: bool
) -> None:
    space = search_space.load(tasks.get("classification"))
    warning = too_few_trials(n_trials, space, options(trials))
    assert (warning is not None) == warned
    if warning is not None:
        n_few = 2 * len(space.networks)
        assert warning.startswith(f"only 1 of the {n_few} trials that a search needs at least ended within the budget ")
        assert "of 20 s; a longer --budget" in warning
