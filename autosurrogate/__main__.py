"""`python -m autosurrogate` is the command line."""

import sys

from autosurrogate.cli.main import main

sys.exit(main())
