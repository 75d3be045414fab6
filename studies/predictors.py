"""What predicts whether training with a loss helps? Trains models with every trial of a search.

    python -m studies.predictors f1 oil_spill haberman breast_cancer --trials 16
    python -m studies.predictors f1 --show
    python -m studies.predictors f1 haberman --space smooth_scores

A search is run (or found in `studies/losses/`), and its completed trials are scaled as an exported loss is. Models
are trained with them as in `studies.training`, and what each gains over the regular loss on the validation split is
compared with what was known of the trial before: its rank correlations, its gain in descent checks over several
distances, how unequal the norms of its gradients are, its λ, and what it gains in micro-training, where the task has
problems for it. Rows are appended to `--results`; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import autosurrogate
from autosurrogate import surrogates, tasks
from autosurrogate.errors import QualityError
from autosurrogate.evaluation import descent, point_losses
from autosurrogate.evaluation.evaluator import Evaluator
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points.labelled_points import LabelledPoints, Points
from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import trial_record
from autosurrogate.search.trial_record import TrialRecord
from studies import micro_training, rows
from studies.models._experiment import train
from studies.options import check
from studies.spaces import SPACES
from studies.training._comparison import Loss, added, of_loss
from studies.training._losses import LOSSES
from studies.training._runs import of_seed, start
from studies.training._suite import comparisons

RESULTS = Path(__file__).parent / "results" / "predictors.jsonl"
DISTANCES = (0.03, 0.1, 0.3, 1.0, 3.0)  # in the distance of the descent check
N_PROBLEMS = 8  # of micro-training
CPU = torch.device("cpu")
REGULAR = -1  # in place of a trial
KIND = ("metric", "step_fraction", "space")  # what rows of one table have in common
HEAD = """
## What predicts what training with a loss gains

Models are trained with losses of a search, chosen at random whatever their quality, beside the regular loss, all with
the learning rate that the trainings above start from, not a tuned one.
Spearman's correlation over the losses, in per cent, of what is known of a loss when it is chosen with what it gained
over the regular loss on the validation split, mean over the seeds. The *gain fraction* and the *gains* are of the
descent check: how much the metric of generated predictions rises as they follow the losses for a distance.
*Micro-training* trains tiny models on generated problems, with the regular loss alone and with the loss beside it. Over
12 to 20 losses the standard error of a correlation is 23 to 30, and a few losses that do much harm can decide it; those
of the search space smooth_scores.toml do far less, as their ranges say.
The losses of F1 and MCC were fitted when the task's search space still had λ from 0.02 up, and a network of eleven
thresholds for them; they are to be measured again.
"""


def main() -> None:
    """Train what has not been trained yet, and show what correlates with what was gained."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.predictors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("metric")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="of `python -m studies.training --help`")
    parser.add_argument("--trials", type=int, default=16, help="of the search, at most, chosen at random (16)")
    parser.add_argument("--step-fraction", type=float, default=1.0, help="of a training's steps (1)")
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", default="2m", help="of the search (2m)")
    spaces = sorted(path.stem for path in SPACES.glob("*.toml"))
    parser.add_argument("--space", choices=spaces, help="of studies/spaces/ (the task's own)")
    parser.add_argument("--data", type=Path, default=os.environ.get("AUTOSURROGATE_DATA"), help="folder of real data")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="show what is measured and train nothing")
    options = parser.parse_args()
    if not options.show:
        check(parser, options.experiments, comparisons(), options.data)
        measure(find(options.metric), options)
    wanted = (options.metric, options.step_fraction, options.space)
    for line in table([row for row in rows.read(options.results) if _kind(row) == wanted]):
        print(line)


