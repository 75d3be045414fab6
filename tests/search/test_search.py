from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.errors import OptionError, SearchError
from autosurrogate.evaluation.descent import DescentPath
from autosurrogate.points.labelled_points import Points
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.points.metric_calls import points_of, set_size_of
from autosurrogate.points.sampling import generate_chunk
from autosurrogate.points.severity_calibration import N_LEVELS, Severities
from autosurrogate.processes.worker_process import WorkerLost
from autosurrogate.registry.lookup import find
from autosurrogate.run.budget import Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import search_space, trial_record
from autosurrogate.search.search import Search
from autosurrogate.search.trial import Outcome
from autosurrogate.search.trial_record import TrialRecord

SPACE = """
[training]
n_steps = 20
batch_points = 32
learning_rate = 0.01
weight_decay = 0.0001
penalty = [0.05, 0.1]
[networks.margin]
temperatures = [[0.1]]
width = 4
[networks.confusion]
temperatures = [[0.1]]
width = 4
[networks.target_probability]
width = 4
"""
ACCURACY = find("accuracy")
CLASSIFICATION = tasks.get("classification")


def labelled(split: str) -> list[Chunk]:
    levels = tuple(k / (N_LEVELS - 1) for k in range(N_LEVELS))
    examples, *_ = generate_chunk(CLASSIFICATION, ACCURACY, Severities(levels, (1.0,) * N_LEVELS), 0, split, 0)
    points = points_of(CLASSIFICATION, ACCURACY, examples, set_size_of(ACCURACY))
    values = torch.tensor([ACCURACY.function(*point) for point in points], dtype=torch.float64)
    return [Chunk(examples, set_size_of(ACCURACY), values, None)]


@pytest.fixture(scope="module")
def points() -> Points:
    return Points(labelled("train"), labelled("validation"), [], [])


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class Evaluator:
    """Finds the same of every loss, or what is given for a weight."""

    def __init__(self, of_weight: Mapping[float, float] = {}) -> None:
        self._of_weight, self.descent_path = of_weight, DescentPath(labelled("validation"), 1.0, 1.0)

    def gain_fraction_of(self, points: list[Any]) -> tuple[float, float]:
        return 1.0, 0.1

    def gain_fraction(self, loss: object, weight: float) -> tuple[float, float]:
        return self._of_weight.get(weight, 1.0), 0.1


def search(folder: Path, points: Points, evaluator: Any = None, n_workers: int = 1) -> Search:
    run = RunDir(folder)
    if not folder.exists():
        run.create({}, SPACE)
    space = search_space.parse(SPACE, CLASSIFICATION, "the space")
    return Search(
        run, Clock(run, 300.0), CLASSIFICATION, ACCURACY, space, points,
        objective="correlation", random_share=None, seed=0, device=torch.device("cpu"),
        evaluator=evaluator or Evaluator(), n_workers=n_workers,
    )  # fmt: skip


@pytest.mark.slow
def test_each_network_is_tried_once_before_any_is_chosen_and_no_two_trials_are_seeded_alike(
    tmp_path: Path, points: Points
) -> None:
    one = search(tmp_path / "run", points)
    one.run(4, 0.0, 0.5, Progress())
    networks = [json.loads(trial.params["network"]) for trial in one.study.trials]
    assert networks[:3] == ["margin", "confusion", "target_probability"]
    found = [trial.user_attrs["validation_spearman"] for trial in one.study.trials]
    assert len(set(found)) == 4


