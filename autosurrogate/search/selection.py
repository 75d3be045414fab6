"""Which of the trials of a search is exported."""

from __future__ import annotations

from collections.abc import Callable

from optuna.trial import FrozenTrial

from autosurrogate.evaluation.descent import BEYOND_NOISE, MENDED

RANK = 2.0  # weight of the rank correlation in what a study maximises
BAND, BAND_SHARE = 0.06, 8.0  # of rank correlation, within which the descent check decides, see `leading`
LIGHTER = (0.3, 0.1)  # weights that leading trials are tried with where none mends enough, see `best`
N_LIGHTER = 4  # leading trials that are tried so


def best(
    complete: list[FrozenTrial], regular_mended: float, mended: Callable[[FrozenTrial, float], tuple[float, float]]
) -> FrozenTrial:
    """Of the trials whose rank correlation is nearly the best, see `leading`, the one that mends the most.

    Of those that mend as much but for a standard error, and no less than the regular loss if one does, it is the one of
    the highest rank correlation.

    If none of the trials that rank nearly best mends as much as the regular loss, or less by no more than a standard
    error, the best of others that do counts, unless one that ranks nearly best and is worth as much, see `worth`, does
    not surely mend less than the regular loss with a smaller weight.

    Args:
        complete: trials, at least one.
        regular_mended: the share that the regular loss mends on validation points.
        mended: the share that a trial's loss mends there with a weight, and its standard error.
    """
    mending = [t for t in complete if share(t) + error(t) >= regular_mended]
    first = {t.number for t in leading(complete)}
    within = [t for t in mending if t.number in first]
    if within:
        return _mends_most(within, regular_mended)
    other = _mends_most(leading(mending or complete), regular_mended)
    lighter = _with_less_weight(complete, regular_mended, mended)
    if lighter is None:
        return other
    surely = worth(correlation(other), share(other) - error(other))
    return other if mending and surely > worth(correlation(lighter[1]), lighter[0]) else lighter[1]


def worth(correlation: float, share: float) -> float:
    """What a study maximises.

    Args:
        correlation: held-out rank correlation.
        share: what the loss mends in the descent check; the regular loss mends about `MENDED`.
    """
    return RANK * correlation + share / MENDED


def _mends_most(trials: list[FrozenTrial], regular_mended: float) -> FrozenTrial:
    """The one that mends the largest share, or one that ranks better and mends as much but for a standard error."""
    most = max(trials, key=share)
    as_much = max(share(most) - error(most), min(share(most), regular_mended))
    return max((t for t in trials if share(t) >= as_much), key=correlation)


def _with_less_weight(
    complete: list[FrozenTrial], regular_mended: float, mended: Callable[[FrozenTrial, float], tuple[float, float]]
) -> tuple[float, FrozenTrial] | None:
    """What the best of the leading trials mends with a smaller weight, unless surely less than the regular loss."""
    found: list[tuple[float, FrozenTrial]] = []
    for trial in sorted(leading(complete), key=share, reverse=True)[:N_LIGHTER]:
        for weight in LIGHTER:
            one, its_error = mended(trial, weight)
            if one + BEYOND_NOISE * its_error >= regular_mended:
                found.append((one, trial))
    return max(found, key=lambda pair: pair[0], default=None)


def leading(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Those whose rank correlation is nearly the best.

    They lack at most `BAND_SHARE` times as much more to 1 as the best one lacks, and at most `BAND`: where a metric can
    be followed to a thousandth, a loss that misses it by six hundredths sees something else.
    """
    best = max(map(correlation, trials))
    return [t for t in trials if correlation(t) >= best - min(BAND, BAND_SHARE * (1 - best))]


def correlation(trial: FrozenTrial) -> float:
    """Held-out rank correlation over all points."""
    return float(trial.user_attrs["correlation"])


def share(trial: FrozenTrial) -> float:
    """What the loss mends in the descent check."""
    return float(trial.user_attrs["mended"])


def error(trial: FrozenTrial) -> float:
    """The standard error of what the loss mends."""
    return float(trial.user_attrs["mended_error"])
