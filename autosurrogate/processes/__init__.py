"""A child process and the pipes to it."""
