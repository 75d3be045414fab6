"""The commands: a module each, with a function `run` that returns the exit code."""
