"""Losses of built-in metrics, ready to use; `python -m benchmarks.ready_losses` fits them."""

N_TRIALS = 64  # of each fit; a count, so that a loss does not depend on the speed of the machine
