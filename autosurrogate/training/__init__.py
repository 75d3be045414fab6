"""Training one surrogate on labelled points."""
