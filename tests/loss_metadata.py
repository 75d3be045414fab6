"""Metadata of a loss that was never fitted, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autosurrogate.export.metadata import (
    DescentCheck,
    GeneratedPoints,
    GradientNorms,
    HeldOutCorrelations,
    LabelledPoints,
    LossMetadata,
    Network,
    Quality,
    SearchSummary,
    SetSizeCorrelation,
    Training,
)
from autosurrogate.rank_correlation.agreement import Agreement


def agreement(spearman: float) -> Agreement:
    return Agreement(spearman, (spearman - 0.1, spearman + 0.1), -1.0, (-1.0, 1.0), 12345)


def quality(**changes: Any) -> Quality:
    """Of a good loss, with some fields changed."""
    unchanged = Quality(
        held_out_generated=HeldOutCorrelations(
            agreement(0.9), agreement(0.5), (SetSizeCorrelation(16, 48, 0.91, float("nan")),)
        ),
        held_out_recorded=HeldOutCorrelations(agreement(0.8), agreement(0.4), ()),
        gradient_norms=GradientNorms(0.1, 0.1),
        suggested_weight=1.0,
        descent_check=DescentCheck(1.23456, 0.1, 0.5, 0.3, 1.0, 64),
    )
    return replace(unchanged, **changes)


def loss_metadata(**changes: Any) -> LossMetadata:
    """With some fields changed."""
    unchanged = LossMetadata(
        created="2026-11-25T13:25:30+00:00",
        versions={"python": "3.11.7", "torch": "2.13.0"},
        metric="a_metric_of_an_uncommonly_long_name",
        metric_spec=None,
        mixture=None,
        task="classification",
        level="set",
        view="labels",
        set_size=128,
        higher_is_better=True,
        tokenizer=None,
        network=Network("margin", {"temperatures": [0.3, 0.03]}, 1234),
        training=Training("correlation", {"n_steps": 200, "soft_rank": "pairwise"}),
        search=SearchSummary(3, 5, 2, 0.95),
        seed=0,
        budget_s=300.0,
        recorded_outputs=("Maß.npz",),
        device="cpu",
        generated_points=GeneratedPoints(0.98, 0.0, 1.0),
        labelled_points=LabelledPoints(6144, 3, {"raised": 2, "nan": 1}, "KeyError: [b]7[/b]"),
        quality=quality(),
    )
    return replace(unchanged, **changes)
