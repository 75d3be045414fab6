"""Losses of built-in metrics, ready to be used; `python -m benchmarks.ready_losses` makes them."""
