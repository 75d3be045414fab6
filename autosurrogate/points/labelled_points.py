"""The labelled points of a run: generated and recorded, read from its folder or made and written there.

Those that losses are fitted to and chosen by come first; those that they are judged by at the end are labelled in a
thread, while the search goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from autosurrogate._utils.files import write_json
from autosurrogate.errors import LabellingError
from autosurrogate.examples import Examples
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import Labels, check_labels
from autosurrogate.labelling.worker import Problem
from autosurrogate.points import label_cache, sampling
from autosurrogate.points.label_cache import LabelCache
from autosurrogate.points.labelled_set import Chunk, LabelledSet, Totals
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import FEASIBLE, LABELLING, Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.tasks import Task

SPLITS = {"train": 18, "validation": 6, "test": 6}  # chunks of generated points, at most: each set size alike
SEARCHED = ("train", "validation")  # what a search is made with; the test comes beside it
PIECES = 10_000  # of a recorded file, at most: tells the numbers of its chunks from the next file's


@dataclass(frozen=True)
class Points:
    """Labelled chunks that a search is made with: of G_R, and of recorded outputs (G_M) where there are any."""

    train: list[Chunk]
    validation: list[Chunk]
    recorded_train: list[Chunk]
    recorded_validation: list[Chunk]


@dataclass(frozen=True)
class HeldOut:
    """Labelled chunks that nothing is chosen by, alike."""

    generated: list[Chunk]
    recorded: list[Chunk]


class LabelledPoints:
    """Makes the labelled points of a run, and finds those that an earlier session made.

    Args:
        run: the run.
        clock: its budget.
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        seed: of the generated points and of the split of the recorded ones.
        progress: told how far it is.
        n_other_calls: calls of the metric that the run needs beside those on labelled points.
    """

    def __init__(
        self,
        run: RunDir,
        clock: Clock,
        task: Task,
        metric: Metric,
        labeller: Labeller,
        seed: int,
        progress: Progress,
        n_other_calls: int = 0,
    ) -> None:
        self._run, self._clock, self._task, self._metric = run, clock, task, metric
        self._labeller, self._seed, self._progress = labeller, seed, progress
        self._set = LabelledSet(run.labelled)
        self._cache = LabelCache(None)
        self._n_other_calls = n_other_calls
        self._n_found = self._n_kept = 0  # labels of earlier runs, and for later ones
        self._said_so = False
        self._beside: Future[None] | None = None
        self._partial = False
        self._seen: dict[str, tuple[list[np.ndarray], list[Problem]]] = {}

    def calibrate(self) -> None:
        """See by some calls that the metric works, and how the severity of generated points is to be drawn.

        Raises:
            LabellingError: the metric fails on too many points, is constant, or is too slow for the budget.
        """
        self._severities()

    def searched(self, recorded: Sequence[Mapping[str, Examples]]) -> Points:
        """The points that a search is made with; recorded ones are labelled for the test, too.

        Args:
            recorded: of each file, from `recorded_splits.split_recorded`.

        Raises:
            LabellingError: the metric fails on too many points, is constant, or is too slow for the budget.
        """
        self._generated(LABELLING.of(self._clock.budget_s) / (2 if recorded else 1))
        self._of_recorded(recorded)
        self._trim()
        of_before = f", of which an earlier run knew {self._n_found:,}" if self._n_found else ""
        self._progress.say(f"{describe(self.totals())}{of_before}")
        return Points(*map(self._some, SEARCHED), *(self._chunks(f"recorded_{split}") for split in SEARCHED))

    def begin_held_out(self) -> None:
        """Begin to label the generated points of the test in a thread: as many chunks as there are for validation."""
        with_one = ThreadPoolExecutor(1, thread_name_prefix="held out")
        self._beside = with_one.submit(self._label_held_out)
        with_one.shutdown(wait=False)

    def held_out(self, *, partial: bool = False) -> HeldOut:
        """The points of the test, once they were begun, waiting for those that are not labelled yet.

        Args:
            partial: whether to wait for as few as are enough.

        Raises:
            LabellingError: the metric fails on too many points.
        """
        self._partial = partial
        assert self._beside is not None, "begin_held_out comes first"
        self._beside.result()
        self._trim()
        return HeldOut(self._some("test"), self._chunks("recorded_test"))

    def coverage(self, points: Points) -> dict[str, float]:
        """How evenly the generated points cover the metric's range, and that range."""
        values = torch.cat([chunk.values for chunk in points.train]).numpy()
        return {"coverage": sampling.coverage(values), "low": float(values.min()), "high": float(values.max())}

    def _trim(self) -> None:
        if self._n_kept:
            label_cache.trim()

    def _some(self, split: str) -> list[Chunk]:
        """The chunks of generated points of a split, of which there are some."""
        found = self._chunks(split)
        if not found:
            raise LabellingError(f"metric {self._metric.name!r}: failed on all generated points for {split}")
        return found

    def _chunks(self, split: str) -> list[Chunk]:
        """The chunks of a split, but for those of which every point was dropped."""
        return [chunk for chunk in self._set.chunks(split) if len(chunk)]

    def _check(self, what: str, labels: Labels | None = None, least: int = 1) -> None:
        """Check all labels of a kind so far, once there are `least`: a few alike are neither constant nor all bad."""
        values, problems = self._seen.setdefault(what, ([], []))
        if labels is not None:
            values.append(labels.values)
            problems.extend(labels.problems)
        if sum(map(len, values)) >= least:
            check_labels(self._metric, np.concatenate(values), problems)

    def totals(self) -> Totals:
        """What became of all points of the run."""
        return self._set.problems()

    def _severities(self) -> sampling.Severities:
        """The calibrated distribution of severities; the pilot points also tell whether the metric works at all."""
        file = self._run.labelled / "severities.json"
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            self._cache = LabelCache(kept.get("cache"))
            return sampling.Severities(tuple(kept["levels"]), tuple(kept["weights"]))
        self._progress.say(f"calibrating the random generator on metric {self._metric.name!r}")
        points, severity = sampling.pilot(self._task, self._metric, self._seed)
        self._try_out(points)
        labels = self._labeller.label(points)
        check_labels(self._metric, labels.values, labels.problems)
        wrong = sampling.wrong_direction(self._metric, severity, labels.values)
        if wrong is not None:
            raise LabellingError(f"metric {self._metric.name!r}: {wrong}")
        found = sampling.calibrate(severity, labels.values)
        key = label_cache.key_of(self._metric, self._seed, points, labels)
        self._cache = LabelCache(key)
        write_json(file, {"levels": found.levels, "weights": found.weights, "cache": key})
        return found

    def _try_out(self, points: Sequence[tuple[Any, Any]]) -> None:
        """Find out by a few calls what would otherwise take minutes: that the metric hangs, fails, or is too slow."""
        few = points[:: max(1, len(points) // 16)]
        for part in (few[:4], few):  # the first calls may load libraries
            labels = self._labeller.label(part)
            if part is few or len(labels.problems) == len(part):
                check_labels(self._metric, labels.values, labels.problems)
        n_calls = len(points) + len(SPLITS) * sampling.n_points_of_chunk(self._metric) + self._n_other_calls
        least_s = n_calls * labels.seconds / len(few)
        if least_s > FEASIBLE.of(self._clock.left_s):  # once more, for another worker may have loaded libraries
            least_s = min(least_s, n_calls * self._labeller.label(few).seconds / len(few))
        if least_s > FEASIBLE.of(self._clock.left_s):
            raise LabellingError(
                f"metric {self._metric.name!r}: is too slow for the budget of {self._clock.budget_s:g} s: a call takes "
                f"{least_s / n_calls:.2g} s, all workers together, and {n_calls:,} calls are the least that is "
                f"needed, {least_s:.0f} s; raise --budget, or make the function quicker"
            )

    def _generated(self, limit_s: float) -> None:
        """Label the generated points of a search, until so much of the budget is spent."""
        wanted = self._missing(SEARCHED)
        n_chunks, n_each = sum(SPLITS[split] for split in SEARCHED), sampling.n_points_of_chunk(self._metric)
        n_total, n_before = n_chunks * n_each, (n_chunks - len(wanted)) * n_each
        start, n_done = time.monotonic(), 0
        for n_points in self._label(wanted, lambda: self._is_enough(limit_s)):
            n_done += n_points
            self._progress.labelled(n_before + n_done, n_total, n_done / (time.monotonic() - start))

    def _label_held_out(self) -> None:
        wanted = [(split, i) for split, i in self._missing(("test",)) if self._set.has("validation", i)]
        for _ in self._label(wanted, lambda: self._partial and self._set.has("test", 0)):
            pass

    def _missing(self, splits: Sequence[str]) -> list[tuple[str, int]]:
        """The chunks that are not there, in the order of making, so that no split is empty when time runs out."""
        order = [(split, i) for i in range(max(SPLITS.values())) for split in splits if i < SPLITS[split]]
        return [(split, i) for split, i in order if not self._set.has(split, i)]

    def _is_enough(self, limit_s: float) -> bool:
        """Whether labelling has had its share of the budget, and every split something."""
        if self._clock.spent_s <= limit_s or not all(self._set.has(split, 0) for split in SEARCHED):
            return False
        if not self._said_so:
            self._progress.say("labelling has had its share of the budget; going on with the points there are")
            self._said_so = True
        return True

    def _label(self, wanted: Sequence[tuple[str, int]], is_enough: Callable[[], bool]) -> Iterator[int]:
        """Label and write chunks, and tell how many points each has, until it is enough."""
        if not wanted or is_enough():
            return
        for (split, i), examples, set_size, severity, labels in self._pipelined(wanted, self._severities(), is_enough):
            self._check("generated", labels, 4 * sampling.n_points_of_chunk(self._metric))
            self._set.write(split, i, examples, set_size, labels.values, severity=severity, problems=labels.problems)
            yield len(labels.values)
        self._check("generated")

    def _pipelined(
        self, wanted: Sequence[tuple[str, int]], severities: sampling.Severities, is_enough: Callable[[], bool]
    ) -> Iterator[tuple[tuple[str, int], Examples, int, np.ndarray, Labels]]:
        """Labelled chunks; while the workers label one, the next is generated."""
        waiting = None
        for split, i in wanted:
            if is_enough():
                break
            examples, set_size, severity = sampling.chunk(self._task, self._metric, severities, self._seed, split, i)
            job = (split, i), examples, set_size, severity, self._submitted(f"{split}-{i}", examples, set_size)
            if waiting is not None:
                yield *waiting[:-1], waiting[-1]()
            waiting = job
        if waiting is not None:
            yield *waiting[:-1], waiting[-1]()

    def _submitted(self, name: str, examples: Examples, set_size: int) -> Callable[[], Labels]:
        """What waits for the labels of a chunk, which an earlier run may have left."""
        kept = self._cache.get(name, len(examples) // set_size)
        if kept is not None:
            self._n_found += len(kept.values)
            return lambda: kept
        pending = self._labeller.submit(sampling.points_of(self._task, self._metric, examples, set_size))

        def labels() -> Labels:
            found = pending.result()
            self._cache.put(name, found)
            self._n_kept += len(found.values)
            return found

        return labels

    def _of_recorded(self, recorded: Sequence[Mapping[str, Examples]]) -> None:
        set_size = sampling.set_size_of(self._metric)
        step = sampling.n_points_of_chunk(self._metric) * set_size
        jobs = [
            (start, number, split)
            for number, parts in enumerate(recorded)
            for split, part in parts.items()
            for start in range(0, len(part), step)
        ]
        n_total, n_before, n_done = sum(len(part) // set_size for parts in recorded for part in parts.values()), 0, 0
        begun = time.monotonic()
        for start, number, split in sorted(jobs, key=lambda job: job[0]):  # some of each file and split at first
            name, index = f"recorded_{split}", number * PIECES + start // step
            examples = recorded[number][split][slice(start, start + step)]
            if self._set.has(name, index):
                n_before += len(examples) // set_size
                continue
            if start and self._is_enough(LABELLING.of(self._clock.budget_s)):
                break
            labels = self._submitted(label_cache.name_of(examples), examples, set_size)()
            self._check(split, labels, sampling.n_points_of_chunk(self._metric))
            self._set.write(name, index, examples, set_size, labels.values, problems=labels.problems)
            n_done += len(labels.values)
            rate = n_done / (time.monotonic() - begun)
            self._progress.labelled(n_before + n_done, n_total, rate, "recorded ")
        for split in SPLITS if recorded else ():
            whole = self._chunks(f"recorded_{split}")
            if not whole:
                raise LabellingError(f"metric {self._metric.name!r}: failed on all recorded points for {split}")
            check_labels(self._metric, torch.cat([chunk.values for chunk in whole]).numpy(), [])
            self._check(split)


def describe(totals: Totals) -> str:
    """What became of the labelled points, as a line."""
    line = f"labelled {totals.n_points:,} points to search with"
    if totals.example is None:
        return line
    kinds = ", ".join(f"{count} {kind}" for kind, count in totals.dropped.items())
    return f"{line}; {totals.n_dropped} dropped: {kinds}; for example: {totals.example.message}"
