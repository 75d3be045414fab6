"""Fitting a loss to a metric, from its name to the exported file."""

from __future__ import annotations

import datetime
import itertools
import json
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import loky
import optuna
import torch

from autosurrogate import (
    affordable,
    caller_settings,
    digests,
    export,
    mixture,
    outputs,
    sampling,
    search_space,
    surrogates,
    tasks,
    unseen,
)
from autosurrogate.affordable import Costs
from autosurrogate.devices import device_of, memory_bytes
from autosurrogate.durations import seconds
from autosurrogate.errors import AutosurrogateError, OptionError, QualityError
from autosurrogate.examples import Examples
from autosurrogate.judge import Judge, shortfalls
from autosurrogate.labelled_points import LabelledPoints, Points
from autosurrogate.labelling import Labeller
from autosurrogate.metric import find, with_tokenizer
from autosurrogate.progress import Progress
from autosurrogate.recorded_splits import split_recorded
from autosurrogate.registry import Metric
from autosurrogate.run_dir import Clock, RunDir, write_json
from autosurrogate.search import LAG, Search
from autosurrogate.search_space import Space
from autosurrogate.tasks import Task

LEAST_BUDGET_S = 5.0
FINISH_S = 20.0  # kept for the last check and the export, at most a fifth of the budget
TIMEOUT_S = 10.0  # of one call of the metric
LEAST_ASIDE_S, LEAST_ASIDE = 20.0, 4  # of the budget, and trials, with less of which processes would not pay
BYTES_EACH = 2**30  # of memory, for a process that trains
MOST_ON_GPU = 4  # processes that train on one GPU, each of which keeps its libraries and tables there


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
class _Options:
    """A run's options, as they are kept in its folder.

    The digests tell an edited metric file and other recorded outputs, whose labels would not be those that are there.
    """

    metric: str | None
    metric_digest: str | None
    out: str
    budget_s: float
    trials: int | None
    outputs: tuple[str, ...]
    outputs_digests: tuple[str, ...]
    random_share: float | None
    device: str
    workers: int | None
    seed: int
    objective: Literal["correlation", "approximation"]
    space: str | None
    tokenizer: str | None
    tokenizer_digest: str | None
    force: bool
    overwrite: bool


