"""The public functions `fit` and `resume`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from autosurrogate._utils import caller_settings, digests
from autosurrogate._utils.durations import seconds
from autosurrogate.errors import OptionError
from autosurrogate.export import writer
from autosurrogate.pipeline import mixture_scaling
from autosurrogate.pipeline.fit_inputs import prepare
from autosurrogate.pipeline.fit_run import FitResult, finish
from autosurrogate.registry import mixtures, source_digests, validation
from autosurrogate.registry.lookup import find, with_tokenizer
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import CALL_LIMIT_S
from autosurrogate.run.options import Options
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir, as_file_name, new_run_dir
from autosurrogate.search import search_space


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
        metric: what `autosurrogate.registry.find` takes, such as the name of a built-in metric, "file.py:function", or
            a function decorated with `metric`; or several of one task, to fit one loss to their weighted mean, each in
            standard deviations over generated points and with its direction.
        weights: of several metrics, one each; all alike if empty.
        out: TorchScript file to write; `<name of the metric>.pt` if None.
        budget: wall-clock time for everything: seconds, or a duration such as "90s", "5m", "1h30m".
        trials: stop after so many trials, if the budget is not spent before.
        outputs: files of recorded outputs of real models (G_M), to train on beside generated points.
        random_share: probability that a batch is generated where there are recorded outputs; searched if None.
        device: "auto", "cpu", "cuda" or "cuda:N".
        workers: processes that label, and trials that are trained in parallel, each with one thread; one a core if
            None. A trial's numbers do not depend on it.
        seed: of everything random.
        run_dir: folder of the run; `runs/<name>-<date>` if None.
        objective: "correlation" (ReLoss, eq. 6) or "approximation" (eq. 5).
        space: TOML file of a search space; the task's own if None.
        tokenizer: of a metric of sequences, the file of the vocabulary whose tokens they are, see
            docs/how-to/tokenizers.md: for metrics of how tokens are spelled. The loss is for that vocabulary.
        force: write the loss even if it is refused for quality.
        overwrite: replace `out` if it exists.
        progress: receives what happens.

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
        parts, weights = mixture_scaling.parts(several, weights)
        parts = [with_tokenizer(component, tokenizer) for component in parts]
        resolved = validation.check(mixtures.mixed(parts, weights))  # only to check the options; normalised below
    else:
        resolved = with_tokenizer(find(several[0] if several else metric), tokenizer)  # type: ignore[arg-type]
    files = (outputs,) if isinstance(outputs, str | Path) else tuple(outputs)
    options = Options(
        metric=resolved.spec,
        metric_digest=source_digests.of_metric(resolved),
        out=str(Path(out if out is not None else f"{as_file_name(resolved.name)}.pt").absolute()),
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
    options.check()
    writer.check_writable(Path(options.out), overwrite=overwrite)
    inputs = prepare(resolved, options, options.space)
    start = time.monotonic()
    if len(several) > 1:
        resolved = mixture_scaling.normalised(parts, weights, timeout_s=CALL_LIMIT_S, n_workers=workers, seed=seed)
        options = replace(options, metric=resolved.spec)
        inputs = replace(inputs, metric=resolved, options=options)
    run = RunDir(run_dir if run_dir is not None else new_run_dir(resolved.name))
    run.create(options.to_config(), search_space.text_of(inputs.task, options.space), time.monotonic() - start)
    return finish(run, inputs, progress or Progress())


@caller_settings.set_aside()
def resume(run_dir: str | Path, *, force: bool = False, progress: Progress | None = None) -> FitResult:
    """Continue a run that was ended early, with its own options and the rest of its budget.

    Args:
        run_dir: the run's folder.
        force: write the loss even if it is refused for quality.
        progress: receives what happens.

    Raises:
        OptionError: there is no run in the folder, another version of this package has made it, its metric was a
            function of a script or notebook, or its metric, outputs or tokenizer have changed.
        QualityError: the best loss is not good enough; nothing was written.
    """
    run = RunDir(run_dir)
    config = run.config()
    try:
        options = Options.from_config(config)
    except OptionError as e:
        raise OptionError(f"--resume {run_dir}: {e}") from e.__cause__
    options = replace(options, force=options.force or force)
    if options.metric is None:
        raise OptionError(
            f"--resume {run_dir}: its metric was a function of a script or notebook, which cannot be loaded again; "
            "put it in a file and fit it as file.py:function"
        )
    metric = with_tokenizer(find(options.metric), options.tokenizer)
    if options.tokenizer is not None and digests.of_file(options.tokenizer) != options.tokenizer_digest:
        raise OptionError(f"--resume {run_dir}: the tokenizer has changed since it was started; start a new run")
    if tuple(digests.of_file(f) for f in options.outputs) != options.outputs_digests:
        raise OptionError(
            f"--resume {run_dir}: the recorded outputs have changed since it was started; start a new run"
        )
    if source_digests.of_metric(metric) != options.metric_digest:
        raise OptionError(
            f"--resume {run_dir}: the file of metric {metric.name!r} has changed since its points were labelled; "
            "start a new run"
        )
    writer.check_writable(Path(options.out), overwrite=options.overwrite or run.has_exported)
    return finish(run, prepare(metric, options, run.space), progress or Progress())
