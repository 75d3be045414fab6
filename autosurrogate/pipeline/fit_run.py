"""A run of a fit: its steps from checked options to the exported file."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import loky
import torch

from autosurrogate import outputs, surrogates, tasks
from autosurrogate._utils.devices import device_of, memory_bytes
from autosurrogate._utils.files import write_json
from autosurrogate.errors import AutosurrogateError, OptionError, QualityError
from autosurrogate.evaluation import invariances, subsampling
from autosurrogate.evaluation.evaluator import Judge, shortfalls
from autosurrogate.evaluation.subsampling import Costs
from autosurrogate.examples import Examples
from autosurrogate.export import writer
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points import sampling
from autosurrogate.points.labelled_points import LabelledPoints, Points
from autosurrogate.points.recorded_splits import split_recorded
from autosurrogate.registry import mixtures
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S, DESCENT, FINISHING, PARALLEL_MIN_S, VALIDATION, Clock
from autosurrogate.run.options import Options
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import search_space
from autosurrogate.search.optuna_logging import only_errors
from autosurrogate.search.search_space import Space
from autosurrogate.search.study import LAG, Search
from autosurrogate.tasks import Task

MIN_PARALLEL_TRIALS = 4  # with fewer of which processes would not pay
BYTES_EACH = 2**30  # of memory, for a process that trains
MOST_ON_GPU = 4  # processes that train on one GPU, each of which keeps its libraries and tables there


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class FitResult:
    """What a fit ended with.

    Args:
        path: the TorchScript file.
        program: the `torch.export` program beside it.
        run_dir: the run's folder.
        metadata: what `autosurrogate inspect` shows.
        sizes: bytes of each file.
        shortfalls: what would have been refused without `force`; empty for a good loss.
        seconds: wall-clock time.
    """

    path: Path
    program: Path
    run_dir: Path
    metadata: dict[str, Any]
    sizes: dict[str, int]
    shortfalls: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Prepared:
    """What a run is made with, beside its metric and its options."""

    task: Task
    device: torch.device
    space: Space
    recorded: list[dict[str, Examples]]


def prepare(metric: Metric, options: Options, space: str | Path | None) -> Prepared:
    """All that can be found wrong before anything starts."""
    task = tasks.get(metric.task)
    device, choices = device_of(options.device), search_space.load(metric.task, space)
    recorded = [outputs.read(file, task) for file in options.outputs]
    if metric.level == "sample":
        recorded = [one.with_target(task) for one in recorded]
    return Prepared(task, device, choices, split_recorded(recorded, metric, options.seed))


def finish(run: RunDir, metric: Metric, options: Options, prepared: Prepared, progress: Progress) -> FitResult:
    """Do what is left to do of a run."""
    with run.session(), only_errors():
        try:
            with Clock(run, options.budget_s) as clock:
                return _search_and_export(run, clock, metric, options, prepared, progress)
        except (AutosurrogateError, KeyboardInterrupt) as error:
            if not run.has_labels():
                run.discard()
            elif isinstance(error, KeyboardInterrupt) and options.metric is not None:
                raise KeyboardInterrupt(f"interrupted; go on with: autosurrogate fit --resume {run.path}") from None
            raise


def _search_and_export(
    run: RunDir, clock: Clock, metric: Metric, options: Options, prepared: Prepared, progress: Progress
) -> FitResult:
    progress.say(f"run in {run.path}")
    reserve_s = FINISHING.of(options.budget_s)
    with Labeller(metric, n_workers=options.workers, timeout_s=CALL_LIMIT_S) as labeller:
        labelled = LabelledPoints(
            run, clock, prepared.task, metric, labeller, options.seed, progress, invariances.N_CALLS
        )
        labelled.calibrate()
        space = _seeing(run, metric, options, prepared, labeller, progress)
        points = labelled.searched(prepared.recorded)
        costs = _costs(run, metric, prepared, space, points)
        validation_s, descent_s = VALIDATION.of(options.budget_s), DESCENT.of(options.budget_s)
        thinned = (subsampling.thinned(c, costs, validation_s) for c in (points.validation, points.recorded_validation))
        points = replace(points, **dict(zip(("validation", "recorded_validation"), thinned, strict=True)))
        judge = Judge(prepared.task, metric, labeller, prepared.device, points, options.seed, costs, descent_s)
        n_trainers = _n_trainers(options, prepared.device, clock.left_s - reserve_s)
        search = Search(
            run, clock, prepared.task, metric, space, points,
            objective=options.objective, random_share=options.random_share,
            seed=options.seed, device=prepared.device, judge=judge,
            n_workers=n_trainers,
            all_threads=options.workers is None and options.trials is None,  # else it is to be the same for all numbers
        )  # fmt: skip
        labelled.begin_held_out()
        hurried = False
        progress.say("searching" if n_trainers == 1 else f"searching, {min(n_trainers, LAG)} trials at a time")
        try:
            search.run(options.trials, reserve_s, judge.regular_held_out(), progress)
        except KeyboardInterrupt:
            if not search.has_complete():
                raise
            hurried = True
            progress.say("interrupted: exporting the best loss so far; Ctrl-C again ends at once")
        loss, trial = search.best(judge.regular_mended())
        judge.rescale(loss)
        held_out = labelled.held_out(hurried=hurried)
        metadata = _metadata(metric, options, prepared.device, trial, search)
        metadata["generator"] = labelled.coverage(points)
        metadata["labelled"] = _labelled(labelled)
        metadata |= judge.report(loss, held_out)
    short = shortfalls(metadata)
    if short and not options.force:
        anyway = "--force" if metric.spec is None else f"`autosurrogate fit --resume {run.path} --force`"
        raise QualityError(
            f"no loss was written: {'; '.join(short)}. A longer --budget may help; {anyway} writes it all the same"
        )
    path = Path(options.out)
    if not (options.overwrite or run.has_exported):
        _check_still_free(path, run, metric)
    run.note_export()
    made = [_made(prepared.task, metric, options.seed, k) for k in range(3)]  # of several sizes
    prepared.task.configure(loss, made[0])  # not as the last recorded outputs asked for
    arguments = [surrogates.arguments(prepared.task, examples) for examples in made]
    sizes = writer.write(loss, metadata, arguments, path, run.tag)
    return FitResult(path, writer.program_path(path), run.path, metadata, sizes, tuple(short), clock.spent_s)


def _check_still_free(path: Path, run: RunDir, metric: Metric) -> None:
    """That nothing else was written where the loss is to stand, since the run was begun."""
    for file in (path, writer.program_path(path)):
        if file.exists():
            again = "fit again" if metric.spec is None else f"go on with `autosurrogate fit --resume {run.path}`"
            raise OptionError(f"--out {file}: something else wrote it during the fit; move it away, and {again}")


def _seeing(
    run: RunDir, metric: Metric, options: Options, prepared: Prepared, labeller: Labeller, progress: Progress
) -> Space:
    """The search space of the networks that see what the metric depends on; found out once a run.

    Raises:
        QualityError: there is none, and it is not asked for all the same.
    """
    file = run.labelled / "networks.json"
    if not file.exists():
        found = invariances.dependences(
            prepared.task,
            metric,
            prepared.space.widest_networks(prepared.task.name),
            lambda points: labeller.label(points).values,
            options.seed,
        )
        reason = invariances.refusal(found, prepared.task)
        if reason is not None and not options.force:
            raise QualityError(f"no loss was fitted: metric {metric.name!r} {reason}. --force fits one all the same")
        left_out = invariances.left_out(list(prepared.space.networks), metric, found)
        if options.space is not None:  # the user's own, who would wonder
            for name, why in left_out.items():
                progress.say(f"network {name!r} of --space is not searched: {why}")
        write_json(file, [name for name in prepared.space.networks if name not in left_out])
    names = json.loads(file.read_text(encoding="utf-8"))
    return replace(prepared.space, networks={name: prepared.space.networks[name] for name in names})


def _n_trainers(options: Options, device: torch.device, left_s: float) -> int:
    """How many trials to train at a time."""
    if options.workers is not None:
        return options.workers
    few = options.trials is not None and options.trials < MIN_PARALLEL_TRIALS
    if few or left_s < PARALLEL_MIN_S:
        return 1
    most = MOST_ON_GPU if device.type == "cuda" else LAG
    return max(1, min(int(loky.cpu_count()), most, memory_bytes() // BYTES_EACH))


def _costs(run: RunDir, metric: Metric, prepared: Prepared, space: Space, points: Points) -> Costs:
    """What a point costs; found out once a run, so that all its trials are judged on the same points."""
    file = run.labelled / "costs.json"
    if not file.exists():
        found = subsampling.measure(
            prepared.task, metric, space.widest_networks(prepared.task.name), points.validation, prepared.device
        )
        write_json(file, [list(found.forward.items()), list(found.step.items())])
    forward, step = json.loads(file.read_text(encoding="utf-8"))
    return Costs(dict(forward), dict(step))


def _labelled(labelled: LabelledPoints) -> Mapping[str, Any]:
    totals = labelled.totals()
    example = None if totals.example is None else totals.example.message
    return {"n_points": totals.n_points, "n_dropped": totals.n_dropped, "dropped": totals.dropped, "example": example}


def _metadata(
    metric: Metric, options: Options, device: torch.device, trial: FrozenTrial, search: Search
) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "spec": metric.spec,
        **({"mixture": mixtures.told(metric)} if metric.parts else {}),
        "task": tasks.kind(metric.task),
        **({} if options.tokenizer is None else {"tokenizer": _tokenizer(options)}),
        "level": metric.level,
        "view": metric.view,
        "set_size": metric.set_size,
        "higher_is_better": metric.higher_is_better,
        "network": {"name": trial.user_attrs["network"], **trial.user_attrs["settings"]},
        "training": {**trial.user_attrs["training"], "objective": options.objective},
        "search": {"trial": trial.number, **search.counts(), "validation_spearman": trial.user_attrs["correlation"]},
        "seed": options.seed,
        "budget_s": options.budget_s,
        "outputs": [Path(file).name for file in options.outputs],
        "device": str(device),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("autosurrogate", "torch", "optuna", "numpy")},
        },
    }


def _tokenizer(options: Options) -> dict[str, str | None]:
    return {"file": options.tokenizer, "sha256": options.tokenizer_digest}


def _made(task: Task, metric: Metric, seed: int, k: int) -> Examples:
    """The k-th batch of generated examples to check files with, in the dtype that the exported program takes."""
    generator = sampling.generator_of(seed, "export", k)
    examples = task.whole(task.generate(torch.rand(5 + k, generator=generator), generator, 1, metric.view))
    return examples.with_preds(examples.preds.float())
