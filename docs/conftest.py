"""Which examples of the pages are run, and which of them are slow."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Modules without examples; what builds the site needs the `docs` extra, which the tests do without.
collect_ignore = ["_site", "conftest.py"]

FITS = ">>> result = autosurrogate.fit("


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of a page that fits a loss, as `slow` marks tests."""
    for item in items:
        page = item.path
        if page.suffix == ".md" and page.is_relative_to(ROOT) and FITS in page.read_text(encoding="utf-8"):
            item.add_marker(pytest.mark.slow)
