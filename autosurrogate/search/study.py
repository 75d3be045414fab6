"""The Optuna study: which network, trained how, stands best for the metric."""

from __future__ import annotations

import math
import os
import warnings
import zlib
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from autosurrogate import surrogates
from autosurrogate.errors import OptionError, SearchError
from autosurrogate.evaluation.evaluator import Judge
from autosurrogate.points.labelled_points import Points
from autosurrogate.processes.worker_process import WorkerLost
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import TABLES, Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import pruning, selection
from autosurrogate.search.search_space import Space
from autosurrogate.search.trainer_worker import Setup
from autosurrogate.search.trainers import NotShared, Trainers
from autosurrogate.search.trial import Job, Outcome
from autosurrogate.tasks import Task
from autosurrogate.training.loop import Settings

LAG = 8  # trials that may run side by side: a trial is chosen by what is known of those that many before it
PRUNED, LAST = "pruned", "training"  # attributes of a trial that was pruned, and the last one of a completed trial


@dataclass(eq=False)
class _Asked:
    """A trial that was asked for and is not told yet."""

    trial: optuna.Trial
    job: Job
    settings: dict[str, Any]  # of the training, as they are kept
    future: Future[Outcome] | None = None  # once it has begun
    alone: bool = False  # no other ran beside it
    outcome: Outcome | None = None  # once it has ended
    lost: bool = False  # its process was
    judged: bool = False  # and all that is known of it is put down


