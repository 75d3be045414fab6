"""Whether a loss is good enough to export."""

from __future__ import annotations

from autosurrogate.evaluation.descent import BEYOND_NOISE
from autosurrogate.evaluation.strata import behind_regular_loss
from autosurrogate.export.metadata import Quality

MIN_SPEARMAN = 0.3  # on generated points, which are of every quality; a loss below it does not follow the metric


def shortfalls(quality: Quality) -> list[str]:
    """The figures of a loss that are too low to export it, one phrase each; empty for a good loss."""
    reasons: list[str] = []
    parts = [("held-out generated points", quality.held_out_generated, MIN_SPEARMAN)]
    if quality.held_out_recorded is not None:
        parts.append(("held-out recorded outputs", quality.held_out_recorded, 0.0))
    for where, correlations, minimum in parts:
        own, regular = correlations.loss.spearman, correlations.regular_loss.spearman
        if not own > minimum:
            reasons.append(
                f"its Spearman correlation on {where} is {100 * own:.1f}, not above {100 * minimum:g}: it does not "
                "follow the metric"
            )
        elif not own > regular:
            reasons.append(
                f"its Spearman correlation on {where} is {100 * own:.1f}, the regular loss's {100 * regular:.1f}"
            )
        for row in behind_regular_loss(correlations.strata):
            reasons.append(
                f"of {where} it orders {row.name} worse than the regular loss does: Somers' D "
                f"{100 * row.loss_somers_d:.1f}, the regular loss's {100 * row.regular_loss_somers_d:.1f} "
                f"({row.n_points} points)"
            )
    check = quality.descent_check
    if not check.gain + BEYOND_NOISE * check.gain_error >= check.regular_loss_gain:
        reasons.append(
            f"added to the regular loss with weight {check.weight:g}, its gain in the descent check is "
            f"{check.gain:.4g} (standard error {check.gain_error:.2g}), the regular loss's alone "
            f"{check.regular_loss_gain:.4g}"
        )
    return reasons
