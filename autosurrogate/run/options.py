"""The options of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autosurrogate.errors import OptionError
from autosurrogate.run.budget import MIN_BUDGET_S


@dataclass(frozen=True)
class Options:
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

    def check(self) -> None:
        """That each is in its range.

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
            raise OptionError("--random-share: needs recorded outputs to share with; add --outputs FILE")
        if self.objective not in ("correlation", "approximation"):
            raise OptionError(f"--objective {self.objective}: expected correlation or approximation")
