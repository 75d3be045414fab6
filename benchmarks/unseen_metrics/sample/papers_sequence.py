"""Metrics of sequences after papers."""

from __future__ import annotations

import difflib
import itertools
import math
from collections import Counter

from autosurrogate import metric


def ngrams(tokens: list[int], n: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram occurs."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def segments(tokens: list[int]) -> list[tuple[int, int, int]]:
    """Label, start and end of each run of equal tokens."""
    found, start = [], 0
    for label, run in itertools.groupby(tokens):
        end = start + len(list(run))
        found.append((label, start, end))
        start = end
    return found


@metric(task="sequence", view="tokens", set_size=16)
def cider(preds: list[list[int]], target: list[list[int]]) -> float:
    """CIDEr with one reference: cosines of n-grams, weighted by rarity in the set (Vedantam et al., CVPR 2015)."""
    total = 0.0
    for n in range(1, 5):
        known = Counter(gram for t in target for gram in ngrams(t, n))
        rarity = {gram: math.log(max(1.0, len(target) / count)) for gram, count in known.items()}
        for p, t in zip(preds, target, strict=True):
            found, true = ngrams(p, n), ngrams(t, n)
            weights = {gram: rarity.get(gram, math.log(len(target))) for gram in found | true}
            dot = sum(found[gram] * true[gram] * weights[gram] ** 2 for gram in found)
            norms = [math.sqrt(sum((c * weights[gram]) ** 2 for gram, c in x.items())) for x in (found, true)]
            total += dot / (norms[0] * norms[1]) if norms[0] * norms[1] > 0 else 0.0
    return 10 * total / (4 * len(target))


@metric(task="sequence", level="sample", view="tokens")
def skip_bigrams(preds: list[int], target: list[int]) -> float:
    """ROUGE-S4: F1 of pairs of tokens in their order with up to four between (Lin, 2004)."""

    def pairs(tokens: list[int]) -> Counter[tuple[int, int]]:
        return Counter((tokens[i], b) for i in range(len(tokens)) for b in tokens[i + 1 : i + 6])

    found, true = pairs(preds), pairs(target)
    return 2 * (found & true).total() / max(1, found.total() + true.total())


@metric(task="sequence", level="sample", view="tokens")
def segmental_f1(preds: list[int], target: list[int]) -> float:
    """F1 of segments that overlap one of their label by half (Lea et al., CVPR 2017)."""
    found, free, hits = segments(preds), set(segments(target)), 0
    n_true = len(free)
    for label, start, end in found:
        rivals = [s for s in free if s[0] == label]
        overlap = {s: (min(end, s[2]) - max(start, s[1])) / (max(end, s[2]) - min(start, s[1])) for s in rivals}
        best = max(overlap, key=lambda s: (overlap[s], -s[1]), default=None)
        if best is not None and overlap[best] >= 0.5:
            hits += 1
            free.remove(best)
    return 2 * hits / max(1, len(found) + n_true)


@metric(task="sequence", level="sample", view="tokens", higher_is_better=False)
def repetition_gap(preds: list[int], target: list[int]) -> float:
    """How far the fraction of distinct bigrams is from the reference's (Li et al., NAACL 2016)."""
    found, true = (len(ngrams(x, 2)) / max(1, len(x) - 1) for x in (preds, target))
    return abs(found - true)


@metric(task="sequence", level="sample", view="tokens", higher_is_better=False)
def hallucinated_tokens(preds: list[int], target: list[int]) -> float:
    """The fraction of predicted tokens that the reference lacks."""
    return sum(token not in set(target) for token in preds) / max(1, len(preds))


@metric(task="sequence", level="sample", view="tokens", higher_is_better=False)
def length_error(preds: list[int], target: list[int]) -> float:
    """The logarithm of the ratio of both lengths, without its sign."""
    return abs(math.log((len(preds) + 1) / (len(target) + 1)))


@metric(task="sequence", level="sample", view="tokens")
def matching_blocks(preds: list[int], target: list[int]) -> float:
    """Gestalt pattern matching (Ratcliff and Metzener, 1988), by difflib."""
    return difflib.SequenceMatcher(None, preds, target, autojunk=False).ratio()
