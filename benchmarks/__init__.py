"""What a release is checked by: speed, rank correlation, metrics of libraries, users and papers; one command each."""

import os
from pathlib import Path

os.environ["AUTOSURROGATE_CACHE"] = "off"  # what is measured labels its own points

PAGES = Path(__file__).parents[1] / "docs" / "measurements"  # what the commands write
