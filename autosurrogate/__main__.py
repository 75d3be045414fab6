"""`python -m autosurrogate` is the command line."""

import sys

from autosurrogate.cli import main

sys.exit(main())
