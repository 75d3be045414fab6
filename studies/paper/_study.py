"""A study of how losses are fitted or used: trainings of experiments with several losses of one metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from studies.training._comparison import Comparison, Fit
from studies.training._suite import comparisons


@dataclass(frozen=True)
class Study:
    """One table of the paper.

    Args:
        question: what it asks.
        experiments: names of experiments of `studies.training` to the metric that is looked at.
        fits: the losses that are compared, by name.
        scale: of the experiments, see `comparisons`.
        rivals: losses made by hand that are compared, too, by their names in the experiments.
        n_seeds: of the final trainings that are shown.
        paper: what the paper found.
    """

    question: str
    experiments: Mapping[str, str]
    fits: Mapping[str, Fit]
    scale: str = "small"
    rivals: tuple[str, ...] = ()
    n_seeds: int = 20
    paper: str = ""

    def parts(self) -> dict[str, Comparison]:
        """What is trained, by the name of the experiment: trainings that the experiment has made are not repeated."""
        known = comparisons(self.scale)
        return {
            name: replace(
                known[name],
                rows={metric: known[name].rows[metric]},
                rivals={rival: known[name].rivals[rival] for rival in self.rivals},
                fits=self.fits,
            )
            for name, metric in self.experiments.items()
        }
