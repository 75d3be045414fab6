"""What an exported loss is evaluated with: its own metric, vocabulary and set size, unless others are passed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from autosurrogate._utils import digests
from autosurrogate.errors import MetricError, OptionError
from autosurrogate.export.metadata import LossMetadata
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric


def resolve_metric(metric: str | Callable[..., Any] | Metric | None, metadata: LossMetadata, loss: str) -> Metric:
    """The metric that is passed, or the one that the loss was fitted to.

    Args:
        metric: what `find` takes; None for the loss's own.
        metadata: of the loss.
        loss: its file, for messages.

    Raises:
        MetricError: the metric is not found, or is of another task or level than the loss.
    """
    if metric is not None:
        resolved = find(metric)
    elif metadata.metric_spec is None:
        raise MetricError(f"{loss}: its metric {metadata.metric!r} was a function of a script; name it with --metric")
    else:
        try:
            resolved = find(metadata.metric_spec)
        except MetricError as e:
            raise MetricError(f"{e} (the metric {loss} was fitted to; name another place with --metric)") from e
    for attribute in ("task", "level"):
        expected, actual = getattr(metadata, attribute), getattr(resolved, attribute)
        if actual != expected:
            raise MetricError(
                f"metric {resolved.name!r}: its {attribute} is {actual!r}, that of {loss} is {expected!r}; "
                f"a loss can be evaluated only by a metric of its own {attribute}"
            )
    return resolved


def resolve_tokenizer(tokenizer: str | Path | None, metadata: LossMetadata, loss: str) -> str | Path | None:
    """The vocabulary's file that is passed, or the one that the loss was fitted with, if it was fitted with one.

    Raises:
        OptionError: there is no such file, or it is not the loss's vocabulary.
    """
    own = metadata.tokenizer
    if own is None:
        if tokenizer is not None:
            raise OptionError(f"--tokenizer {tokenizer}: {loss} was fitted without one; leave it out")
        return None
    file = own.file if tokenizer is None else tokenizer
    if not Path(file).is_file():
        hint = f"pass the vocabulary that {loss} was fitted with"
        if tokenizer is None:
            hint = f"{loss} was fitted with it: pass where it is now"
        raise OptionError(f"--tokenizer {file}: there is no such file; {hint}")
    if digests.of_file(file) != own.sha256:
        raise OptionError(f"--tokenizer {file}: is not the one that {loss} was fitted with")
    return file


def resolve_set_size(set_size: int | None, metadata: LossMetadata, metric: Metric) -> int | None:
    """Examples a set; None for a metric of single examples.

    Raises:
        OptionError: a set size is passed for such a metric, or is below 2.
    """
    if metric.level == "sample":
        if set_size is not None:
            raise OptionError(f"--set-size {set_size}: metric {metric.name!r} is of single examples; leave it out")
        return None
    if set_size is not None and set_size < 2:
        raise OptionError(f"--set-size {set_size}: must be 2 or more")
    return metadata.set_size if set_size is None else set_size
