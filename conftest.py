"""What all tests share, those of the docs included."""

import os

os.environ["AUTOSURROGATE_CACHE"] = "off"  # else a test would find what another, or the user, has labelled
