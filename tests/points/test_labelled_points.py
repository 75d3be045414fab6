"""The labelled points of a run: those of a search first, those of the test beside it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autosurrogate import tasks
from autosurrogate.errors import LabellingError
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.points.labelled_points import SPLITS, LabelledPoints
from autosurrogate.points.labelled_set import LabelledSet
from autosurrogate.registry.lookup import find
from autosurrogate.run.budget import Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import search_space

ACCURACY = find("accuracy")
CHUNKS = [("train", SPLITS["train"]), ("validation", SPLITS["validation"])]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = RunDir(tmp_path / "run")
    found.create({}, search_space.text_of(tasks.get(ACCURACY.task)))
    return found


@pytest.fixture
def labeller() -> Iterator[Labeller]:
    with Labeller(ACCURACY) as found:
        yield found


def labelled(run: RunDir, clock: Clock, labeller: Labeller) -> LabelledPoints:
    return LabelledPoints(run, clock, tasks.get(ACCURACY.task), ACCURACY, labeller, 0, Progress())


@pytest.mark.slow
def test_a_search_has_its_points_before_those_of_the_test_are_labelled(run: RunDir, labeller: Labeller) -> None:
    with Clock(run, 1e3) as clock:
        points = labelled(run, clock, labeller)
        searched = points.for_search([])
        kept = LabelledSet(run.labelled)
        assert [("train", len(searched.train)), ("validation", len(searched.validation))] == CHUNKS
        assert kept.chunks("test") == []
        points.start_held_out()
        assert len(points.held_out().generated) == SPLITS["test"]
        before = {path: path.stat().st_mtime_ns for path in run.labelled.glob("test-*")}
        again = labelled(run, clock, labeller)
        again.start_held_out()
        assert len(again.held_out().generated) == SPLITS["test"]
        assert before == {path: path.stat().st_mtime_ns for path in run.labelled.glob("test-*")}  # not labelled again


@pytest.mark.slow
def test_whoever_is_in_a_hurry_waits_for_little_of_the_test(run: RunDir) -> None:
    def slow(preds: np.ndarray, target: np.ndarray) -> float:
        time.sleep(0.003)
        return float(ACCURACY.function(preds, target))

    metric = dataclasses.replace(ACCURACY, function=slow, spec=None)
    with Labeller(metric) as labeller, Clock(run, 1e3) as clock:
        points = labelled(run, clock, labeller)
        points.for_search([])
        points.start_held_out()
        assert 1 <= len(points.held_out(partial=True).generated) < SPLITS["test"]


@pytest.mark.slow
def test_what_goes_wrong_beside_the_search_is_told_at_its_end(run: RunDir, labeller: Labeller) -> None:
    with Clock(run, 1e3) as clock:
        points = labelled(run, clock, labeller)
        points.for_search([])
        labeller.close()
        points.start_held_out()
        with pytest.raises(LabellingError, match="labelling was stopped"):
            points.held_out()
