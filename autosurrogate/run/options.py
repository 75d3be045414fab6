"""The options of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autosurrogate._utils.json_records import RecordError, from_plain, to_plain
from autosurrogate.errors import OptionError
from autosurrogate.run.budget import MIN_BUDGET_S

SCHEMA_VERSION = 1
_VERSION_KEY = "schema_version"


@dataclass(frozen=True)
class Options:
    """A run's options, as `config.json` in its folder keeps them.

    The digests show whether a metric file, recorded outputs or a tokenizer have changed since points were labelled.

    Args:
        metric: what `--metric` takes; null for a function of a script or notebook, whose run cannot be resumed.
        metric_digest: digest of the metric's file and of what computes it.
        out: absolute path of the TorchScript file to write.
        budget_s: wall-clock time for everything, in seconds.
        trials: number of trials after which the search ends; null for no limit.
        outputs: absolute paths of the recorded outputs.
        outputs_digests: a digest of each.
        random_share: probability that a batch is generated where there are recorded outputs; null if it is searched.
        device: `auto` or the name of a torch device.
        workers: number of processes that label and that train; null for one a core.
        seed: seed of everything random.
        objective: whether networks are fitted to the metric's order or to its values.
        space: absolute path of the search space; null for the task's own.
        tokenizer: absolute path of the vocabulary file; null if there is none.
        tokenizer_digest: its digest.
        force: whether the loss is written even if it is refused for quality.
        overwrite: whether an existing file is replaced.
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

    def to_config(self) -> dict[str, Any]:
        """As `config.json` has them, beside the key `schema_version`."""
        return {_VERSION_KEY: SCHEMA_VERSION, **to_plain(self)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Options:
        """Read and check what `config.json` holds; files without a schema version are read if they have all keys.

        Raises:
            OptionError: it has another schema version, lacks a key or has an unknown one, or a value has another type
                or is not in its range. The message goes on after the name of the run.
        """
        values = dict(config)
        version = values.pop(_VERSION_KEY, None)
        if version not in (None, SCHEMA_VERSION):
            raise OptionError(
                f"was made by another version of autosurrogate (schema version {version!r} of its config.json, "
                f"expected {SCHEMA_VERSION}); start a new run"
            )
        try:
            options = from_plain(cls, values)
        except RecordError as e:
            if version is None:
                raise OptionError(
                    f"was made by another version of autosurrogate (config.json: {e}); start a new run"
                ) from e
            raise OptionError(f"config.json: {e}; correct the file, or start a new run") from e
        options.check()
        return options

    def check(self) -> None:
        """Check that each is in its range.

        Raises:
            OptionError: one is not.
        """
        if not 0 <= self.seed < 2**62:
            raise OptionError(f"--seed {self.seed}: must be 0 or more, and below 2**62")
        if self.budget_s < MIN_BUDGET_S:
            raise OptionError(f"--budget {self.budget_s:g}s: is too short; a fit needs {MIN_BUDGET_S:g}s or more")
        if self.trials is not None and self.trials < 1:
            raise OptionError(f"--trials {self.trials}: must be 1 or more")
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"--workers {self.workers}: must be 1 or more")
        if self.random_share is not None and not 0 <= self.random_share <= 1:
            raise OptionError(f"--random-share {self.random_share:g}: is a probability, from 0 to 1")
        if self.random_share is not None and not self.outputs:
            raise OptionError("--random-share: needs recorded outputs; add --outputs FILE")
        if self.objective not in ("correlation", "approximation"):
            raise OptionError(f"--objective {self.objective}: expected correlation or approximation")
