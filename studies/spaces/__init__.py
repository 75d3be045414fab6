"""Search spaces that the studies and benchmarks use in place of the tasks' own."""

from pathlib import Path

SPACES = Path(__file__).parent