@caller_settings.set_aside()
def fit(
    metric: str | Callable[..., Any] | Metric | Sequence[str | Callable[..., Any] | Metric],
    *,
    weights: Sequence[float] = (),
    out: str | Path | None = None,
    budget: str | float = "5m",
    trials: int | None = None,
    outputs: str | Path | Sequence[str | Path] = (),
    random_share: float | None = None,
    device: str | torch.device = "auto",
    workers: int | None = None,
    seed: int = 0,
    run_dir: str | Path | None = None,
    objective: Literal["correlation", "approximation"] = "correlation",
    space: str | Path | None = None,
    tokenizer: str | Path | None = None,
    force: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a loss to a metric and export it.

    Args:
        metric: what `autosurrogate.metric.find` takes, such as the name of a built-in metric, "file.py:function", or a
            function decorated with `metric`; or several of one task, to fit one loss to their weighted mean, each in
            standard deviations over generated points and with its direction.
        weights: of several metrics, one each; all alike if empty.
        out: TorchScript file to write; `<name of the metric>.pt` if None.
        budget: wall-clock time for everything: seconds, or such as "90s", "5m", "1h30m".
        trials: stop after so many trials, if the budget is not spent before.
        outputs: files of recorded outputs of real models (G_M), to train on beside generated points.
        random_share: probability that a batch is generated where there are recorded outputs; searched if None.
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: processes that label, and trials that are trained at a time, each with one thread; as many as there are
            cores if None. What a trial comes to does not depend on it.
        seed: of everything random.
        run_dir: folder of the run; `runs/<name>-<date>` if None.
        objective: "correlation" (ReLoss, eq. 6) or "approximation" (eq. 5).
        space: TOML file of a search space; the task's own if None.
        tokenizer: of a metric of sequences, the file of the vocabulary whose tokens they are, see
            `autosurrogate.vocabulary.read`: for metrics of how tokens are spelled. The loss is for that vocabulary.
        force: write the loss even if it is refused for quality.
        overwrite: replace `out` if it exists.
        progress: told what happens.

    Returns:
        Where the loss is and how good it is.

    Raises:
        MetricError, OptionError, OutputsError, SpaceError: an argument cannot be used; nothing was started.
        LabellingError: the metric fails on too many points, is constant, or returns no number.
        QualityError: the best loss is not good enough; nothing was written.
        KeyboardInterrupt: interrupted before a first trial was complete.
    """
    several = () if isinstance(metric, str | Metric) or callable(metric) else tuple(metric)
    if weights and len(several) < 2:
        raise OptionError("--weights: are for several metrics, each with its --metric")
    if len(several) > 1:
        found_parts, weights = mixture.parts(several, weights)
        found_parts = [with_tokenizer(part, tokenizer) for part in found_parts]
        found = mixture.mixed(found_parts, weights).check()  # to check the options by; normalised below
    else:
        found = with_tokenizer(find(several[0] if several else metric), tokenizer)  # type: ignore[arg-type]
    files = (outputs,) if isinstance(outputs, str | Path) else tuple(outputs)
    options = _Options(
        metric=found.spec,
        metric_digest=digests.of_metric(found),
        out=str(Path(out if out is not None else f"{_file_name(found.name)}.pt").absolute()),
        budget_s=seconds(budget),
        trials=trials,
        outputs=tuple(str(Path(f).absolute()) for f in files),
        outputs_digests=tuple(digests.of_file(f) for f in files),
        random_share=random_share,
        device=str(device),
        workers=workers,
        seed=seed,
        objective=objective,
        space=None if space is None else str(Path(space).absolute()),
        tokenizer=None if tokenizer is None else str(Path(tokenizer).absolute()),
        tokenizer_digest=None if tokenizer is None else digests.of_file(tokenizer),
        force=force,
        overwrite=overwrite,
    )
    _check(options)
    export.check_writable(Path(options.out), overwrite=overwrite)
    prepared = _prepare(found, options, options.space)
    began = time.monotonic()
    if len(several) > 1:
        found = mixture.normalised(found_parts, weights, timeout_s=TIMEOUT_S, n_workers=workers, seed=seed)
        options = replace(options, metric=found.spec)
    run = RunDir(run_dir if run_dir is not None else _new_run_dir(found.name))
    run.create(asdict(options), search_space.text_of(found.task, options.space), time.monotonic() - began)
    return _run(run, found, options, prepared, progress or Progress())


@caller_settings.set_aside()
def resume(run_dir: str | Path, *, force: bool = False, progress: Progress | None = None) -> FitResult:
    """Continue a run that was ended early, with its own options and the rest of its budget.

    Args:
        run_dir: the run's folder.
        force: write the loss even if it is refused for quality.
        progress: told what happens.

    Raises:
        OptionError: there is no run in the folder, or its metric was a function that only that process knew or has
            changed since.
        QualityError: the best loss is not good enough; nothing was written.
    """
    run = RunDir(run_dir)
    try:
        kept = run.config()
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}
        options = _Options(**fields)
        options = replace(options, force=options.force or force)
    except (TypeError, KeyError) as e:
        raise OptionError(f"--resume {run_dir}: its options were written by another version: {e}") from e
    if options.metric is None:
        raise OptionError(
            f"--resume {run_dir}: its metric was a function of a script or notebook, which cannot be found again; "
            "put it in a file and fit it as file.py:function"
        )
    found = with_tokenizer(find(options.metric), options.tokenizer)
    if options.tokenizer is not None and digests.of_file(options.tokenizer) != options.tokenizer_digest:
        raise OptionError(f"--resume {run_dir}: the tokenizer has changed since it was started; start a new run")
    if tuple(digests.of_file(f) for f in options.outputs) != options.outputs_digests:
        raise OptionError(
            f"--resume {run_dir}: the recorded outputs have changed since it was started; start a new run"
        )
    if digests.of_metric(found) != options.metric_digest:
        raise OptionError(
            f"--resume {run_dir}: the file of metric {found.name!r} has changed since its points were labelled; "
            "start a new run"
        )
    export.check_writable(Path(options.out), overwrite=options.overwrite or run.has_exported)
    return _run(run, found, options, _prepare(found, options, run.space), progress or Progress())


@dataclass(frozen=True)
class _Prepared:
    task: Task
    device: torch.device
    space: Space
    recorded: list[dict[str, Examples]]


def _prepare(metric: Metric, options: _Options, space: str | Path | None) -> _Prepared:
    """All that can be found wrong before anything starts."""
    task = tasks.get(metric.task)
    device, choices = device_of(options.device), search_space.load(metric.task, space)
    recorded = [outputs.read(file, task) for file in options.outputs]
    if metric.level == "sample":
        recorded = [one.with_target(task) for one in recorded]
    return _Prepared(task, device, choices, split_recorded(recorded, metric, options.seed))


def _check(options: _Options) -> None:
    if not 0 <= options.seed < 2**62:
        raise OptionError(f"--seed {options.seed}: must be 0 or more, and below 2**62")
    if options.budget_s < LEAST_BUDGET_S:
        raise OptionError(f"--budget {options.budget_s:g}s: is too short; a fit needs {LEAST_BUDGET_S:g}s or more")
    if options.trials is not None and options.trials < 1:
        raise OptionError(f"--trials {options.trials}: must be 1 or more")
    if options.workers is not None and options.workers < 1:
        raise OptionError(f"--workers {options.workers}: must be 1 or more")
    if options.random_share is not None and not 0 <= options.random_share <= 1:
        raise OptionError(f"--random-share {options.random_share:g}: is a probability, from 0 to 1")
    if options.random_share is not None and not options.outputs:
        raise OptionError("--random-share: needs recorded outputs to share with; add --outputs FILE")
    if options.objective not in ("correlation", "approximation"):
        raise OptionError(f"--objective {options.objective}: expected correlation or approximation")


def _run(run: RunDir, metric: Metric, options: _Options, prepared: _Prepared, progress: Progress) -> FitResult:
    """Do what is left to do of a run."""
    with run.session():
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
    run: RunDir, clock: Clock, metric: Metric, options: _Options, prepared: _Prepared, progress: Progress
) -> FitResult:
    progress.say(f"run in {run.path}")
    reserve_s = min(FINISH_S, options.budget_s / 5)
    with Labeller(metric, n_workers=options.workers, timeout_s=TIMEOUT_S) as labeller:
        labelled = LabelledPoints(run, clock, prepared.task, metric, labeller, options.seed, progress)
        labelled.calibrate()
        space = _seeing(run, metric, options, prepared, labeller, progress)
        points = labelled.searched(prepared.recorded)
        costs = _costs(run, metric, prepared, space, points)
        judged_s, descent_s = (s * options.budget_s for s in (affordable.JUDGED_SHARE, affordable.DESCENT_SHARE))
        thinned = (affordable.thinned(c, costs, judged_s) for c in (points.validation, points.recorded_validation))
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
    made = [
        _made(prepared.task, metric, options.seed, k) for k in range(3)
    ]  # of several sizes, to compare the files by
    prepared.task.configure(loss, made[0])  # not as the last recorded outputs asked for
    arguments = [surrogates.arguments(prepared.task, examples) for examples in made]
    sizes = export.write(loss, metadata, arguments, path, run.tag)
    return FitResult(path, export.program_path(path), run.path, metadata, sizes, tuple(short), clock.spent_s)


def _check_still_free(path: Path, run: RunDir, metric: Metric) -> None:
    """That nothing else was written where the loss is to stand, since the run was begun."""
    for file in (path, export.program_path(path)):
        if file.exists():
            again = "fit again" if metric.spec is None else f"go on with `autosurrogate fit --resume {run.path}`"
            raise OptionError(f"--out {file}: something else wrote it during the fit; move it away, and {again}")


def _seeing(
    run: RunDir, metric: Metric, options: _Options, prepared: _Prepared, labeller: Labeller, progress: Progress
) -> Space:
    """The search space of the networks that see what the metric depends on; found out once a run.

    Raises:
        QualityError: there is none, and it is not asked for all the same.
    """
    file = run.labelled / "networks.json"
    if not file.exists():
        found = unseen.dependences(
            prepared.task, metric, prepared.space, lambda points: labeller.label(points).values, options.seed
        )
        reason = unseen.refusal(found, prepared.task)
        if reason is not None and not options.force:
            raise QualityError(f"no loss was fitted: metric {metric.name!r} {reason}. --force fits one all the same")
        left_out = unseen.left_out(prepared.space, metric, found)
        if options.space is not None:  # the user's own, who would wonder
            for name, why in left_out.items():
                progress.say(f"network {name!r} of --space is not searched: {why}")
        write_json(file, [name for name in prepared.space.networks if name not in left_out])
    names = json.loads(file.read_text(encoding="utf-8"))
    return replace(prepared.space, networks={name: prepared.space.networks[name] for name in names})


def _n_trainers(options: _Options, device: torch.device, left_s: float) -> int:
    """How many trials to train at a time."""
    if options.workers is not None:
        return options.workers
    few = options.trials is not None and options.trials < LEAST_ASIDE
    if few or left_s < LEAST_ASIDE_S:
        return 1
    most = MOST_ON_GPU if device.type == "cuda" else LAG
    return max(1, min(int(loky.cpu_count()), most, memory_bytes() // BYTES_EACH))


def _costs(run: RunDir, metric: Metric, prepared: _Prepared, space: Space, points: Points) -> Costs:
    """What a point costs; found out once a run, so that all its trials are judged on the same points."""
    file = run.labelled / "costs.json"
    if not file.exists():
        found = affordable.measure(prepared.task, metric, space, points.validation, prepared.device)
        write_json(file, [list(found.forward.items()), list(found.step.items())])
    forward, step = json.loads(file.read_text(encoding="utf-8"))
    return Costs(dict(forward), dict(step))


def _labelled(labelled: LabelledPoints) -> Mapping[str, Any]:
    totals = labelled.totals()
    example = None if totals.example is None else totals.example.message
    return {"n_points": totals.n_points, "n_dropped": totals.n_dropped, "dropped": totals.dropped, "example": example}


def _metadata(
    metric: Metric, options: _Options, device: torch.device, trial: optuna.trial.FrozenTrial, search: Search
) -> dict[str, Any]:
    return {
        "metric": metric.name,
        "spec": metric.spec,
        **({"mixture": mixture.told(metric)} if metric.parts else {}),
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


def _tokenizer(options: _Options) -> dict[str, str | None]:
    return {"file": options.tokenizer, "sha256": options.tokenizer_digest}


def _made(task: Task, metric: Metric, seed: int, k: int) -> Examples:
    """The k-th batch of generated examples to check files with, in the dtype that the exported program takes."""
    generator = sampling.generator_of(seed, "export", k)
    examples = task.whole(task.generate(torch.rand(5 + k, generator=generator), generator, 1, metric.view))
    return examples.with_preds(examples.preds.float())


def _new_run_dir(name: str) -> Path:
    """A folder that no other fit has, made empty."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for n in itertools.count(1):
        path = Path("runs") / (f"{_file_name(name)}-{now}" + (f"-{n}" if n > 1 else ""))
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError:
            pass  # `create` tells why
        break
    return path


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)