@pytest.mark.slow
def test_a_study_is_resumed_and_a_trial_that_was_running_has_failed(tmp_path: Path, points: Points) -> None:
    search(tmp_path / "run", points).run(2, 0.0, 0.5, Progress())
    search(tmp_path / "run", points).study.ask()  # as if killed in this trial
    again = search(tmp_path / "run", points)
    again.run(3, 0.0, 0.5, Progress())
    states = [trial.state.name for trial in again.study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert again.counts() == {"n_complete": 3, "n_pruned": 0}


def test_an_interrupted_trial_has_failed_and_the_interrupt_goes_on(tmp_path: Path, points: Points) -> None:
    class Interrupted(Evaluator):
        def gain_fraction_of(self, points: list[Any]) -> tuple[float, float]:
            raise KeyboardInterrupt

    one = search(tmp_path / "run", points, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        one.run(1, 0.0, 0.5, Progress())
    assert not one.has_complete()
    with pytest.raises(LookupError):
        one.best()


def add_trials(one: Search, folder: Path, trials: list[tuple[float, float]]) -> None:
    """Trials of these rank correlations, on the mean and at worst, and gain fractions.

    They stand instead of those that wait for their turn.
    """
    for _ in one.study.trials:
        one.study.tell(one.study.ask().number, state=optuna.trial.TrialState.FAIL)
    settings = {"width": 4}
    loss = surrogates.build(tasks.get("classification"), "set", "target_probability", **settings)
    for spearman, gain_fraction in trials:
        trial = one.study.ask()
        torch.save(loss.state_dict(), RunDir(folder).trial(trial.number))
        record = TrialRecord(
            trial.number, "target_probability", settings, {}, spearman, 0.5, spearman, gain_fraction, 0.1
        )
        trial_record.write(record, trial)
        one.study.tell(trial, spearman)


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        # (correlation, gain), the gains' standard error being 0.1
        ([(0.90, 1.0), (0.88, 2.0)], 1),  # within three points: the larger gain
        ([(0.90, 1.0), (0.86, 2.0)], 0),  # more than three points behind
        ([(0.990, 1.0), (0.982, 2.0)], 1),  # lacks no more than twice as much
        ([(0.990, 1.0), (0.970, 2.0)], 0),  # lacks three times as much
        ([(0.99, 2.0), (0.98, 1.0)], 0),
        ([(0.99, 1.85), (0.98, 2.0)], 1),
        ([(0.99, 1.95), (0.98, 2.0)], 0),  # as much but for a standard error: the better rank
    ],
)
def test_which_trial_is_chosen(tmp_path: Path, points: Points, trials: list[tuple[float, float]], chosen: int) -> None:
    one = search(tmp_path / "run", points)
    add_trials(one, tmp_path / "run", trials)
    assert one.best()[1].number == 3 + chosen


def test_trials_that_gain_less_than_the_regular_loss_beyond_their_error_count_only_if_all_do(
    tmp_path: Path, points: Points
) -> None:
    one = search(tmp_path / "run", points)
    add_trials(one, tmp_path / "run", [(0.99, 1.0), (0.90, 2.0), (0.80, 3.0)])
    chosen = {regular: one.best(regular)[1].number - 3 for regular in (0.5, 1.05, 1.2, 2.05, 2.2, 9.0)}
    assert chosen == {0.5: 0, 1.05: 0, 1.2: 1, 2.05: 1, 2.2: 2, 9.0: 0}


def test_no_trial_that_gains_less_than_the_regular_loss_is_chosen_for_its_rank_where_another_gains_more(
    tmp_path: Path, points: Points
) -> None:
    one = search(tmp_path / "run", points)
    add_trials(one, tmp_path / "run", [(0.93, 1.0), (0.92, 1.06), (0.91, 1.08)])
    chosen = {regular: one.best(regular)[1].number - 3 for regular in (0.9, 1.05, 1.07, 1.09)}
    assert chosen == {0.9: 0, 1.05: 1, 1.07: 2, 1.09: 2}


@pytest.mark.parametrize(
    ("other", "of_weight", "chosen"),
    [
        (1.3, {0.3: 1.5, 0.1: 1.25}, 0),  # with less weight the one that ranks best gains as much
        (2.0, {0.3: 1.5, 0.1: 1.25}, 1),  # the other gains more
        (1.3, {0.3: 0.9, 0.1: 0.95}, 1),  # with less weight it still gains less than the regular loss
        (0.5, {0.3: 0.9, 0.1: 1.05}, 0),  # as much, but for two standard errors, and no other does
    ],
)
def test_a_smaller_weight_may_save_a_trial_that_ranks_best(
    tmp_path: Path, points: Points, other: float, of_weight: dict[float, float], chosen: int
) -> None:
    one = search(tmp_path / "run", points, Evaluator(of_weight))
    add_trials(one, tmp_path / "run", [(0.99, 1.0), (0.90, other)])
    assert one.best(1.2)[1].number - 3 == chosen


