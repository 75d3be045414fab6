"""A network for metrics of segmentation of any kind: areas, objects, distances and certainty."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _segmentation_areas as areas
from autosurrogate.surrogates import _segmentation_certainty as certainty
from autosurrogate.surrogates import _segmentation_distances as distances
from autosurrogate.surrogates import _segmentation_objects as objects
from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._segmentation_areas import area_features
from autosurrogate.surrogates._segmentation_certainty import certainty_features
from autosurrogate.surrogates._segmentation_distances import QUANTILES, RADII, distance_features
from autosurrogate.surrogates._segmentation_margins import relative_to_margins
from autosurrogate.surrogates._segmentation_objects import object_features
from autosurrogate.surrogates._segmentation_overlap import mean_of_images, one_hot

KINDS = {
    "areas": (areas.QUALITIES, areas.CONTEXT),
    "distances": (distances.QUALITIES, distances.CONTEXT),
    "objects": (objects.QUALITIES, objects.CONTEXT),
    "certainty": (certainty.QUALITIES, certainty.CONTEXT),
}


class Regions(nn.Module):
    """Areas of classes, distances between boundaries, connected objects, and how sure pixels are.

    Not the metrics themselves, but what most of them can be computed from. Distances and objects are those of the
    foreground: all classes but 0.

    Args:
        kinds: of features, some of "areas", "distances", "objects" and "certainty".
        temperature: of the softmax of logits relative to the mean margin of a point's pixels; small ones see the
            argmax. Certainty is that of the logits as they are.
        head: "monotone": the loss falls as any quality rises; "free": a perceptron.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("kinds",)

    def __init__(
        self, kinds: list[str], temperature: float = 0.02, head: str = "monotone", width: int = 32, n_hidden: int = 1
    ) -> None:
        super().__init__()
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"kinds must be some of {', '.join(KINDS)}, got {unknown[0]!r}")
        self.kinds = list(kinds)
        self.temperature = float(temperature)
        self.radii, self.quantiles = list(RADII), list(QUANTILES)
        n_context = 1 + sum(len(KINDS[kind][1]) for kind in kinds)
        n_qualities = sum(len(KINDS[kind][0]) for kind in kinds)
        self.layers = build_head(head, n_qualities, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names: list[str] = []
        for part in (0, 1):
            for kind in self.kinds:
                names += KINDS[kind][part]
        return [*names, "1 / classes"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        truth = one_hot(logits, target, valid)
        relative = relative_to_margins(logits, valid, set_size)
        probability = (relative / self.temperature).softmax(1) * valid.unsqueeze(1)
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        for kind in self.kinds:
            if kind == "areas":
                more, of_more = area_features(probability, truth, set_size)
            elif kind == "distances":
                more, of_more = distance_features(probability, truth, valid, set_size, self.radii, self.quantiles)
            elif kind == "objects":
                best = relative.detach().topk(2, dim=1)[0]
                more, of_more = object_features(probability, truth, valid, best[:, 0] - best[:, 1], set_size)
            else:
                right = (probability * truth).sum(1)
                more, of_more = certainty_features(logits, truth, valid, right, set_size)
            qualities += more
            context += of_more
        actual = truth.sum((2, 3))
        n_classes = (actual > 0).to(logits.dtype).sum(1).clamp_min(1)
        context.append(mean_of_images(1 / n_classes, actual, set_size))
        return torch.stack(qualities + context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        scores: Tensor = self.layers(features)
        return scores.squeeze(1)