class Search:
    """A study in a run's folder: an ordinary Optuna study, resumed if it is there.

    The study maximises twice the held-out rank correlation plus what the descent check mends, by what the regular loss
    alone is to mend there. Trials are pruned by their correlation.

    Trials run side by side. A trial is chosen, and pruned, by what is known of those that were asked for at least
    `LAG` before it, whether others have ended or not, so that nothing depends on how many run at a time.

    Args:
        run: the run's folder.
        clock: its budget.
        task: the task.
        metric: the metric.
        space: what may be chosen.
        points: labelled chunks.
        objective: "correlation" or "approximation".
        random_share: probability of a batch from G_R; None searches it.
        seed: of everything random.
        device: where to train.
        judge: of the losses that come of it.
        n_workers: trials at a time, at most `LAG`.
        prunes: whether hopeless trials are ended early.
        all_threads: whether a trial that runs in this process may use all threads.
    """

    def __init__(
        self,
        run: RunDir,
        clock: Clock,
        task: Task,
        metric: Metric,
        space: Space,
        points: Points,
        *,
        objective: Literal["correlation", "approximation"],
        random_share: float | None,
        seed: int,
        device: torch.device,
        judge: Judge,
        n_workers: int = 1,
        prunes: bool = True,
        all_threads: bool = False,
    ) -> None:
        self._run, self._clock, self._task, self._metric, self._space = run, clock, task, metric, space
        self._points, self._objective, self._random_share = points, objective, random_share
        self._seed, self._device, self._judge, self._n_workers = seed, device, judge, min(n_workers, LAG)
        self._at_once, self._prunes, self._all_threads = self._n_workers, prunes, all_threads
        self._window: deque[_Asked] = deque()  # in the order they were asked for
        self._tabulated: set[str] = set()  # networks of which a trial has ended, so that their tables are there

    @cached_property
    def study(self) -> optuna.Study:
        """The study; trials that an earlier session left running are marked as failed, unless they had ended.

        It begins with a trial of each network in turn, so that a short search has tried them all.
        """
        study = optuna.create_study(
            study_name=self._metric.name,
            storage=JournalStorage(JournalFileBackend(str(self._run.study))),
            direction="maximize",
            pruner=optuna.pruners.NopPruner(),  # see `pruning`
            load_if_exists=True,
        )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            _tell(study, trial)
        lasting = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING))
        tried = {(t.system_attrs.get("fixed_params") or t.params).get("network") for t in lasting}
        for fixed in self._space.networks_in_turn():
            if fixed["network"] not in tried:
                study.enqueue_trial(fixed)
        return study

    def run(self, n_trials: int | None, reserve_s: float, regular: float, progress: Progress) -> None:
        """Run trials until `n_trials` have ended or only `reserve_s` seconds of the budget are left.

        At least one trial is completed. KeyboardInterrupt ends the running trials as failed and is raised again.
        """
        if not self._goes_on(n_trials, reserve_s):
            return  # as in a run that is resumed once more
        setup = Setup(
            self._task, self._metric, self._space, self._points, self._judge.way, self._device,
            TABLES.of(self._clock.budget_s) / len(self._space.networks),
        )  # fmt: skip
        try:
            with self._trainers(setup, progress) as trainers:
                self._fill(trainers, n_trials, reserve_s)
                while running := self._running():
                    done, _ = wait([asked.future for asked in running if asked.future], None, FIRST_COMPLETED)
                    ended = [asked for asked in running if asked.future in done]
                    for asked in ended:
                        self._collect(asked, progress)
                    self._fill(trainers, n_trials, reserve_s)  # it goes on while these are judged
                    for asked in ended:
                        self._judged(asked)
                        self._show(progress, regular)
                    self._fill(trainers, n_trials, reserve_s)
        finally:
            while self._window:
                self._tell_first()

    def _trainers(self, setup: Setup, progress: Progress) -> Trainers:
        try:
            return Trainers(setup, self._n_workers, self._run.path, all_threads=self._all_threads)
        except NotShared as error:
            progress.say(f"trials run one at a time: their points or task cannot be given to other processes: {error}")
            self._at_once = 1
            return Trainers(setup, 1, self._run.path, all_threads=self._all_threads)

    def _running(self) -> list[_Asked]:
        return [asked for asked in self._window if asked.future and not (asked.outcome or asked.lost)]

    def _fill(self, trainers: Trainers, n_trials: int | None, reserve_s: float) -> None:
        """Begin trials, as many as may run at a time."""
        while len(self._running()) < self._at_once and self._goes_on(n_trials, reserve_s):
            asked = self._next()
            if asked is None:
                return
            asked.alone = self._at_once == 1
            asked.future = trainers.submit(replace(asked.job, left_s=self._clock.left_s - reserve_s))

    def _goes_on(self, n_trials: int | None, reserve_s: float) -> bool:
        """Whether another trial is to begin."""
        begun = [asked for asked in self._window if asked.future and not asked.lost]
        told = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        if (n_trials is None or len(told) + len(begun) < n_trials) and self._clock.left_s > reserve_s:
            return True
        fitted = any(t.state == TrialState.COMPLETE for t in told) or any(
            asked.outcome and asked.outcome.fitted for asked in begun
        )
        return not fitted and not self._running()

    def _next(self) -> _Asked | None:
        """The next trial to begin; None if others must end before it can."""
        if not self._window or self._window[-1].future is not None:
            if len(self._window) == LAG:
                if not self._window[0].judged:
                    return None
                self._tell_first()
            self._window.append(self._ask())
        asked = self._window[-1]
        network = asked.job.network
        if network not in self._tabulated and any(one.job.network == network for one in self._running()):
            return None  # which makes the tables of both
        return asked

    def _ask(self) -> _Asked:
        trials = self.study.get_trials(deepcopy=False)
        n = sum(trial.state != TrialState.WAITING for trial in trials)
        seed = zlib.crc32(repr((self._seed, n)).encode())  # so that a resumed study does not repeat its first trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = self.study.ask()
        recorded = bool(self._points.recorded_train)
        training, network, values, method, ranks = self._space.suggest(trial, recorded=recorded)
        training |= {**ranks, "soft_rank": method, "random_share": self._random_share_of(training)}
        settings = Settings(**training, objective=self._objective)
        least = pruning.least(trials, settings.n_steps) if self._prunes else {}
        return _Asked(trial, Job(seed, network, values, settings, least, math.inf), training)

    def _random_share_of(self, training: dict[str, Any]) -> float:
        if not self._points.recorded_train:
            return 1.0
        return self._random_share if self._random_share is not None else float(training.get("random_share", 0.5))

    def _collect(self, asked: _Asked, progress: Progress) -> None:
        """Take what a trial that ran has to say."""
        assert asked.future is not None, "a trial that ran"
        try:
            asked.outcome = asked.future.result()
        except WorkerLost as lost:
            asked.lost = True
            if asked.alone:
                raise SearchError(
                    f"a process that trains was ended from outside ({lost}), though no other ran beside it; "
                    "is there too little memory? --workers 1 trains in the program's own process"
                ) from None
            self._at_once = max(1, self._at_once // 2)
            progress.say(
                f"a process that trains was ended from outside ({lost}); is there too little memory? "
                f"going on with {self._at_once} at a time"
            )
        else:
            self._tabulated.add(asked.job.network)

    def _judged(self, asked: _Asked) -> None:
        """Put down what became of a trial."""
        trial, outcome = asked.trial, asked.outcome
        asked.judged = True
        if outcome is None:
            return
        for step, found in outcome.correlations.items():
            trial.report(found, step)
        if outcome.fitted is None:
            trial.set_user_attr(PRUNED, True)
            return
        share, error = self._judge.share(outcome.fitted.moved)
        self._keep(trial, outcome.fitted.state)
        told = {
            "correlation": outcome.fitted.correlation,
            "near": outcome.fitted.near,
            "mended": share,
            "mended_error": error,
            "network": asked.job.network,
            "settings": dict(asked.job.values),
            LAST: asked.settings,
        }
        for name, value in told.items():
            trial.set_user_attr(name, value)

    def _keep(self, trial: optuna.Trial, state: dict[str, Tensor]) -> None:
        path = self._run.trial(trial.number)
        part = path.with_name(f"{path.name}.part")
        torch.save(state, part)
        os.replace(part, path)

    def _tell_first(self) -> None:
        """Tell the study of the trial that was asked for first; sooner it would depend on how many run at a time."""
        number = self._window.popleft().trial.number
        _tell(self.study, next(t for t in self.study.get_trials(deepcopy=False) if t.number == number))

    def _show(self, progress: Progress, regular: float) -> None:
        """Tell how far the search is, the trials that the study is not told of included."""
        trials = [t for t in self.study.get_trials(deepcopy=False) if _outcome(t) != TrialState.FAIL]
        best = max(
            (selection.correlation(t) for t in trials if _outcome(t) == TrialState.COMPLETE), default=float("nan")
        )
        progress.trial(len(trials), best, regular, self._clock.left_s)

    def has_complete(self) -> bool:
        """Whether there is a trial to export."""
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def counts(self) -> dict[str, int]:
        """Numbers of trials that were completed and pruned."""
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        return {"n_complete": states.count(TrialState.COMPLETE), "n_pruned": states.count(TrialState.PRUNED)}

    def best(self, regular_mended: float = -math.inf) -> tuple[Any, FrozenTrial]:
        """The loss to export and its trial.

        Args:
            regular_mended: the share that the regular loss mends on validation points, see `choice.best`.

        Raises:
            LookupError: no trial is complete.
            OptionError: the trial is of another version of the program.
        """
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            raise LookupError("no trial is complete")
        chosen = selection.best(
            complete, regular_mended, lambda t, weight: self._judge.mended(self._loss_of(t), weight)
        )
        return self._loss_of(chosen), chosen

    def _loss_of(self, chosen: FrozenTrial) -> Any:
        """The loss that a trial ended with."""
        loss = surrogates.build(
            self._task.name, self._metric.level, chosen.user_attrs["network"], **chosen.user_attrs["settings"]
        )
        state = torch.load(self._run.trial(chosen.number), weights_only=True)
        if state.keys() != loss.state_dict().keys():
            raise OptionError(
                f"{self._run.path}: its trials were made by another version of autosurrogate; start a run anew"
            )
        loss.load_state_dict(state)
        return loss.to(self._device)


def _outcome(trial: FrozenTrial) -> TrialState:
    """What became of a trial, the study told or not."""
    if trial.state != TrialState.RUNNING:
        return TrialState.FAIL if trial.state == TrialState.WAITING else trial.state
    if LAST in trial.user_attrs:
        return TrialState.COMPLETE
    return TrialState.PRUNED if PRUNED in trial.user_attrs else TrialState.FAIL


def _tell(study: optuna.Study, trial: FrozenTrial) -> None:
    """Tell the study what became of a trial that is running no more."""
    outcome = _outcome(trial)
    complete = outcome == TrialState.COMPLETE
    value = selection.worth(selection.correlation(trial), selection.share(trial)) if complete else None
    study.tell(trial.number, value, state=outcome)
