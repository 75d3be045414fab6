"""Studies of the method, behind the figures in docs/: one command each."""

import os

os.environ["AUTOSURROGATE_CACHE"] = "off"  # what is measured labels its own points
