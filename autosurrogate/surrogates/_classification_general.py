"""Networks for metrics that no other network was built for: what any metric of classes can be computed from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import (
    _classification_certainty,
    _classification_information,
    _classification_numbers,
    _classification_pooling,
)
from autosurrogate.surrogates._classification_certainty import calibration, proper_scores
from autosurrogate.surrogates._classification_counts import names_of
from autosurrogate.surrogates._classification_information import information
from autosurrogate.surrogates._classification_margins import margins_to_strongest, relative_to_mean, ties_broken
from autosurrogate.surrogates._classification_numbers import constants_of_numbers, distances
from autosurrogate.surrogates._classification_places import PLACES, places
from autosurrogate.surrogates._classification_pooling import constants, pooled_counts
from autosurrogate.surrogates._classification_rows import target_rows
from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._layers import bounded
from autosurrogate.tasks._perturbations import WHICH_CLASS

#: Kinds of features: names of qualities, and of what else there is, at each temperature.
AT_TEMPERATURES = {
    "counts": (_classification_pooling.QUALITIES, _classification_pooling.CONTEXT),
    "information": (_classification_information.QUALITIES, _classification_information.CONTEXT),
    "numbers": (_classification_numbers.QUALITIES, _classification_numbers.CONTEXT),
}
#: The same of kinds that do not depend on the temperatures.
WITHOUT_TEMPERATURES = {
    "scores": (_classification_certainty.SCORES, _classification_certainty.CONTEXT_OF_SCORES),
    "calibration": (_classification_certainty.CALIBRATION, _classification_certainty.CONTEXT_OF_CALIBRATION),
    "places": (PLACES, ()),
}
SHARP = 0.03  # relative temperature at which places and hits are seen
N_COMPETITORS = 5  # whose margins give the unit of relative temperatures


class General(nn.Module):
    """What metrics of classes are computed from, pooled over classes and examples in many ways.

    Kinds of features: "counts" of each class, as F1 has them; "information" of the confusion matrix; proper "scores" of
    the probabilities; "calibration", how sure against how right; "places" of the target among the classes.

    Args:
        kinds: of features.
        temperatures: of the softmax of counts and information; small ones see the argmax.
        relative_temperatures: the same of logits relative to the mean margin of the set, which see the order at any
            scale of the logits.
        width: hidden units.
        n_hidden: hidden layers.
        head: "monotone": the loss falls as any of the qualities rises; "free": it depends on them in any way, as errors
            of calibration and of the classes' frequencies do.
    """

    FEATURE_SETTINGS = ("kinds", "temperatures", "relative_temperatures")
    NUMBERED = False
    relative_temperatures: list[float]  # which may be empty

    def __init__(
        self,
        kinds: list[str],
        temperatures: list[float],
        relative_temperatures: Sequence[float] = (),
        width: int = 32,
        n_hidden: int = 2,
        head: str = "monotone",
    ) -> None:
        super().__init__()
        self.kinds = list(kinds)
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.sharp, self.n_competitors, self.numbered = SHARP, N_COMPETITORS, self.NUMBERED
        n_qualities, n_features = len(self._names(0)), len(self.feature_names())
        self.layers = build_head(head, n_qualities, n_features - n_qualities, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`, the qualities first."""
        names = [*self._names(0), *self._names(1), *_classification_pooling.CONSTANTS]
        return [*names, *_classification_numbers.CONSTANTS] if self.numbered else names

    def _names(self, which: int) -> list[str]:
        """Names of the qualities (0), or of what else there is (1)."""
        names = []
        for temperature in names_of(self.temperatures, self.relative_temperatures):
            names += [
                f"{name} {temperature}"
                for kind, both in AT_TEMPERATURES.items()
                if kind in self.kinds
                for name in both[which]
            ]
        return names + [
            name for kind, both in WITHOUT_TEMPERATURES.items() if kind in self.kinds for name in both[which]
        ]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        logits, rows = bounded(logits), target_rows(target, valid, set_size)
        margins = margins_to_strongest(logits, target, self.n_competitors)
        relative = relative_to_mean(ties_broken(logits), margins, valid, set_size)
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        if "counts" in self.kinds or "information" in self.kinds or "numbers" in self.kinds:
            sharpened = [logits / t for t in self.temperatures] + [relative / t for t in self.relative_temperatures]
            for each in sharpened:
                probability = each.softmax(1)
                if "counts" in self.kinds:
                    pooled = pooled_counts(probability, target, rows)
                    qualities.append(pooled[0])
                    context.append(pooled[1])
                if "information" in self.kinds:
                    shared = information(probability, rows)
                    qualities.append(shared[0])
                    context.append(shared[1])
                if "numbers" in self.kinds:
                    apart = distances(probability, target, rows)
                    qualities.append(apart[0])
                    context.append(apart[1])
        if "scores" in self.kinds:
            scores = proper_scores(logits, target, rows)
            qualities.append(scores[0])
            context.append(scores[1])
        if "calibration" in self.kinds:
            nearest = relative_to_mean(margins[:, :1], margins, valid, set_size).squeeze(1)
            calibrated = calibration(logits, torch.sigmoid(nearest / self.sharp), rows)
            qualities.append(calibrated[0])
            context.append(calibrated[1])
        if "places" in self.kinds:
            qualities.append(places(relative, target, rows, self.sharp))
        context.append(constants(rows))
        if self.numbered:
            context.append(constants_of_numbers(rows))
        return torch.cat(qualities + context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        score: Tensor = self.layers(features)
        return score.squeeze(1)


class GeneralOrdinal(General):
    """`General` of numbered classes: the further kind "numbers" is of distances, and of the first and last classes."""

    NEEDED_FOR = WHICH_CLASS
    NUMBERED = True
