"""Marks of pages whose examples take long."""

from pathlib import Path

import pytest

SLOW = {"tutorial.md", "own-task.md"}  # each fits a loss that is good


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the examples of these pages, as `slow` marks tests."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
