"""Differentiable ranks, and rank correlations with intervals."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.rank_correlation.agreement import Agreement
    from autosurrogate.rank_correlation.bootstrap import bootstrap_interval
    from autosurrogate.rank_correlation.comparison import mean_agreement, rank_agreement
    from autosurrogate.rank_correlation.soft_ranks import soft_rank
    from autosurrogate.rank_correlation.somers import SomersDifference, somers_d, somers_difference
    from autosurrogate.rank_correlation.statistics import kendall, spearman

__all__ = [
    "Agreement",
    "SomersDifference",
    "bootstrap_interval",
    "kendall",
    "mean_agreement",
    "rank_agreement",
    "soft_rank",
    "somers_d",
    "somers_difference",
    "spearman",
]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agreement": ["Agreement"],
        "bootstrap": ["bootstrap_interval"],
        "comparison": ["mean_agreement", "rank_agreement"],
        "soft_ranks": ["soft_rank"],
        "somers": ["SomersDifference", "somers_d", "somers_difference"],
        "statistics": ["kendall", "spearman"],
    },
)
