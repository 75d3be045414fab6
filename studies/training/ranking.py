"""Learning to rank."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate.examples import Examples
from studies.models.ranker import EXPERIMENTS
from studies.training._comparison import Rival, by_metrics

K = 10  # of NDCG@10


def _gains(relevance: Tensor) -> tuple[Tensor, Tensor]:
    """The gain of each document, 0 for padding, and the best DCG@10 of each list."""
    gain = relevance.clamp_min(0).float()
    discount = 1 / torch.arange(2, gain.shape[1] + 2, device=gain.device).log2()
    best = (gain.sort(dim=1, descending=True).values * discount)[:, :K].sum(1, keepdim=True)
    return gain, best.clamp_min(1e-6)


def lambda_rank(examples: Examples, slope: float = 1.0) -> Tensor:
    """LambdaRank's loss: logistic losses of pairs, weighted by what swapping them changes of NDCG@10 (Burges, 2010)."""
    scores, relevance = examples.preds, examples.target
    gain, best = _gains(relevance)
    valid = relevance >= 0
    with torch.no_grad():
        order = scores.masked_fill(~valid, -torch.inf).argsort(1, descending=True).argsort(1)
        discount = torch.where(order < K, 1 / (order + 2.0).log2(), 0.0)
        change = (gain[:, :, None] - gain[:, None]) * (discount[:, :, None] - discount[:, None])
        weight = change.abs() / best[:, :, None] * valid[:, :, None] * valid[:, None]
        weight = weight * (relevance[:, :, None] > relevance[:, None])
    losses = F.softplus(-slope * (scores[:, :, None] - scores[:, None]))
    return (weight * losses).sum((1, 2)).mean()


def approx_ndcg(examples: Examples, temperature: float = 1.0) -> Tensor:
    """1 - NDCG with ranks by pairwise sigmoids (Qin, Liu and Li, Information Retrieval 2010)."""
    scores, relevance = examples.preds, examples.target
    gain, best = _gains(relevance)
    valid = relevance >= 0
    below = ((scores[:, None] - scores[:, :, None]) / temperature).sigmoid() * valid[:, None]
    rank = 0.5 + below.sum(2)  # a document is half below itself
    return (1 - (gain / (1 + rank).log2()).sum(1) / best[:, 0]).mean()


def neural_ndcg(examples: Examples, temperature: float = 1.0) -> Tensor:
    """1 - NDCG@10 of documents sorted by NeuralSort (Pobrotyn and Białobrzeski, arXiv 2102.07831)."""
    scores, relevance = examples.preds, examples.target
    gain, best = _gains(relevance)
    valid = relevance >= 0
    apart = (scores[:, :, None] - scores[:, None]).abs() * valid[:, None]
    n_valid = valid.sum(1, keepdim=True)
    places = torch.arange(scores.shape[1], device=scores.device)
    factor = (n_valid - 1 - 2 * places).float()
    logits = factor[:, :, None] * scores[:, None] - apart.sum(2)[:, None]
    sorting = (logits / temperature).masked_fill(~valid[:, None], -torch.inf).softmax(2)
    sorting = sorting * (places < n_valid)[:, :, None]
    sorted_gain = (sorting * gain[:, None]).sum(2)
    discount = torch.where(places < K, 1 / (places + 2.0).log2(), 0.0)
    return (1 - (sorted_gain * discount).sum(1) / best[:, 0]).mean()


RIVALS = {
    "LambdaRank": Rival("Burges, MSR-TR-2010-82", lambda_rank),
    "ApproxNDCG": Rival("Qin, Liu and Li, 2010", approx_ndcg),
    "NeuralNDCG": Rival("Pobrotyn and Białobrzeski, 2021", neural_ndcg),
}


COMPARISONS = {"ranking": by_metrics(EXPERIMENTS["ranker"], ("ndcg",), RIVALS, tuning_seeds=(1000, 1001, 1002))}
