"""What builds the site needs the `docs` extra, which the tests do without; tests/docs imports what it tests."""

collect_ignore_glob = ["*.py"]
