"""What is known of an exported loss: the metadata that ride in its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autosurrogate._utils.json_records import RecordError, from_plain, to_plain
from autosurrogate.errors import LossFileError
from autosurrogate.export._unversioned_metadata import from_unversioned
from autosurrogate.rank_correlation.agreement import Agreement

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 1 lacks the strata
_VERSION_KEY = "schema_version"


@dataclass(frozen=True)
class Tokenizer:
    """The vocabulary file of a metric that reads text.

    Args:
        file: its absolute path when the loss was fitted.
        sha256: SHA-256 digest of its bytes, in hexadecimal.
    """

    file: str
    sha256: str


@dataclass(frozen=True)
class Network:
    """The network of the loss.

    Args:
        name: the network's name in the search space.
        settings: its settings, as the search chose them.
        n_parameters: number of its parameters.
    """

    name: str
    settings: Mapping[str, Any]
    n_parameters: int


@dataclass(frozen=True)
class Training:
    """How the network was trained.

    Args:
        objective: what training maximised: the rank correlation with the metric, or the negative squared error.
        settings: the training settings and those of the soft rank, as the search chose them.
    """

    objective: Literal["correlation", "approximation"]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SearchSummary:
    """The search that the loss comes from.

    Args:
        trial: number of the exported trial in the run's study, from 0.
        n_complete: trials that were completed.
        n_pruned: trials that were stopped early.
        validation_spearman: Spearman's rank correlation of the exported trial on validation points, in [-1, 1].
    """

    trial: int
    n_complete: int
    n_pruned: int
    validation_spearman: float


@dataclass(frozen=True)
class GeneratedPoints:
    """The metric on the generated points that the network was trained on.

    Args:
        coverage: how evenly they cover the metric's range, in (0, 1]; 1 is even.
        lowest: smallest value, in the metric's unit.
        highest: largest value, in the metric's unit.
    """

    coverage: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class LabelledPoints:
    """The points that the metric was run on.

    Args:
        n_points: number of points, dropped ones included.
        n_dropped: points without a value, which were left out.
        dropped: number of dropped points by reason, such as `nan` or `raised`.
        example: message of one dropped point; null if none was dropped.
    """

    n_points: int
    n_dropped: int
    dropped: Mapping[str, int]
    example: str | None


@dataclass(frozen=True)
class SetSizeCorrelation:
    """Rank correlations on the held-out sets of one size.

    Args:
        set_size: examples a set.
        n_points: number of sets.
        loss_spearman: Spearman's rank correlation of the loss with the metric, in [-1, 1]; null where not defined.
        regular_loss_spearman: the same of the regular loss.
    """

    set_size: int
    n_points: int
    loss_spearman: float
    regular_loss_spearman: float


@dataclass(frozen=True)
class StratumOrder:
    """How the held-out points of one kind are ordered where the metric differs, by the loss and by the regular loss.

    Args:
        name: what the points have in common, such as `untrained models`, `the best third` or `sets of 16`.
        n_points: their number.
        loss_somers_d: Somers' D of the loss with respect to the metric, in [-1, 1]; 1 is agreement.
        regular_loss_somers_d: the same of the regular loss.
        difference_error: standard error of the difference between the two.
    """

    name: str
    n_points: int
    loss_somers_d: float
    regular_loss_somers_d: float
    difference_error: float


@dataclass(frozen=True)
class HeldOutCorrelations:
    """Rank correlations with the metric on points that neither training nor selection used.

    Args:
        loss: of the loss.
        regular_loss: of the regular loss, on the same points.
        by_set_size: both for each set size; empty for a metric of single examples.
        strata: the order within each kind of points; empty in files of schema version 1, which were not selected by it.
    """

    loss: Agreement
    regular_loss: Agreement
    by_set_size: tuple[SetSizeCorrelation, ...]
    strata: tuple[StratumOrder, ...] = ()


@dataclass(frozen=True)
class GradientNorms:
    """Median L2 norms of the gradient with respect to the predictions of a point, on points of middle quality.

    Args:
        loss: of the loss; it is scaled to be about that of the regular loss.
        regular_loss: of the regular loss.
    """

    loss: float
    regular_loss: float


@dataclass(frozen=True)
class DescentCheck:
    """How much the metric improves when predictions follow the gradient of a loss (after ReLoss, figure 2c).

    Args:
        gain: mean improvement along regular loss + weight * loss, in the metric's unit; positive is better.
        gain_error: standard error of the mean difference between `gain` and `regular_loss_gain`, point by point.
        regular_loss_gain: mean improvement along the regular loss alone, over the same distance on the same points.
        weight: weight of the loss, the one of the largest gain on validation points; null if
            it is not known.
        distance: L2 distance that the predictions of each point move, in the unit of the predictions.
        n_points: number of held-out points.
    """

    gain: float
    gain_error: float
    regular_loss_gain: float
    weight: float
    distance: float
    n_points: int


@dataclass(frozen=True)
class Quality:
    """How good the loss is, measured after the search.

    Args:
        held_out_generated: rank correlations on held-out generated points.
        held_out_recorded: rank correlations on held-out recorded outputs; null if there were none.
        gradient_norms: of the loss and of the regular loss.
        suggested_weight: weight for the loss beside the regular loss in training.
        descent_check: improvement of the metric along the gradients.
    """

    held_out_generated: HeldOutCorrelations
    held_out_recorded: HeldOutCorrelations | None
    gradient_norms: GradientNorms
    suggested_weight: float
    descent_check: DescentCheck


@dataclass(frozen=True)
class LossMetadata:
    """What rides in a loss file as `metadata.json`.

    The JSON has these fields as keys, beside `schema_version`. It is built in one place, at the end of a fit: the
    evaluator measures the `Quality`, the search gives `network`, `training` and `search`, the fit's options the rest.
    `to_json` writes it, `from_json` reads and checks it.

    Args:
        created: when the loss was exported: ISO 8601, in UTC.
        versions: versions of python, autosurrogate, torch, optuna and numpy.
        metric: the metric's name.
        metric_spec: what `--metric` takes to find the metric again; null for a function of a script or notebook.
        mixture: formula of a mixture of metrics; null for a single metric.
        task: kind of task, such as `classification`, or `FILE:NAME` for a user's own.
        level: `sample` if the metric takes single examples, `set` if it takes sets of them.
        view: the form in which the metric gets the predictions.
        set_size: examples a set that the metric declares; 1 where the level is `sample`.
        higher_is_better: the metric's direction. The loss is always better when lower.
        tokenizer: the vocabulary file; null if there was none.
        network: the network.
        training: how it was trained.
        search: the search.
        seed: seed of the fit.
        budget_s: time budget of the fit, in seconds.
        recorded_outputs: file names of the recorded outputs that the fit used.
        device: torch device that trained the network, such as `cpu`.
        generated_points: the metric on generated points.
        labelled_points: what the metric was run on.
        quality: how good the loss is.
    """

    created: str
    versions: Mapping[str, str]
    metric: str
    metric_spec: str | None
    mixture: str | None
    task: str
    level: Literal["sample", "set"]
    view: str
    set_size: int
    higher_is_better: bool
    tokenizer: Tokenizer | None
    network: Network
    training: Training
    search: SearchSummary
    seed: int
    budget_s: float
    recorded_outputs: tuple[str, ...]
    device: str
    generated_points: GeneratedPoints
    labelled_points: LabelledPoints
    quality: Quality

    def to_json(self) -> str:
        """As it stands in a file; NaN is written as null."""
        return json.dumps({_VERSION_KEY: SCHEMA_VERSION, **to_plain(self)}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> LossMetadata:
        """Read and check what stands in a file; files without a schema version are converted.

        Raises:
            LossFileError: it is no JSON, has another schema version, lacks a key, or a value has another type. The
                message goes behind the name of the file.
        """
        try:
            content = json.loads(text)
            if not isinstance(content, dict):
                raise RecordError(f"expected an object, got {content!r:.60}")
            schema_version = content.pop(_VERSION_KEY, None)
            if schema_version not in (None, *READABLE_VERSIONS):
                raise LossFileError(
                    f"was written by another version of autosurrogate (metadata schema {schema_version!r}, this one "
                    f"reads up to {SCHEMA_VERSION}); update autosurrogate, or fit the loss again"
                )
            return from_plain(cls, from_unversioned(content) if schema_version is None else content)
        except json.JSONDecodeError as e:
            raise LossFileError(f"is not a loss written by `autosurrogate fit`: metadata: expected JSON: {e}") from e
        except (RecordError, TypeError, AttributeError) as e:  # the last two: a value to convert is no object
            raise LossFileError(f"is not a loss written by `autosurrogate fit`: metadata: {e}") from e
