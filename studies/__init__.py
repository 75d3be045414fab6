"""What the method is proved by: training with the losses, the paper's studies, their models; one command each."""

import os

os.environ["AUTOSURROGATE_CACHE"] = "off"  # what is measured labels its own points
