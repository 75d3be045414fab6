"""What a run decides once, before its first trial: networks, evaluation points and trials in parallel.

What depends on the metric's values or on measured times is saved in the run's folder, so that a resumed run goes on
with the same decisions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import loky
import torch

from autosurrogate._utils.devices import memory_bytes
from autosurrogate._utils.files import write_json
from autosurrogate.errors import QualityError
from autosurrogate.evaluation import invariances, subsampling
from autosurrogate.evaluation.subsampling import Costs
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.pipeline import dependences
from autosurrogate.pipeline.fit_inputs import FitInputs
from autosurrogate.points.labelled_points import Points
from autosurrogate.run.budget import PARALLEL_MIN_S, SHORT_FIT, VALIDATION
from autosurrogate.run.options import Options
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search.space import Space
from autosurrogate.search.window import LAG

MIN_TRIALS_OF_NETWORK = 2  # with fewer, on the mean, settings were hardly searched
MIN_PARALLEL_TRIALS = 4  # with fewer, starting processes takes longer than they save
BYTES_PER_TRAINER = 2**30  # memory of a process that trains
MAX_TRAINERS_ON_GPU = 4  # each process keeps its own libraries and tables in the GPU's memory


def suitable_space(run: RunDir, inputs: FitInputs, labeller: Labeller, say: Callable[[str], None]) -> Space:
    """The search space with only the networks that suit the metric, see `invariances.excluded_networks`.

    Raises:
        QualityError: no network sees what the metric depends on, and the options do not force a fit.
    """
    file, metric = run.labelled / "networks.json", inputs.metric
    space = inputs.space.suited(inputs.task, metric.view, metric.level)
    if not file.exists():
        found = dependences.find(
            inputs.task, metric, space.widest_networks(inputs.task), labeller, inputs.options.seed,
            SHORT_FIT.of(inputs.options.budget_s),
        )  # fmt: skip
        reason = invariances.refusal(found, inputs.task)
        if reason is not None and not inputs.options.force:
            raise QualityError(f"no loss was fitted: metric {metric.name!r} {reason}. --force fits one anyway")
        excluded = invariances.excluded_networks(list(space.networks), inputs.task, found)
        for text in filter(None, (dependences.notice(one, inputs.task) for one in found)):
            say(text)
        excluded |= {
            name: f"it is not built for metrics of view {metric.view!r} and level {metric.level!r}"
            for name in inputs.space.networks
            if name not in space.networks
        }
        if inputs.options.space is not None:  # users who wrote the space expect all of its networks
            for name, why in excluded.items():
                say(f"network {name!r} of --space is not searched: {why}")
        write_json(file, [name for name in space.networks if name not in excluded])
    names = json.loads(file.read_text(encoding="utf-8"))
    return replace(space, networks={name: inputs.space.networks[name] for name in names})


def evaluation_costs(run: RunDir, inputs: FitInputs, space: Space, points: Points) -> Costs:
    """What evaluating a point costs, counted once a run, so that all its trials are evaluated on the same points."""
    file = run.labelled / "costs.json"
    if not file.exists():
        costs = subsampling.count_costs(
            inputs.task, inputs.metric, space.widest_networks(inputs.task), points.validation, inputs.device
        )
        write_json(file, [list(costs.forward.items()), list(costs.step.items())])
    forward, step = json.loads(file.read_text(encoding="utf-8"))
    return Costs(dict(forward), dict(step))


def evaluated_points(points: Points, costs: Costs, budget_s: float) -> Points:
    """The points of the search, with as many for validation as there is time to evaluate losses on."""
    seconds = VALIDATION.of(budget_s)
    return replace(
        points,
        validation=subsampling.subsample(points.validation, costs, seconds),
        recorded_validation=subsampling.subsample(points.recorded_validation, costs, seconds),
    )


def n_trainers(options: Options, device: torch.device, left_s: float) -> int:
    """How many trials to train in parallel.

    Args:
        options: the run's options.
        device: where to train.
        left_s: seconds that are left for the search.
    """
    if options.workers is not None:
        return options.workers
    few_trials = options.trials is not None and options.trials < MIN_PARALLEL_TRIALS
    if few_trials or left_s < PARALLEL_MIN_S:
        return 1
    limit = MAX_TRAINERS_ON_GPU if device.type == "cuda" else LAG
    return max(1, min(int(loky.cpu_count()), limit, memory_bytes() // BYTES_PER_TRAINER))


def too_few_trials(n_trials: int, space: Space, options: Options) -> str | None:
    """A warning for the user if the budget was enough for hardly any trials; None if they were enough, or as asked for.

    Args:
        n_trials: trials that were completed or pruned.
        space: what they searched.
        options: the run's options.
    """
    n_few = MIN_TRIALS_OF_NETWORK * len(space.networks)
    if options.trials is not None or n_trials >= n_few:
        return None
    return (
        f"only {n_trials} of the {n_few} trials that a search needs at least ended within the budget of "
        f"{options.budget_s:g} s; a longer --budget, or a machine that is not busy, may find a better loss"
    )
