"""The Optuna study: which network, trained how, stands best for the metric."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import warnings
import zlib
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from autosurrogate import sampling, surrogates
from autosurrogate.calibration import calibrate
from autosurrogate.descent import MENDED
from autosurrogate.errors import OptionError
from autosurrogate.labelled_points import Points
from autosurrogate.labelled_set import Chunk
from autosurrogate.point_table import PointTable, tabulate
from autosurrogate.progress import Progress
from autosurrogate.registry import Metric
from autosurrogate.run_dir import Clock, RunDir
from autosurrogate.search_space import Space
from autosurrogate.tasks import Task
from autosurrogate.training import Settings, Tables, held_out_correlation, train

BAND, BAND_SHARE = 0.06, 8.0  # of rank correlation, within which the descent check decides, see `_leading`
RANK = 2.0  # weight of the rank correlation in what a study maximises
N_STRETCHES = 8  # of points of much the same quality
LIGHTER = (0.3, 0.1)  # weights that leading trials are tried with where none mends enough, see `Search.best`
N_LIGHTER = 4  # leading trials that are tried so
TABLE_SHARE = 0.25  # of the budget, at most, for the tables of one network


class Search:
    """A study in a run's folder: an ordinary Optuna study, resumed if it is there.

    The study maximises twice the held-out rank correlation plus what the descent check mends, by what the regular loss
    alone is to mend there. Trials are pruned by their correlation.

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
        mended: the descent check of a loss on validation points, with a weight beside the regular loss that makes 1
            as strong as it: the mean share mended of what separates them from the best, and its standard error.
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
        mended: Callable[[Any, float], tuple[float, float]],
    ) -> None:
        self._run, self._clock, self._task, self._metric, self._space = run, clock, task, metric, space
        self._points, self._objective, self._random_share = points, objective, random_share
        self._seed, self._device, self._mended = seed, device, mended
        self._tables: dict[str, Tables] = {}

    @cached_property
    def study(self) -> optuna.Study:
        """The study; trials that an earlier session left running are marked as failed.

        It begins with a trial of each network in turn, so that a short search has tried them all.
        """
        optuna.logging.set_verbosity(logging.ERROR)
        study = optuna.create_study(
            study_name=self._metric.name,
            storage=JournalStorage(JournalFileBackend(str(self._run.study))),
            direction="maximize",
            pruner=optuna.pruners.PercentilePruner(85.0, n_startup_trials=6, n_warmup_steps=100),
            load_if_exists=True,
        )
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        lasting = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING))
        tried = {(t.system_attrs.get("fixed_params") or t.params).get("network") for t in lasting}
        for choice in self._space.networks_in_turn():
            if choice["network"] not in tried:
                study.enqueue_trial(choice)
        return study

    def run(self, n_trials: int | None, reserve_s: float, regular: float, progress: Progress) -> None:
        """Run trials until `n_trials` have ended or only `reserve_s` seconds of the budget are left.

        At least one trial is completed. KeyboardInterrupt ends the running trial as failed and is raised again.
        """
        while True:
            ended = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
            complete = [t for t in ended if t.state == TrialState.COMPLETE]
            if ended:
                best = max((_overall(t) for t in complete), default=float("nan"))
                progress.trial(len(ended), best, regular, self._clock.left_s)
            if n_trials is not None and len(ended) >= n_trials and complete:
                return
            if complete and self._clock.left_s <= reserve_s:
                return
            self._one_trial(reserve_s)

    def has_complete(self) -> bool:
        """Whether there is a trial to export."""
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))

    def counts(self) -> dict[str, int]:
        """Numbers of trials that were completed and pruned."""
        states = [trial.state for trial in self.study.get_trials(deepcopy=False)]
        return {"n_complete": states.count(TrialState.COMPLETE), "n_pruned": states.count(TrialState.PRUNED)}

    def best(self, regular_mended: float = -math.inf) -> tuple[Any, FrozenTrial]:
        """The loss to export and its trial.

        Of the trials whose rank correlation is nearly the best, see `_leading`, the one that mends the largest share.

        Args:
            regular_mended: the regular loss's share on validation points. If no trial with nearly the best rank
                correlation mends as much, or less by no more than a standard error, the best of others that do counts,
                unless one that ranks nearly best mends as much as that with a smaller weight.

        Raises:
            LookupError: no trial is complete.
            OptionError: the trial is of another version of the program.
        """
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            raise LookupError("no trial is complete")
        mending = [t for t in complete if _share(t) + _error(t) >= regular_mended]
        leading = {t.number for t in _leading(complete)}
        within = [t for t in mending if t.number in leading]
        if within:
            chosen = max(within, key=_share)
            return self._loss_of(chosen), chosen
        other = max(_leading(mending or complete), key=_share)
        lighter = self._with_less_weight(complete, regular_mended)
        if lighter is not None and not (mending and _share(other) > lighter[0] + _error(other)):
            return self._loss_of(lighter[1]), lighter[1]
        return self._loss_of(other), other

    def _with_less_weight(self, complete: list[FrozenTrial], regular_mended: float) -> tuple[float, FrozenTrial] | None:
        """What the best of the leading trials mends with a smaller weight, if as much as the regular loss does."""
        found: list[tuple[float, FrozenTrial]] = []
        for trial in sorted(_leading(complete), key=_share, reverse=True)[:N_LIGHTER]:
            loss = self._loss_of(trial)
            for weight in LIGHTER:
                share, error = self._mended(loss, weight)
                if share + error >= regular_mended:
                    found.append((share, trial))
        return max(found, key=lambda pair: pair[0], default=None)

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

    def _one_trial(self, reserve_s: float) -> None:
        n = sum(trial.state != TrialState.WAITING for trial in self.study.get_trials(deepcopy=False))
        seed = zlib.crc32(repr((self._seed, n)).encode())  # so that a resumed study does not repeat its first trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
        trial = self.study.ask()
        try:
            recorded = bool(self._points.recorded_train)
            training, network, values, method, ranks = self._space.suggest(trial, recorded=recorded)
            training |= {**ranks, "soft_rank": method, "random_share": self._random_share_of(training)}
            settings = Settings(**training, objective=self._objective)
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would also set the caller's GPUs
            loss: Any = surrogates.build(self._task.name, self._metric.level, network, **values)
            tables = self._tables_of(network, loss.network.columns())
            value = train(
                loss.to(self._device),
                tables,
                settings,
                higher_is_better=self._metric.higher_is_better,
                seed=seed,
                report=lambda step, found: self._report(trial, step, found),
                out_of_time=lambda: self._clock.left_s <= reserve_s,
            )
            near = held_out_correlation(loss, tables, self._metric.higher_is_better, N_STRETCHES)
            calibrate(loss, (*tables.generated, *tables.recorded), self._metric.higher_is_better)
            share, error = self._mended(loss, 1.0)
        except optuna.TrialPruned:
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        except BaseException:
            self.study.tell(trial, state=TrialState.FAIL)
            raise
        self._keep(trial, loss)
        trial.set_user_attr("correlation", value)
        trial.set_user_attr("near", near)
        trial.set_user_attr("mended", share)
        trial.set_user_attr("mended_error", error)
        trial.set_user_attr("network", network)
        trial.set_user_attr("settings", values)
        trial.set_user_attr("training", training)
        self.study.tell(trial, RANK * value + share / MENDED)

    def _random_share_of(self, training: dict[str, Any]) -> float:
        if not self._points.recorded_train:
            return 1.0
        return self._random_share if self._random_share is not None else float(training.get("random_share", 0.5))

    def _report(self, trial: optuna.Trial, step: int, found: float) -> None:
        trial.report(found, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    def _keep(self, trial: optuna.Trial, loss: Any) -> None:
        path = self._run.trial(trial.number)
        part = path.with_name(f"{path.name}.part")
        torch.save({name: value.cpu() for name, value in loss.state_dict().items()}, part)
        os.replace(part, path)

    def _tables_of(self, network: str, columns: list[str]) -> Tables:
        """The points as a network of these features sees them; one table serves all its settings."""
        if network not in self._tables:
            wide, *parts = self._with_all_features(network)
            share = TABLE_SHARE / len(self._space.networks)
            points = self._points

            def trained(chunks: list[Chunk]) -> tuple[PointTable, ...]:
                size, within_s = sampling.set_size_of(self._metric), self._clock.budget_s * share
                return tabulate(wide, self._task, chunks, self._device, parts=parts, of_size=size, within_s=within_s)

            def judged(chunks: list[Chunk]) -> tuple[PointTable, ...]:  # the same points, whatever the network
                return tabulate(wide, self._task, chunks, self._device, gram=False)

            self._tables[network] = Tables(
                trained(points.train),
                judged(points.validation),
                trained(points.recorded_train),
                judged(points.recorded_validation),
            )
        whole = self._tables[network]
        selected = ([t.select(columns) for t in getattr(whole, field.name)] for field in dataclasses.fields(whole))
        return Tables(*selected)

    def _with_all_features(self, network: str) -> list[Any]:
        """A loss with every feature that a trial may have, and losses that have them between them, if there are any."""
        task, level = self._task.name, self._metric.level
        wide, *parts = (
            surrogates.build(task, level, network, **settings).to(self._device)
            for settings in [self._space.widest(task, network), *self._space.parts(task, network)]
        )
        found: list[Any] = [wide, *parts]
        there = {name for part in found[1:] for name in part.network.columns()}
        return found if there >= set(found[0].network.columns()) else found[:1]


def _leading(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those whose rank correlation is nearly the best.

    They lack at most `BAND_SHARE` times as much more to 1 as the best one lacks, and at most `BAND`: where a metric can
    be followed to a thousandth, a loss that misses it by six hundredths sees something else.
    """
    best = max(map(_overall, trials))
    return [t for t in trials if _overall(t) >= best - min(BAND, BAND_SHARE * (1 - best))]


def _overall(trial: FrozenTrial) -> float:
    """Held-out rank correlation over all points."""
    return float(trial.user_attrs["correlation"])


def _share(trial: FrozenTrial) -> float:
    """What the loss mends in the descent check."""
    return float(trial.user_attrs["mended"])


def _error(trial: FrozenTrial) -> float:
    """The standard error of what the loss mends."""
    return float(trial.user_attrs["mended_error"])
