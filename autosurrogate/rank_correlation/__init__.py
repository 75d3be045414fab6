"""Differentiable ranks, and rank correlations with intervals."""