def measure(metric: Metric, options: argparse.Namespace) -> None:
    """Append a row for each trial, experiment, weight and seed that is missing."""
    done = {_key(row) for row in rows.read(options.results)}

    def add(loss: Loss | None, **row: Any) -> None:
        row |= {
            "metric": metric.name,
            "step_fraction": options.step_fraction,
            "budget": options.budget,
            "space": options.space,
        }
        if _key(row) in done:
            return
        comparison = comparisons()[row["experiment"]]
        data = of_seed(comparison, options.data, row["seed"])
        used, state = None if loss is None else added(loss), start(comparison, options.data)
        model = replace(comparison.model, n_steps=round(options.step_fraction * comparison.model.n_steps))
        trained = train(model, data["train"], row["seed"], loss=used, weight=row["weight"], start=state)
        values = comparison.measure(trained, data["validation"], options.data)
        rows.append(options.results, {**row, "validation": values})

    for experiment in options.experiments:
        for seed in range(options.seeds):
            add(None, experiment=experiment, trial=REGULAR, weight=0.0, seed=seed, known={})
    for trial, loss, known in _trials(metric, options):
        for experiment in options.experiments:
            for weight in options.weights:
                for seed in range(options.seeds):
                    add(loss, experiment=experiment, trial=trial, weight=weight, seed=seed, known=known)


def _kind(row: Mapping[str, Any]) -> tuple[str, float, str | None]:
    """What rows of one table have in common: the metric, the fraction of the steps, and the search space if named."""
    return row["metric"], row["step_fraction"], row.get("space")


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return *_kind(row), *(row[name] for name in ("experiment", "trial", "weight", "seed"))


def _trials(metric: Metric, options: argparse.Namespace) -> Iterator[tuple[int, Loss, dict[str, float]]]:
    """Completed trials of a search: number, loss as it would be exported, and what is known of it."""
    name = "-".join(filter(None, ("run", metric.name, options.space)))
    run, task = RunDir(LOSSES / name), tasks.get(metric.task)
    if not run.path.exists():
        LOSSES.mkdir(exist_ok=True)
        try:
            autosurrogate.fit(
                metric, budget=options.budget, space=SPACES / f"{options.space}.toml" if options.space else None,
                run_dir=run.path, out=LOSSES / f"{name}.pt", force=True, overwrite=True,
            )  # fmt: skip
        except QualityError as error:  # the trials exist all the same
            print(error)
    storage = JournalStorage(JournalFileBackend(str(run.study)))
    study = optuna.load_study(study_name=metric.name, storage=storage)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    chosen = sorted(np.random.default_rng(0).permutation(len(complete))[: options.trials])
    with Labeller(metric) as labeller, Clock(run, 1e9) as clock:
        points = LabelledPoints(run, clock, task, metric, labeller, 0, Progress()).for_search([])
        evaluator, micro = Evaluator(task, metric, labeller, CPU, points, 0), _MicroTraining(metric, options.weights)
        for trial in (complete[i] for i in chosen):
            record = trial_record.read(trial)
            loss: Any = surrogates.build(task, metric.level, record.network, **record.network_settings)
            loss.load_state_dict(torch.load(run.trial(trial.number), weights_only=True))
            evaluator.rescale(loss)
            loss.requires_grad_(False)
            used = of_loss(loss, task.name)
            known = _known(record, loss, metric, points, labeller, evaluator.distance)
            yield trial.number, used, known | micro.gains(used)


def _known(
    record: TrialRecord, loss: Any, metric: Metric, points: Points, labeller: Labeller, unit: float
) -> dict[str, float]:
    task = tasks.get(metric.task)
    of_points = point_losses.loss_of_points(loss, task)
    n_points = descent.N_POINTS[metric.level]
    mid_quality = descent.mid_quality(points.validation, metric.higher_is_better, n_points)
    norms = point_losses.gradient_norms(of_points, points.validation, task, CPU)
    known = {
        "rank correlation": record.validation_spearman,
        "rank correlation at similar quality": record.similar_quality_spearman,
        "gain fraction with the regular loss": record.gain_fraction,
        "lambda": float(record.training_settings["penalty"]),
        "window": float(record.training_settings["window"]),
        "largest gradients": float(norms.quantile(0.99) / norms.median().clamp_min(1e-12)),
    }
    for distance in DISTANCES:
        descended = descent.descend(of_points, mid_quality, task, metric, CPU, distance * unit)
        gains = descent.improvement(descended, mid_quality, metric, labeller)
        known[f"gain over {distance:g}"] = float(np.nanmean(gains))
    return known


