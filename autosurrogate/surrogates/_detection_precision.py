"""Soft average precision of scored detections that are hits to some extent."""

import torch
from torch import Tensor

from autosurrogate.surrogates._layers import matmul

N_LEVELS = 32  # of recall, at which precision is taken
FLOOR = 1e-3  # of a detection or a true box, in place of 0: there are divisions by it and logarithms of it


def precision_and_recall(
    hits: Tensor,
    hit_scores: Tensor,
    probability: Tensor,
    scores: Tensor,
    gain: Tensor,
    temperature: float,
    n_levels: int = N_LEVELS,
    floor: float = FLOOR,
) -> tuple[Tensor, Tensor]:
    """Average precision and recall of sets of N detections, means over the classes.

    Args:
        hits: shape (n_points, K, T * C), how far some detections are hits at each threshold in each class; all others
            are none.
        hit_scores: shape (n_points, K), their scores.
        probability: shape (n_points, N, C), the probability of each class for each detection; 0 for padding.
        scores: shape (n_points, N), the score of each detection.
        gain: shape (n_points, C), what a hit adds to the mean recall.
        temperature: of scores.
        n_levels: of recall.
        floor: number of detections below which there is no precision.

    Returns:
        Shape (n_points, T) each.
    """
    n_classes = gain.size(1)
    n_thresholds = hits.size(2) // n_classes
    hit_gain = (hits * gain.repeat(1, n_thresholds).unsqueeze(1)).detach().sum(2)
    levels = levels_of_equal_gain(hit_scores.detach(), hit_gain, n_levels, 3 * temperature)
    n_hits = matmul(above_levels(hit_scores, levels, temperature), hits).view(-1, n_levels + 1, n_thresholds, n_classes)
    n_detections = matmul(above_levels(scores, levels, temperature), probability).unsqueeze(2)
    precision = (n_hits / (n_detections + floor)).flip(1).cummax(1)[0].flip(1)  # the best at that recall or more
    step = torch.cat([n_hits[:, :1], n_hits[:, 1:] - n_hits[:, :-1]], 1)
    gain = gain.unsqueeze(1)
    return ((precision * step).sum(1) * gain).sum(2), (n_hits[:, -1] * gain).sum(2)


def above_levels(scores: Tensor, levels: Tensor, temperature: float) -> Tensor:
    """How far each score is above each level and above -infinity: (n_points, N) to (n_points, n_levels + 1, N)."""
    above = torch.sigmoid((scores.unsqueeze(1) - levels.unsqueeze(2)) / temperature)
    return torch.cat([above, torch.ones_like(above[:, :1])], 1)


def levels_of_equal_gain(scores: Tensor, gain: Tensor, n_levels: int, max_below: float) -> Tensor:
    """Scores that split the sorted detections into stretches of equal gain, shape (n_points, n_levels).

    Each is midway between a detection and the next, at most `max_below` below the former.
    """
    last = scores.size(1) - 1
    scores, order = scores.sort(1, descending=True)
    cumulative = gain.gather(1, order).cumsum(1)
    fraction = (torch.arange(n_levels, dtype=scores.dtype, device=scores.device) + 0.5) / n_levels
    place = torch.searchsorted(cumulative, fraction * cumulative[:, -1:]).clamp(max=last)
    own, following = scores.gather(1, place), scores.gather(1, (place + 1).clamp(max=last))
    return own - ((own - following) / 2).clamp(max=max_below)
