"""Differentiable ranks, and rank correlations with intervals."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from autosurrogate.rank_correlation.agreement import Agreement
    from autosurrogate.rank_correlation.soft_ranks import soft_rank
    from autosurrogate.rank_correlation.statistics import (
        bootstrap_interval,
        kendall,
        mean_agreement,
        rank_agreement,
        somers_d,
        spearman,
    )

__all__ = [
    "Agreement",
    "bootstrap_interval",
    "kendall",
    "mean_agreement",
    "rank_agreement",
    "soft_rank",
    "somers_d",
    "spearman",
]
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "agreement": ["Agreement"],
        "soft_ranks": ["soft_rank"],
        "statistics": ["bootstrap_interval", "kendall", "mean_agreement", "rank_agreement", "somers_d", "spearman"],
    },
)
