"""Metrics of ranking after papers."""

from __future__ import annotations

import numpy as np

from autosurrogate import metric


def ranked(preds: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Grades from the item with the largest score on."""
    return target[np.argsort(-preds, kind="stable")]


@metric(task="ranking", level="sample")
def expected_reciprocal_rank(preds: np.ndarray, target: np.ndarray) -> float:
    """ERR: where a user stops who is satisfied the sooner the higher the grade (Chapelle et al., CIKM 2009)."""
    stops = (2.0 ** ranked(preds, target) - 1) / 2.0 ** max(4, target.max())
    reached = np.cumprod(np.concatenate([[1.0], 1 - stops[:-1]]))
    return float((reached * stops / np.arange(1, len(stops) + 1)).sum())


@metric(task="ranking", level="sample")
def rank_biased_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """RBP with a persistence of 0.8 and gains by grade (Moffat and Zobel, TOIS 2008)."""
    gains = ranked(preds, target) / max(1, target.max())
    return float(0.2 * (gains * 0.8 ** np.arange(len(gains))).sum())


@metric(task="ranking", level="sample")
def graded_average_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """GAP with all thresholds of the grades equally likely (Robertson et al., SIGIR 2010)."""
    grades = ranked(preds, target).astype(float)
    shared = np.minimum(grades[:, None], grades[None])
    above = np.tril(shared).sum(1) / np.arange(1, len(grades) + 1)
    return float(above.sum() / max(grades.sum(), 1e-9))


@metric(task="ranking", level="sample")
def q_measure(preds: np.ndarray, target: np.ndarray) -> float:
    """The Q-measure: average precision blended with cumulated gain (Sakai, NTCIR 2004)."""
    grades = ranked(preds, target)
    relevant, ranks = grades > 0, np.arange(1, len(grades) + 1)
    ideal = np.cumsum(np.sort(grades)[::-1])
    blended = (np.cumsum(grades) + np.cumsum(relevant)) / (ideal + ranks)
    return float(blended[relevant].mean()) if relevant.any() else float("nan")


@metric(task="ranking", level="sample")
def rank_correlation_of_precision(preds: np.ndarray, target: np.ndarray) -> float:
    """AP correlation: how many above each item are really better, ties a half (Yilmaz et al., SIGIR 2008)."""
    grades = ranked(preds, target)
    better = np.tril(np.sign(grades[None] - grades[:, None]), -1)
    return float((better.sum(1)[1:] / np.arange(1, len(grades))).mean())


@metric(task="ranking", set_size=32)
def group_auc(preds: list[np.ndarray], target: list[np.ndarray]) -> float:
    """The AUC of each list, weighted by its length; ties a half (Zhou et al., KDD 2018)."""
    areas, weights = [], []
    for p, t in zip(preds, target, strict=True):
        positive, negative = p[t > 0], p[t == 0]
        if len(positive) and len(negative):
            areas.append((np.sign(positive[:, None] - negative[None]).mean() + 1) / 2)
            weights.append(len(p))
    return float(np.average(areas, weights=weights)) if areas else float("nan")


@metric(task="ranking", level="sample", higher_is_better=False)
def expected_search_length(preds: np.ndarray, target: np.ndarray) -> float:
    """How many irrelevant items one reads until two relevant ones, or all, are found (Cooper, 1968)."""
    relevant = ranked(preds, target) > 0
    wanted = min(2, int(relevant.sum()))
    end = int(np.argmax(np.cumsum(relevant) >= wanted)) if wanted else len(relevant)
    return float((~relevant[:end]).sum())


@metric(task="ranking", level="sample", higher_is_better=False)
def depth_of_last_relevant(preds: np.ndarray, target: np.ndarray) -> float:
    """How much of the list one reads to see all relevant items, as in patent search (Magdy and Jones, SIGIR 2010)."""
    relevant = np.flatnonzero(ranked(preds, target) > 0)
    return float((relevant[-1] + 1) / len(target)) if len(relevant) else float("nan")


@metric(task="ranking", set_size=32)
def winner_takes_all(preds: list[np.ndarray], target: list[np.ndarray]) -> float:
    """How often the first item has the best grade of its list."""
    return float(np.mean([t[p.argmax()] == t.max() for p, t in zip(preds, target, strict=True)]))


@metric(task="ranking", level="sample", higher_is_better=False)
def gain_lost_in_top_ten(preds: np.ndarray, target: np.ndarray) -> float:
    """How much DCG at 10 is below the best possible, with gains of 2^grade - 1 (Burges et al., ICML 2005)."""
    discount = 1 / np.log2(np.arange(2, min(10, len(target)) + 2))
    found, best = (2.0 ** grades[:10] - 1 for grades in (ranked(preds, target), np.sort(target)[::-1]))
    return float(((best - found) * discount).sum())
