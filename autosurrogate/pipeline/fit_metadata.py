"""The metadata of a fitted loss, from what the fit's stages know."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version
from pathlib import Path

from autosurrogate import tasks
from autosurrogate.export import metadata
from autosurrogate.export.metadata import LossMetadata, Quality
from autosurrogate.pipeline.fit_inputs import FitInputs
from autosurrogate.points.labelled_points import LabelledPoints, Points
from autosurrogate.registry import mixtures
from autosurrogate.run.options import Options
from autosurrogate.search.trial_record import TrialRecord
from autosurrogate.surrogates import Loss


def loss_metadata(
    inputs: FitInputs,
    loss: Loss,
    record: TrialRecord,
    counts: dict[str, int],
    labelled: LabelledPoints,
    points: Points,
    quality: Quality,
) -> LossMetadata:
    """The metadata of the loss to export.

    Args:
        inputs: what the fit started from.
        loss: the loss.
        record: of its trial.
        counts: of trials, from `Search.counts`.
        labelled: all points of the run.
        points: the points of the search.
        quality: from `Evaluator.report`.
    """
    metric, options = inputs.metric, inputs.options
    return LossMetadata(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("autosurrogate", "torch", "optuna", "numpy")},
        },
        metric=metric.name,
        metric_spec=metric.spec,
        mixture=mixtures.formula(metric) if metric.parts else None,
        task=tasks.name_without_vocabulary(metric.task),
        level=metric.level,
        view=metric.view,
        set_size=metric.set_size,
        higher_is_better=metric.higher_is_better,
        tokenizer=_tokenizer(options),
        network=metadata.Network(record.network, record.network_settings, sum(p.numel() for p in loss.parameters())),
        training=metadata.Training(options.objective, record.training_settings),
        search=metadata.SearchSummary(trial=record.number, validation_spearman=record.validation_spearman, **counts),
        seed=options.seed,
        budget_s=options.budget_s,
        recorded_outputs=tuple(Path(file).name for file in options.outputs),
        device=str(inputs.device),
        generated_points=_generated_points(labelled, points),
        labelled_points=_labelled_points(labelled),
        quality=quality,
    )


def _tokenizer(options: Options) -> metadata.Tokenizer | None:
    if options.tokenizer is None or options.tokenizer_digest is None:
        return None
    return metadata.Tokenizer(options.tokenizer, options.tokenizer_digest)


def _generated_points(labelled: LabelledPoints, points: Points) -> metadata.GeneratedPoints:
    figures = labelled.coverage(points)
    return metadata.GeneratedPoints(figures["coverage"], lowest=figures["low"], highest=figures["high"])


def _labelled_points(labelled: LabelledPoints) -> metadata.LabelledPoints:
    totals = labelled.totals()
    example = None if totals.example is None else totals.example.message
    return metadata.LabelledPoints(
        totals.n_points, totals.n_dropped, {str(k): n for k, n in totals.dropped.items()}, example
    )
