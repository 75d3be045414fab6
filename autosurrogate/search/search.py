"""The search: trials run in parallel until more would not help, and the best one's loss."""

from __future__ import annotations

import math
import zlib
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import optuna
import torch
from optuna.trial import TrialState

from autosurrogate import surrogates
from autosurrogate._utils.files import atomic_write
from autosurrogate.errors import SearchError
from autosurrogate.evaluation.evaluator import Evaluator
from autosurrogate.points.labelled_points import Points
from autosurrogate.processes.worker_process import WorkerLost
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import TABLES, Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import pruning, selection, study, trial_record
from autosurrogate.search.space import Space
from autosurrogate.search.stagnation import has_stagnated, late_rise
from autosurrogate.search.table_seconds import table_seconds
from autosurrogate.search.trainer_worker import Setup
from autosurrogate.search.trainers import SetupNotShared, Trainers
from autosurrogate.search.trial import Fitted, Job
from autosurrogate.search.trial_record import TrialRecord
from autosurrogate.search.window import LAG, PendingTrial, Window
from autosurrogate.surrogates import Loss
from autosurrogate.tasks import Task
from autosurrogate.training.loop import Settings


class Search:
    """A search for the best surrogate, by an ordinary Optuna study in the run's folder.

    The study maximises `selection.objective_value`; trials are pruned by their rank correlation.

    Trials run in parallel. The settings of a trial, and whether it is pruned, depend on the trials that the study gave
    out at least `LAG` before it, whether others have ended or not: so nothing depends on how many run in parallel.

    Args:
        run: the run's folder.
        clock: its budget.
        task: the task.
        metric: the metric.
        space: what may be chosen.
        points: labelled chunks.
        objective: "correlation" or "approximation".
        random_share: probability that a batch comes from the random generator; None searches it.
        seed: of everything random.
        device: where to train.
        evaluator: of the trials' losses.
        n_workers: trials in parallel, at most `LAG`.
        prunes: whether trials that are behind the others are stopped early.
        all_threads: whether a trial that runs in this process may use all threads.

    Attributes:
        stagnated: whether the search has ended by itself, because more trials would not help.
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
        evaluator: Evaluator,
        n_workers: int = 1,
        prunes: bool = True,
        all_threads: bool = False,
    ) -> None:
        self._run, self._clock, self._task, self._metric, self._space = run, clock, task, metric, space
        self._points, self._objective, self._random_share = points, objective, random_share
        self._seed, self._device, self._evaluator, self._n_workers = seed, device, evaluator, min(n_workers, LAG)
        self._n_parallel, self._prunes, self._all_threads = self._n_workers, prunes, all_threads
        self._window = Window()
        self.stagnated = False
        self._tabulated: set[str] = set()  # networks whose feature tables exist, since a trial of them has ended

    @cached_property
    def study(self) -> optuna.Study:
        """The study. It begins with a trial of each network in turn, so that a short search has tried them all."""
        return study.open_study(self._run, self._metric.name, self._space.networks_in_turn())

    def run(self, n_trials: int | None, reserve_s: float, regular_spearman: float, progress: Progress) -> None:
        """Run trials until `n_trials` have ended or only `reserve_s` seconds of the budget are left.

        Without `n_trials`, it also ends when more trials would not help, see `stagnation`. At least one is completed. A
        KeyboardInterrupt ends the running trials as failed and is raised again.

        Args:
            n_trials: those of earlier sessions included; None for no limit.
            reserve_s: seconds.
            regular_spearman: rank correlation of the regular loss, to show beside the best trial's.
            progress: receives what happens.
        """
        if not self._continues(n_trials, reserve_s):
            return  # the search of a resumed run may be complete
        setup = Setup(
            self._task, self._metric, self._space, self._points, self._evaluator.descent_path, self._device,
            table_seconds(
                self._task, self._metric, self._space, self._points, self._device, TABLES.of(self._clock.budget_s)
            ),
        )  # fmt: skip
        try:
            with self._trainers(setup, progress) as trainers:
                self._start_trials(trainers, n_trials, reserve_s)
                while running := self._window.running():
                    done, _ = wait([pending.future for pending in running if pending.future], None, FIRST_COMPLETED)
                    ended = [pending for pending in running if pending.future in done]
                    for pending in ended:
                        self._collect(pending, progress)
                    self._start_trials(trainers, n_trials, reserve_s)  # they train while the ended ones are evaluated
                    for pending in ended:
                        self._evaluate(pending)
                        self._show(progress, regular_spearman)
                    self._start_trials(trainers, n_trials, reserve_s)
        finally:
            while self._window:
                self._tell_first()

    def _trainers(self, setup: Setup, progress: Progress) -> Trainers:
        try:
            return Trainers(setup, self._n_workers, self._run.path, all_threads=self._all_threads)
        except SetupNotShared as error:
            progress.say(f"trials run one at a time: their points or task cannot be sent to other processes: {error}")
            self._n_parallel = 1
            return Trainers(setup, 1, self._run.path, all_threads=self._all_threads)

    def _start_trials(self, trainers: Trainers, n_trials: int | None, reserve_s: float) -> None:
        """Start trials, as many as may run in parallel."""
        while len(self._window.running()) < self._n_parallel and self._continues(n_trials, reserve_s):
            pending = self._next()
            if pending is None:
                return
            pending.alone = self._n_parallel == 1
            pending.future = trainers.submit(replace(pending.job, limit_s=self._clock.left_s - reserve_s))

    def _continues(self, n_trials: int | None, reserve_s: float) -> bool:
        """Whether another trial may start."""
        started = self._window.started()
        ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        self.stagnated = n_trials is None and has_stagnated(ended)
        if self.stagnated:
            return False
        if (n_trials is None or len(ended) + len(started) < n_trials) and self._clock.left_s > reserve_s:
            return True
        any_fitted = any(t.state == TrialState.COMPLETE for t in ended) or any(
            pending.outcome and pending.outcome.fitted for pending in started
        )
        return not any_fitted and not self._window.running()

    def _next(self) -> PendingTrial | None:
        """The next trial to start; None if others must end before it can."""
        pending = self._window.waiting()
        if pending is None:
            if len(self._window) == LAG:
                if not self._window[0].evaluated:
                    return None
                self._tell_first()
            pending = self._ask()
            self._window.append(pending)
        network = pending.job.network
        if network not in self._tabulated and any(p.job.network == network for p in self._window.running()):
            return None  # the running one computes the feature tables of both
        return pending

    def _ask(self) -> PendingTrial:
        """The next trial of the study, with its settings."""
        trials = self.study.get_trials(deepcopy=False)
        n = sum(trial.state != TrialState.WAITING for trial in trials)
        seed = zlib.crc32(repr((self._seed, n)).encode())  # so that a resumed study does not repeat its first trials
        with study.allowed_experiments():
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = self.study.ask()
        suggestion = self._space.suggest(trial, recorded=bool(self._points.recorded_train))
        training = suggestion.training_settings
        training["random_share"] = self._random_share_of(training)
        settings = Settings(**training, objective=self._objective)
        thresholds = pruning.thresholds(trials, settings.n_steps) if self._prunes else {}
        job = Job(seed, suggestion.network, suggestion.network_settings, settings, thresholds, math.inf)
        return PendingTrial(trial, job, training)

    def _random_share_of(self, training: dict[str, Any]) -> float:
        if not self._points.recorded_train:
            return 1.0
        return self._random_share if self._random_share is not None else float(training.get("random_share", 0.5))

    def _collect(self, pending: PendingTrial, progress: Progress) -> None:
        """Take the outcome of a trial that has ended; after a lost process, go on with fewer in parallel."""
        assert pending.future is not None, "the trial has started"
        try:
            pending.outcome = pending.future.result()
        except WorkerLost as lost:
            pending.lost = True
            if pending.alone:
                raise SearchError(
                    f"a training process was killed from outside ({lost}), though no other ran beside it; "
                    "is there too little memory? --workers 1 trains in the program's own process"
                ) from None
            self._n_parallel = max(1, self._n_parallel // 2)
            progress.say(
                f"a training process was killed from outside ({lost}); is there too little memory? "
                f"going on with {self._n_parallel} at a time"
            )
        else:
            self._tabulated.add(pending.job.network)

    def _evaluate(self, pending: PendingTrial) -> None:
        """Evaluate a trial's loss, and write to its trial all that is known."""
        pending.evaluated = True
        if pending.outcome is None:
            return
        correlations = pending.outcome.correlations
        for step, correlation in correlations.items():
            pending.trial.report(correlation, step)
        if pending.outcome.fitted is None:
            pending.trial.set_user_attr(study.PRUNED, pruning.reason(correlations, pending.job.thresholds))
            return
        record = self._record(pending, pending.outcome.fitted)
        with atomic_write(self._run.trial(pending.trial.number)) as temporary:
            torch.save(pending.outcome.fitted.state, temporary)
        trial_record.write(record, pending.trial)

    def _record(self, pending: PendingTrial, fitted: Fitted) -> TrialRecord:
        gain_fraction, error = self._evaluator.gain_fraction_of(fitted.descended)
        return TrialRecord(
            number=pending.trial.number,
            network=pending.job.network,
            network_settings=pending.job.network_settings,
            training_settings=pending.training_settings,
            validation_spearman=fitted.validation_spearman,
            similar_quality_spearman=fitted.similar_quality_spearman,
            worst_somers_d=fitted.worst_somers_d,
            gain_fraction=gain_fraction,
            gain_fraction_error=error,
        )

    def _tell_first(self) -> None:
        """Tell the study about the first trial; any earlier, it would depend on how many run in parallel."""
        number = self._window.popleft().trial.number
        study.tell(self.study, next(t for t in self.study.get_trials(deepcopy=False) if t.number == number))

    def _show(self, progress: Progress, regular_spearman: float) -> None:
        """Report how far the search is, trials of the window that have ended included."""
        trials = self.study.get_trials(deepcopy=False)
        outcomes = [study.outcome(t) for t in trials]
        complete = [t for t, outcome in zip(trials, outcomes, strict=True) if outcome == TrialState.COMPLETE]
        best = max((trial_record.read(t).validation_spearman for t in complete), default=math.nan)
        n_ended = len(outcomes) - outcomes.count(TrialState.FAIL)
        progress.trial(n_ended, best, regular_spearman, self._clock.left_s, late_rise(trials))

    def has_complete(self) -> bool:
        """Whether there is a trial to export."""
        return self.counts()["n_complete"] > 0

    def counts(self) -> dict[str, int]:
        """Numbers of trials that were completed and pruned."""
        return study.counts(self.study)

    def best(self, regular_gain_fraction: float = -math.inf) -> tuple[Loss, TrialRecord]:
        """The loss to export and its trial.

        Args:
            regular_gain_fraction: of the regular loss on validation points, see `selection.select`.

        Raises:
            LookupError: no trial is complete.
            OptionError: the trial was made by another version of this package.
        """
        records = study.records(self.study)
        if not records:
            raise LookupError("no trial is complete")
        selected = selection.select(
            records,
            regular_gain_fraction,
            lambda record, weight: self._evaluator.gain_fraction(self._loss_of(record), weight),
        )
        return self._loss_of(selected), selected

    def mark_exported(self, record: TrialRecord) -> None:
        """Mark a trial as the exported one, for `optuna-dashboard`."""
        study.mark_exported(self.study, record.number)

    def _loss_of(self, record: TrialRecord) -> Loss:
        """The loss that a trial ended with."""
        loss = surrogates.build(self._task, self._metric.level, record.network, **record.network_settings)
        state = torch.load(self._run.trial(record.number), weights_only=True)
        if state.keys() != loss.state_dict().keys():
            raise study.other_version(self._run)
        loss.load_state_dict(state)
        return loss.to(self._device)
