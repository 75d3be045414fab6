"""Measurements behind the figures in docs/: one command each."""
