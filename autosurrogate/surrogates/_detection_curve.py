"""Features of detections: precision, recall and false alarms along the order of their scores."""

import torch
from torch import Tensor

from autosurrogate.surrogates._detection_matching import DetectionBatch
from autosurrogate.surrogates._detection_pairs import Pairs, of_sets
from autosurrogate.surrogates._detection_precision import levels_of_equal_gain
from autosurrogate.surrogates._layers import matmul

RATES = (0.1, 0.3, 1.0, 3.0)  # false alarms per image
RECALLS = (0.2, 0.5, 0.8)
N_LEVELS = 16
MIN_WIDTH = 0.3  # of the scores around a level, in which hits and false alarms are compared
MAX_HITS = 3.0  # that a false alarm costs


def curve_names(ways: list[str]) -> list[str]:
    """Names of the features of `curve_features`."""
    names = [f"{what} {way}" for what in ("average precision", "best F1") for way in ways]
    names += [f"precision at recall {r:g} {way}" for r in RECALLS for way in ways]
    return names + [f"recall at {r:g} false alarms {way}" for r in RATES for way in ways]


def curve_features(
    batch: DetectionBatch,
    pairs: Pairs,
    set_size: int,
    temperature: float,
    recalls: list[float],
    rates: list[float],
    n_levels: int = N_LEVELS,
) -> Tensor:
    """Average precision of all classes together, and single points of the curve. Shape (n_points, n).

    Args:
        batch: of images.
        pairs: of queries and true boxes.
        set_size: images of each point.
        temperature: of scores, relative to their spread.
        recalls: see `RECALLS`.
        rates: see `RATES`.
        n_levels: of scores, between which hits are about as many.
    """
    n_queries, n_ways = batch.query_mask.size(1), pairs.hits.size(2)
    order, mask = pairs.order.view(-1, set_size * n_queries), batch.query_mask.view(-1, set_size * n_queries)
    hits = pairs.hits.view(-1, set_size * n_queries, n_ways)
    n_true = of_sets(batch.target_mask.sum(1), set_size).view(-1, 1, 1).clamp_min(1)
    fixed = order.detach() - 100 * (1 - mask)  # what pads comes last
    levels = levels_of_equal_gain(fixed, hits.detach().mean(2), n_levels, 3 * temperature)
    false = mask.unsqueeze(2) - hits
    all_levels = [levels]
    for rate in rates:
        all_levels.append(_level_of_rate(fixed, false.detach(), rate * set_size))
    n_rates = len(rates) * n_ways
    levels = torch.cat(all_levels, 1)
    above = torch.sigmoid((order.unsqueeze(1) - levels.unsqueeze(2)) / temperature)
    n_hits = matmul(above, hits)  # (n_points, levels, V)
    n_false = matmul(above, false)

    on_curve, false_on_curve = n_hits[:, :-n_rates], n_false[:, :-n_rates]
    on_curve = torch.cat([on_curve, hits.sum(1, keepdim=True)], 1)
    false_on_curve = torch.cat([false_on_curve, false.sum(1, keepdim=True)], 1)
    found = on_curve + false_on_curve
    precision = on_curve / (found + 0.01)
    best_later = precision.flip(1).cummax(1)[0].flip(1)
    step = torch.cat([on_curve[:, :1], on_curve[:, 1:] - on_curve[:, :-1]], 1)
    f1 = 2 * on_curve / (found + n_true)
    features = [(best_later * step).sum(1) / n_true.squeeze(2), (30 * f1).logsumexp(1) / 30]
    reached = (on_curve / n_true).detach()
    for recall in recalls:
        near = torch.exp(-((reached - recall) / 0.05).square())
        features.append((best_later * near).sum(1) / (near.sum(1) + 0.1))
    cost = _hits_for_a_false_alarm(fixed, hits.detach(), false.detach(), levels[:, -n_rates:], temperature)
    for i in range(len(rates)):
        for way in range(n_ways):
            at = i * n_ways + way
            n_above, false_above = n_hits[:, at - n_rates, way], n_false[:, at - n_rates, way]
            reach = n_above - cost[:, at, way] * (false_above - false_above.detach())
            features.append(reach.unsqueeze(1) / n_true.squeeze(2))
    return torch.cat(features, 1)


def _level_of_rate(scores: Tensor, false: Tensor, n_false: float) -> Tensor:
    """The score of the first false alarm beyond `n_false`, in each way of matching; shape (n_points, V)."""
    ranked, index = scores.sort(1, descending=True)
    of_ways = index.unsqueeze(2).expand(-1, -1, false.size(2))
    cumulative = false.gather(1, of_ways).clamp_min(0).cumsum(1).transpose(1, 2).contiguous()
    place = torch.searchsorted(cumulative, torch.full_like(cumulative[:, :, :1], n_false + 0.1)).squeeze(2)
    last = scores.size(1) - 1
    level = ranked.gather(1, place.clamp(max=last))
    return torch.where(place > last, torch.full_like(level, -50.0), level)


def _hits_for_a_false_alarm(
    scores: Tensor,
    hits: Tensor,
    false: Tensor,
    levels: Tensor,
    temperature: float,
    min_width: float = MIN_WIDTH,
    max_hits: float = MAX_HITS,
) -> Tensor:
    """How many hits are near each level for each false alarm near it, shape (n_points, levels, V).

    A level is where there are so many false alarms. It rises with each further one, and these hits are lost.
    """
    width = max(temperature, min_width)
    near = torch.exp(-((scores.unsqueeze(1) - levels.unsqueeze(2)) / width).square())
    return (matmul(near, hits) / matmul(near, false).clamp_min(1e-3)).clamp(0.0, max_hits)
