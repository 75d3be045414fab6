"""How the predictions of a set are spread over the cells of its confusion matrix."""

import torch
from torch import Tensor

from autosurrogate.surrogates._classification_rows import TargetRows, entropy

QUALITIES = ("information by targets", "information by predictions")
CONTEXT = ("entropy of predictions", "entropy of misses", "entropy of false alarms", "misses by totals")


def information(probability: Tensor, rows: TargetRows) -> tuple[Tensor, Tensor]:
    """`QUALITIES` and `CONTEXT` of sets, shapes (n_points, 2) and (n_points, 4).

    Mutual information of targets and predictions, as fractions of the entropy of either; and how evenly misses are
    spread over other classes, which confusion entropies measure (Wei et al., Expert Systems 2010).

    Args:
        probability: of each class at one temperature, shape (n, C).
        rows: of the targets.
    """
    n_points, set_size = rows.weight.size(0), rows.weight.size(1)
    offset = torch.arange(n_points, device=rows.row.device).unsqueeze(1) * set_size
    valid = probability * rows.weight.view(-1, 1)
    matrix = torch.zeros_like(valid).index_add(0, (rows.row + offset).view(-1), valid)
    matrix = matrix.view(n_points, set_size, -1)  # a row for each class that the targets have
    hits = matrix.gather(2, rows.of_row.unsqueeze(2)).squeeze(2) * rows.present
    predicted_all, n = matrix.sum(1), rows.n
    predicted = predicted_all.gather(1, rows.of_row) * rows.present
    misses, false_alarms = rows.actual - hits, predicted_all.scatter_add(1, rows.of_row, -hits)
    of_targets, of_predictions = entropy(rows.actual, n), entropy(predicted_all, n)
    cells = entropy(matrix.flatten(1), n)
    off_diagonal = cells - entropy(hits, n)
    shared = of_targets + of_predictions - cells
    of_totals = ((rows.actual + predicted - 2 * hits) * torch.log((rows.actual + predicted).clamp_min(1))).sum(1)
    context = [
        of_predictions / 3,
        (off_diagonal - entropy(misses, n)) / 2,
        (off_diagonal - entropy(false_alarms, n)) / 2,
        of_totals / n / 8,
    ]
    return torch.stack([shared / (of_targets + 0.1), shared / (of_predictions + 0.1)], 1), torch.stack(context, 1)
