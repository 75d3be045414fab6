"""A network for metrics of detections of any kind: what becomes of detections and of true boxes."""

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _detection_areas as areas
from autosurrogate.surrogates._detection_areas import area_features
from autosurrogate.surrogates._detection_counts import count_features, count_names
from autosurrogate.surrogates._detection_curve import RATES, RECALLS, curve_features, curve_names
from autosurrogate.surrogates._detection_matching import DetectionBatch
from autosurrogate.surrogates._detection_pairs import of_sets, pairs_of
from autosurrogate.surrogates._detection_places import PLACES, place_features
from autosurrogate.surrogates._heads import build_head

GATES = (0.5, 0.25, 0.75)
THRESHOLDS, THRESHOLDS_OF_ANY = (0.5, 0.75), (0.5,)


class Outcomes(nn.Module):
    """Soft counts of hits, false alarms and misses, the curve of precision and recall, places, and covered areas.

    Not the metrics themselves, but what most of them can be computed from. A match is a query with a true box, of the
    same class or of any, that no better scored query has; it is a hit as far as their IoU is above a threshold.

    Args:
        kinds: of features. "counts": hits, false alarms and misses from some scores on, in all, in each image and in
            each class. "curve": precision and recall along the order of scores. "places": the best box for each true
            box, the surest detection, scores against overlap. "areas": what boxes cover together, classes of images.
        temperatures: of scores and classes, and, tenfold smaller, of IoU; see `pairs_of`.
        head: "monotone": the loss falls as any quality rises; "free": a perceptron, for metrics that are best in the
            middle, such as the ratio of two counts.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("kinds", "temperatures")

    def __init__(
        self,
        kinds: list[str],
        temperatures: list[float],
        head: str = "monotone",
        width: int = 32,
        n_hidden: int = 1,
    ) -> None:
        super().__init__()
        self.kinds = [str(kind) for kind in kinds]
        self.temperatures = [float(t) for t in temperatures]
        self.gates, self.thresholds, self.thresholds_of_any = list(GATES), list(THRESHOLDS), list(THRESHOLDS_OF_ANY)
        self.recalls, self.rates = list(RECALLS), list(RATES)
        n_context = len(self._context_names())
        n_qualities = len(self.feature_names()) - n_context
        self.layers = build_head(head, n_qualities, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        ways = [f"of class at {t:g}" for t in self.thresholds] + [f"of any at {t:g}" for t in self.thresholds_of_any]
        names: list[str] = []
        if "counts" in self.kinds:
            names += count_names(self.gates, ways)[0]
        if "curve" in self.kinds:
            names += curve_names(ways)
        if "places" in self.kinds:
            names += PLACES
        if "areas" in self.kinds:
            names += areas.AREAS
        return [f"{name}, {t:g}" for t in self.temperatures for name in names] + self._context_names()

    def _context_names(self) -> list[str]:
        names = count_names(self.gates, [])[1] if "counts" in self.kinds else []
        names = [*names, *(areas.CONTEXT if "areas" in self.kinds else ())]
        return [*(f"{name}, {t:g}" for t in self.temperatures for name in names), "classes", "images without true box"]

    def features(self, batch: DetectionBatch, set_size: int) -> Tensor:
        """Shape (n_points, n_features)."""
        target_mask = batch.target_mask
        of_class = torch.arange(batch.logits.size(2), device=batch.classes.device) == batch.classes.unsqueeze(2)
        of_class = of_class.to(target_mask.dtype) * target_mask.unsqueeze(2)  # (n, M, C)
        features: list[Tensor] = []
        context: list[Tensor] = []
        for t in self.temperatures:
            pairs = pairs_of(batch, set_size, t, self.gates, self.thresholds, self.thresholds_of_any)
            if "counts" in self.kinds:
                counts, of_counts = count_features(batch, pairs, of_class, set_size)
                features += counts
                context += of_counts
            if "curve" in self.kinds:
                features.append(curve_features(batch, pairs, set_size, t, self.recalls, self.rates))
            if "places" in self.kinds:
                features.append(place_features(batch, pairs, set_size, t))
            if "areas" in self.kinds:
                covered, of_areas = area_features(batch, pairs, of_class, set_size)
                features.append(covered)
                context.append(of_areas)
        in_set = (of_sets(of_class.sum(1), set_size) > 0).to(target_mask.dtype).sum(1, keepdim=True)
        empty = (target_mask.sum(1, keepdim=True) == 0).to(target_mask.dtype)
        context += [1 / in_set.clamp_min(1), of_sets(empty, set_size) / set_size]
        return torch.cat(features + context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        scores: Tensor = self.layers(features)
        return scores.squeeze(1)