class _MicroTraining:
    """What losses of a metric gain in micro-training; models with the regular loss alone are measured once."""

    def __init__(self, metric: Metric, weights: list[float]) -> None:
        self._metric, self._weights = metric, weights

    @cached_property
    def _alone(self) -> np.ndarray:
        return micro_training.measured(self._metric, N_PROBLEMS)

    def gains(self, loss: Loss) -> dict[str, float]:
        """Gains by their names in the table; empty if the task has no problems."""
        if self._metric.task not in micro_training.PROBLEMS:
            return {}
        with_loss = {w: micro_training.measured(self._metric, N_PROBLEMS, loss, w) for w in self._weights}
        return {
            f"gain in micro-training, weight {weight:g}": float((reached - self._alone).mean())
            for weight, reached in with_loss.items()
        }


def section(measured: list[dict[str, Any]]) -> str:
    """The section of docs/measurements/results.md; empty if nothing is measured."""
    parts = []
    for metric, step_fraction, space in dict.fromkeys(map(_kind, measured)):
        own = [row for row in measured if _kind(row) == (metric, step_fraction, space)]
        names = " ".join(dict.fromkeys(row["experiment"] for row in own))
        weights = " ".join(f"{weight:g}" for weight in sorted({row["weight"] for row in own} - {0.0}))
        n_trials, n_seeds = (len({row[name] for row in own} - {REGULAR}) for name in ("trial", "seed"))
        lines = "\n".join(table(own))
        of_space = f" --space {space}" if space else ""
        parts.append(
            f"\n`python -m studies.predictors {metric} {names} --trials {n_trials} --weights {weights} "
            f"--seeds {n_seeds} --step-fraction {step_fraction:g} --budget {own[0]['budget']}{of_space}`\n\n{lines}\n"
        )
    return HEAD + "".join(parts) if parts else ""


def table(measured: list[dict[str, Any]]) -> Iterator[str]:
    """Spearman's correlation of each thing known before with the metric gained, for each experiment and weight."""
    if not measured:
        return
    metric = find(measured[0]["metric"])
    sign = 1 if metric.higher_is_better else -1
    regular = {(r["experiment"], r["seed"]): r["validation"][metric.name] for r in measured if r["trial"] == REGULAR}
    with_loss = [row for row in measured if row["trial"] != REGULAR]
    if not with_loss:  # it was stopped while searching
        return
    settings = sorted({(row["experiment"], row["weight"]) for row in with_loss})
    gained: dict[tuple[str, float], dict[int, float]] = {column: {} for column in settings}
    known = {row["trial"]: row["known"] for row in with_loss}
    for experiment, weight in settings:
        for trial in known:
            of = [r for r in with_loss if (r["experiment"], r["weight"], r["trial"]) == (experiment, weight, trial)]
            each = [sign * (r["validation"][metric.name] - regular[experiment, r["seed"]]) for r in of]
            if each:
                gained[experiment, weight][trial] = float(np.mean(each))
    yield f"| known before | {' | '.join(f'{experiment}, weight {weight:g}' for experiment, weight in settings)} |"
    yield "| --- |" + " --- |" * len(settings)
    first, *others = known.values()
    for name in [name for name in first if all(name in other for other in others)]:
        if others and all(other[name] == first[name] for other in others):  # it is the same for all
            continue
        of_column = [spearman(np.array([known[t][name] for t in g]), np.array([*g.values()])) for g in gained.values()]
        yield f"| {name} | {' | '.join(f'{100 * value:.0f}' for value in of_column)} |"
    spread = [
        f"{np.median([*g.values()]):.4f} ({min(g.values()):.4f} to {max(g.values()):.4f})" for g in gained.values()
    ]
    yield f"| gained: median (range) | {' | '.join(spread)} |"


if __name__ == "__main__":
    main()
