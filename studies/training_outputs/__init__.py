"""Outputs of small models of every task, from the untrained model on, to develop losses with and to check them by."""

from pathlib import Path

OUTPUTS = Path(__file__).parents[1] / "outputs" / "training"  # where they are recorded
