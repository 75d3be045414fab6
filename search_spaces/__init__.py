"""Search spaces: a TOML file for each task."""
