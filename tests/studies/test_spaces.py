from __future__ import annotations

from pathlib import Path

import pytest

from autosurrogate import tasks
from autosurrogate.search import search_space

SPACES = Path(__file__).parents[2] / "studies" / "spaces"


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_search_space_of_the_studies_is_valid(path: Path) -> None:
    task = tasks.get(path.stem.rpartition("_")[2])
    assert search_space.load(task, path).networks
