"""Small models trained on real data, and their outputs from early to late in training."""

from pathlib import Path

OUTPUTS = Path(__file__).parents[1] / "outputs"  # where they are recorded
