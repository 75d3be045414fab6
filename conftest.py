"""What all tests share, those of the docs included: no cache of labels, and the order in which tests run."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ["AUTOSURROGATE_CACHE"] = "off"  # else a test would find what another, or the user, has labelled

#: No examples are in them, and several modules of one name cannot be collected.
collect_ignore_glob = ["*conftest.py"]

#: Files whose tests share no costly fixture. Tests with the same name up to a colon stay together.
CONFORMANCE = "tests/testing/test_conformance.py"
SPLIT_FILES = ("tests/search/test_trainers.py", "tests/test_training_loops.py", CONFORMANCE)

#: Files whose tests run with the task's checks, as both look at the same exported losses.
NETWORKS_OF_A_TASK = re.compile(r"tests/surrogates/test_(\w+)_networks\.py")


class FileScheduling(LoadScopeScheduling):
    """Gives each process whole files, in the order of collection, but parts `SPLIT_FILES` into their tests."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if networks := NETWORKS_OF_A_TASK.fullmatch(file):
            return f"{CONFORMANCE}::test_every_task[{networks[1]}"
        return f"{file}::{test.partition(':')[0]}" if file in SPLIT_FILES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Schedule by files where nothing else is asked for."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order is that of `pytest_collection_modifyitems`
    return FileScheduling(config, log)


#: Fixtures that fit or export losses.
SLOW_FIXTURES = {"exported", "fitted", "sample_loss"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow the examples of pages and what uses a slow fixture; run files with slow tests first."""
    for item in items:
        if item.path.suffix == ".md" or SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)  # one that begins last would run alone