@pytest.mark.parametrize(("ranks", "chosen"), [(0.9, 1), (0.6, 0)])
def test_a_trial_that_hardly_ranks_is_not_chosen_for_gaining_a_little_more(
    tmp_path: Path, points: Points, ranks: float, chosen: int
) -> None:
    one = search(tmp_path / "run", points, Evaluator({0.3: 1.2, 0.1: 1.2}))
    add_trials(one, tmp_path / "run", [(0.99, 1.0), (ranks, 1.4)])
    assert one.best(1.2)[1].number - 3 == chosen


def test_a_trial_that_hardly_ranks_is_not_chosen_where_no_leading_one_gains_enough(
    tmp_path: Path, points: Points
) -> None:
    # As of a character error rate: one that ranks at 99 gains little, one at 95 about enough, one at 43 most.
    trials = [(0.99, 0.5), (0.95, 1.0), (0.43, 1.4)]
    one = search(tmp_path / "run", points, Evaluator({0.3: 0.8, 0.1: 0.8}))
    add_trials(one, tmp_path / "run", trials)
    assert one.best(1.05)[1].number - 3 == 1  # gains enough, but for its error
    assert one.best(1.3)[1].number - 3 == 0  # none that ranks does: it will be refused for its gain


def test_a_trial_that_is_little_behind_may_be_saved_by_a_smaller_weight(tmp_path: Path, points: Points) -> None:
    class OfTrial(Evaluator):
        """With less weight, losses whose sign is turned gain enough."""

        def gain_fraction(self, loss: Any, weight: float) -> tuple[float, float]:
            return (1.3 if float(loss.sign) < 0 else 0.5), 0.1

    one = search(tmp_path / "run", points, OfTrial())
    add_trials(one, tmp_path / "run", [(0.99, 0.5), (0.95, 1.0)])
    path = RunDir(tmp_path / "run").trial(4)
    state = torch.load(path)
    torch.save({**state, "sign": -state["sign"]}, path)
    assert one.best(1.3)[1].number - 3 == 1


def test_a_pruned_trial_says_why(tmp_path: Path, points: Points) -> None:
    one = search(tmp_path / "run", points)
    pending = one._ask()
    pending.job = replace(pending.job, thresholds={20: 0.5})
    pending.outcome = Outcome({20: 0.25}, None)
    one._window.append(pending)
    one._evaluate(pending)
    one._tell_first()
    (trial,) = one.study.get_trials(states=(optuna.trial.TrialState.PRUNED,))
    reason = "rank correlation 0.250 by step 20, below 0.500, which 75 % of earlier trials had reached"
    assert trial.user_attrs == {"pruned": reason}
    assert one.counts() == {"n_complete": 0, "n_pruned": 1}


def test_a_lost_process_ends_the_search_only_if_no_other_ran_beside_it(tmp_path: Path, points: Points) -> None:
    one = search(tmp_path / "run", points, n_workers=4)

    def lose(*, alone: bool) -> None:
        pending = one._ask()
        pending.alone, pending.future = alone, Future()
        pending.future.set_exception(WorkerLost("signal SIGKILL"))
        one._collect(pending, progress)

    progress = Notes()
    for _ in range(4):  # of four that had begun side by side, all before another begins
        lose(alone=False)
    assert [line[-16:] for line in progress.lines] == [f"with {n} at a time" for n in (2, 1, 1, 1)]
    with pytest.raises(SearchError, match="though no other ran beside it"):
        lose(alone=True)


def test_trials_of_another_version_are_refused(tmp_path: Path, points: Points) -> None:
    one = search(tmp_path / "run", points)
    add_trials(one, tmp_path / "run", [(0.99, 1.0)])
    path = RunDir(tmp_path / "run").trial(3)
    state = torch.load(path)
    torch.save({name: value for name, value in state.items() if not name.startswith("calibration.")}, path)
    with pytest.raises(OptionError, match=r"run: was made by another version of autosurrogate; start a new run"):
        one.best()
