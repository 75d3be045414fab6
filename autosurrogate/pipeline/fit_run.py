"""The steps of a fit, from checked inputs to the exported file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from autosurrogate import surrogates
from autosurrogate.errors import AutosurrogateError, OptionError, QualityError
from autosurrogate.evaluation import invariances
from autosurrogate.evaluation.evaluator import Evaluator
from autosurrogate.evaluation.shortfalls import shortfalls
from autosurrogate.examples import Examples
from autosurrogate.export import writer
from autosurrogate.export.metadata import LossMetadata
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.pipeline import fit_decisions
from autosurrogate.pipeline.fit_inputs import FitInputs
from autosurrogate.pipeline.fit_metadata import loss_metadata
from autosurrogate.points import sampling
from autosurrogate.points.labelled_points import LabelledPoints
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S, DESCENT, FINISHING, Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import study
from autosurrogate.search.optuna_logging import only_errors
from autosurrogate.search.search import Search
from autosurrogate.search.stagnation import MIN_RISE
from autosurrogate.search.trial_record import TrialRecord
from autosurrogate.search.window import LAG
from autosurrogate.surrogates import Loss

STAGNATED = (
    "stopped before the budget was spent: the later half of the trials raised the objective value by less than "
    f"{MIN_RISE:g}"
)
N_EXPORT_CHECKS = 3  # batches that the exported files are compared on, of different sizes


@dataclass(frozen=True)
class FitResult:
    """The result of a fit.

    Args:
        path: the TorchScript file.
        program: the `torch.export` program beside it.
        run_dir: the run's folder.
        metadata: what `autosurrogate inspect` shows.
        sizes: bytes of each file.
        shortfalls: why the loss would have been refused without `force`; empty for a good loss.
        seconds: wall-clock time.
    """

    path: Path
    program: Path
    run_dir: Path
    metadata: LossMetadata
    sizes: dict[str, int]
    shortfalls: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Fitted:
    """The loss of a search, scaled and evaluated, with its trial and the search."""

    loss: Loss
    record: TrialRecord
    search: Search
    metadata: LossMetadata


def finish(run: RunDir, inputs: FitInputs, progress: Progress) -> FitResult:
    """Do the remaining steps of a run.

    Raises:
        OptionError: another process is working on the run, or another version of this package has made it.
        LabellingError: the metric fails on too many points, is constant, or returns no number.
        QualityError: the best loss is not good enough; nothing was written.
        KeyboardInterrupt: interrupted before a first trial was complete.
    """
    with run.session(), only_errors():
        study.check_version(run)
        try:
            with Clock(run, inputs.options.budget_s) as clock:
                progress.say(f"run in {run.path}")
                fitted = _search(run, clock, inputs, progress)
                return _export(run, clock, inputs, fitted)
        except (AutosurrogateError, KeyboardInterrupt) as error:
            if not run.has_labels():
                run.discard()
            elif isinstance(error, KeyboardInterrupt) and inputs.options.metric is not None:
                raise KeyboardInterrupt(f"interrupted; go on with: autosurrogate fit --resume {run.path}") from None
            raise


def _search(run: RunDir, clock: Clock, inputs: FitInputs, progress: Progress) -> _Fitted:
    """Label points, search, and evaluate the best loss."""
    metric, options = inputs.metric, inputs.options
    reserve_s = FINISHING.of(options.budget_s)
    with Labeller(metric, n_workers=options.workers, timeout_s=CALL_LIMIT_S) as labeller:
        labelled = LabelledPoints(
            run, clock, inputs.task, metric, labeller, options.seed, progress, invariances.N_CALLS,
            all_points=options.trials is not None,
        )  # fmt: skip
        labelled.calibrate()
        space = fit_decisions.suitable_space(run, inputs, labeller, progress.say)
        points = labelled.for_search(inputs.recorded)
        costs = fit_decisions.evaluation_costs(run, inputs, space, points)
        points = fit_decisions.evaluated_points(points, costs, options.budget_s)
        evaluator = Evaluator(
            inputs.task, metric, labeller, inputs.device, points, options.seed, costs, DESCENT.of(options.budget_s)
        )
        n_trainers = fit_decisions.n_trainers(options, inputs.device, clock.left_s - reserve_s)
        search = Search(
            run, clock, inputs.task, metric, space, points,
            objective=options.objective, random_share=options.random_share,
            seed=options.seed, device=inputs.device, evaluator=evaluator, n_workers=n_trainers,
            # A given number of trials or workers promises the same numbers on every machine.
            all_threads=options.workers is None and options.trials is None,
        )  # fmt: skip
        labelled.start_held_out()
        interrupted = False
        progress.say("searching" if n_trainers == 1 else f"searching, {min(n_trainers, LAG)} trials at a time")
        try:
            search.run(options.trials, reserve_s, evaluator.regular_spearman(), progress)
        except KeyboardInterrupt:
            if not search.has_complete():
                raise
            interrupted = True
            progress.say("interrupted: exporting the best loss so far; Ctrl-C again ends at once")
        else:
            if search.stagnated:
                progress.say(STAGNATED)
            few = fit_decisions.too_few_trials(sum(search.counts().values()), space, options)
            if few is not None:
                progress.say(few)
        loss, record = search.best(evaluator.regular_gain_fraction())
        evaluator.rescale(loss)
        quality = evaluator.report(loss, labelled.held_out(partial=interrupted))
        metadata = loss_metadata(inputs, loss, record, search.counts(), labelled, points, quality)
    return _Fitted(loss, record, search, metadata)


def _export(run: RunDir, clock: Clock, inputs: FitInputs, fitted: _Fitted) -> FitResult:
    """Write the loss, unless it is not good enough."""
    metric, options, metadata = inputs.metric, inputs.options, fitted.metadata
    reasons = shortfalls(metadata.quality)
    if reasons and not options.force:
        anyway = "--force" if metric.spec is None else f"`autosurrogate fit --resume {run.path} --force`"
        raise QualityError(
            f"no loss was written: {'; '.join(reasons)}. A longer --budget may help; {anyway} writes it anyway"
        )
    path = Path(options.out)
    if not (options.overwrite or run.has_exported):
        _check_still_free(path, run, metric)
    run.note_export()
    batches = [_generate_batch(inputs, k) for k in range(N_EXPORT_CHECKS)]
    inputs.task.configure(fitted.loss, batches[0])  # for generated examples, not for the last recorded outputs
    arguments = [surrogates.loss_arguments(inputs.task, examples) for examples in batches]
    written = writer.write(fitted.loss, metadata, arguments, path, run.tag)
    fitted.search.mark_exported(fitted.record)
    return FitResult(path, writer.program_path(path), run.path, metadata, written.sizes, tuple(reasons), clock.spent_s)


def _check_still_free(path: Path, run: RunDir, metric: Metric) -> None:
    """Refuse to overwrite what something else has written to the loss's path since the run started."""
    for file in (path, writer.program_path(path)):
        if file.exists():
            again = "fit again" if metric.spec is None else f"go on with `autosurrogate fit --resume {run.path}`"
            raise OptionError(f"--out {file}: something else wrote it during the fit; move it away, and {again}")


def _generate_batch(inputs: FitInputs, k: int) -> Examples:
    """The k-th batch of generated examples to compare files on, in the dtype that the exported program takes."""
    task, generator = inputs.task, sampling.generator_of(inputs.options.seed, "export", k)
    severity = torch.rand(5 + k, generator=generator)
    examples = task.as_model_output(task.generate(severity, generator, 1, inputs.metric.view))
    return examples.with_preds(examples.preds.float())
