"""Which of the trials of a search is exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autosurrogate.evaluation.descent import BEYOND_NOISE, TARGET_FRACTION
from autosurrogate.search.trial_record import TrialRecord

ORDER_WEIGHT = 2.0  # of the order in the objective value
MAX_BEHIND, MAX_BEHIND_RATIO = 0.03, 1.0  # how far leading trials may be behind the best, see `leading`
MAX_BEHIND_FOR_GAIN = 0.2  # how far a trial may be behind the best that is exported because it gains more
SMALLER_WEIGHTS = (0.3, 0.1)  # of a loss, tried where no leading trial gains enough, see `select`
N_SMALLER = 4  # trials that they are tried with

GainFraction = Callable[[TrialRecord, float], tuple[float, float]]  # of a trial's loss with a weight, and its error


def select(records: Sequence[TrialRecord], regular_gain_fraction: float, gain_fraction: GainFraction) -> TrialRecord:
    """The trial to export.

    A trial gains enough if its gain fraction plus its standard error is at least the regular loss's gain fraction.

    1. Among the leading trials, see `leading`, that gain enough: the one of `_largest_gain`.
    2. If there are none: the one of `_largest_gain` among the leading of those that gain enough and whose order is
       behind the best by at most `MAX_BEHIND_FOR_GAIN`; of all trials, if there are none.
    3. Instead of 2, a leading trial that is not surely worse than the regular loss with a smaller weight, see
       `_with_smaller_weight`; if there is none, another one that is as little behind as in 2. Unless the trial of 2
       gains enough and its objective value, less the standard error, is larger.

    Args:
        records: the completed trials, at least one.
        regular_gain_fraction: of the regular loss on validation points.
        gain_fraction: of a trial's loss with a given weight on validation points, with its standard error.
    """
    lowest = max(r.order for r in records) - MAX_BEHIND_FOR_GAIN
    near = [r for r in records if r.order >= lowest]
    enough = [r for r in near if r.gain_fraction + r.gain_fraction_error >= regular_gain_fraction]
    numbers = {r.number for r in leading(records)}
    leading_enough = [r for r in enough if r.number in numbers]
    if leading_enough:
        return _largest_gain(leading_enough, regular_gain_fraction)
    other = _largest_gain(leading(enough or records), regular_gain_fraction)
    lighter = _with_smaller_weight(leading(records), regular_gain_fraction, gain_fraction)
    lighter = lighter or _with_smaller_weight(near, regular_gain_fraction, gain_fraction)
    if lighter is None:
        return other
    gain, record = lighter
    lower_bound = objective_value(other.order, other.gain_fraction - other.gain_fraction_error)
    return other if enough and lower_bound > objective_value(record.order, gain) else record


def objective_value(order: float, gain_fraction: float) -> float:
    """What the study maximises: twice the order, plus the gain relative to the regular loss's.

    Args:
        order: of a trial, see `TrialRecord.order`.
        gain_fraction: of the loss in the descent check; the regular loss's is about `TARGET_FRACTION`.
    """
    return ORDER_WEIGHT * order + gain_fraction / TARGET_FRACTION


def leading(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Those whose order is close to the best.

    They are behind it by at most `MAX_BEHIND`, and by at most `MAX_BEHIND_RATIO` times what the best lacks to 1: where
    a loss can follow the metric to a thousandth, one that misses it by three hundredths sees something else.
    """
    best = max(r.order for r in records)
    return [r for r in records if r.order >= best - min(MAX_BEHIND, MAX_BEHIND_RATIO * (1 - best))]


def _largest_gain(records: Sequence[TrialRecord], regular_gain_fraction: float) -> TrialRecord:
    """The one with the best order, of those whose gain is within a standard error of the largest.

    Within it, but not below the regular loss's gain, unless the largest is.
    """
    largest = max(records, key=lambda r: r.gain_fraction)
    threshold = max(
        largest.gain_fraction - largest.gain_fraction_error, min(largest.gain_fraction, regular_gain_fraction)
    )
    return max((r for r in records if r.gain_fraction >= threshold), key=lambda r: r.order)


def _with_smaller_weight(
    records: Sequence[TrialRecord], regular_gain_fraction: float, gain_fraction: GainFraction
) -> tuple[float, TrialRecord] | None:
    """The largest gain fraction of some trials with a smaller weight, and its trial; None if all are too low.

    Only the `N_SMALLER` trials with the largest gains are tried.
    """
    candidates: list[tuple[float, TrialRecord]] = []
    for record in sorted(records, key=lambda r: r.gain_fraction, reverse=True)[:N_SMALLER]:
        for weight in SMALLER_WEIGHTS:
            gain, error = gain_fraction(record, weight)
            if gain + BEYOND_NOISE * error >= regular_gain_fraction:
                candidates.append((gain, record))
    return max(candidates, key=lambda pair: pair[0], default=None)
