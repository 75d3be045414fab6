"""The labelled points of a run, generated and recorded: read from its folder, or labelled and written there.

Points that losses are fitted to and selected by come first. Points of the final test are labelled in a thread, while
the search goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from autosurrogate._utils.files import write_json
from autosurrogate.errors import LabellingError
from autosurrogate.examples import Examples
from autosurrogate.labelling.labeller import Labeller
from autosurrogate.labelling.labels import Labels, check_labels
from autosurrogate.points import label_cache, metric_calls, sampling, severity_calibration
from autosurrogate.points.chunk_labelling import ChunkLabeller
from autosurrogate.points.label_cache import LabelCache
from autosurrogate.points.labelled_set import Chunk, LabelledSet, Totals
from autosurrogate.points.pilot_labels import label_pilot
from autosurrogate.points.sampling import Generated
from autosurrogate.points.severity_calibration import Severities
from autosurrogate.registry.metric_type import Metric
from autosurrogate.run.budget import FINISHING, LABELLING, Clock
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import RunDir
from autosurrogate.tasks import Task

SPLITS = {"train": 18, "validation": 6, "test": 6}  # chunks of generated points, at most: each set size alike
SEARCH_SPLITS = ("train", "validation")  # what a search uses; the test is labelled at the same time
MAX_CHUNKS_PER_FILE = 10_000  # of recorded outputs: the numbers of a file's chunks begin at a multiple of it


@dataclass(frozen=True)
class Points:
    """Labelled chunks that a search uses: of G_R, and of recorded outputs (G_M) where there are any."""

    train: list[Chunk]
    validation: list[Chunk]
    recorded_train: list[Chunk]
    recorded_validation: list[Chunk]


@dataclass(frozen=True)
class HeldOut:
    """Labelled chunks of the final test, by which nothing is selected."""

    generated: list[Chunk]
    recorded: list[Chunk]


class LabelledPoints:
    """Labels the points of a run, and loads those that an earlier session labelled.

    Args:
        run: the run.
        clock: its budget.
        task: the task.
        metric: the metric.
        labeller: runs the metric.
        seed: of the generated points and of the split of the recorded ones.
        progress: receives what is reported to the user.
        n_other_calls: calls of the metric that the run needs besides those on labelled points.
        all_points: label all points that a run may have, until the time to finish has come; else until labelling has
            spent its share of the budget, and a busy machine labels fewer.
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
        *,
        all_points: bool = False,
    ) -> None:
        self._run, self._clock, self._task, self._metric = run, clock, task, metric
        self._labeller, self._seed, self._progress = labeller, seed, progress
        self._set = LabelledSet(run.labelled)
        self._chunk_labeller = ChunkLabeller(task, metric, labeller)
        self._n_other_calls, self._all_points = n_other_calls, all_points
        self._reported_time_out = False
        self._held_out: Future[None] | None = None
        self._partial = False

    def calibrate(self) -> None:
        """Check by some calls that the metric works, and calibrate the severity of generated points.

        Raises:
            LabellingError: the metric fails on too many points, is constant, or is too slow for the budget.
        """
        self._severities()

    def for_search(self, recorded: Sequence[Mapping[str, Examples]]) -> Points:
        """The points that a search uses; recorded points of the test are labelled here, too.

        Args:
            recorded: of each file, from `recorded_splits.split_recorded`.

        Raises:
            LabellingError: the metric fails on too many points, is constant, or is too slow for the budget.
        """
        self._label_generated(self._limit_s / (2 if recorded and not self._all_points else 1))
        self._label_recorded(recorded)
        self._chunk_labeller.trim_cache()
        n_cached = self._chunk_labeller.n_cached
        of_cache = f", {n_cached:,} of them by an earlier run" if n_cached else ""
        self._progress.say(f"{self.totals().describe()}{of_cache}")
        return Points(
            *map(self._generated, SEARCH_SPLITS), *(self._chunks(f"recorded_{split}") for split in SEARCH_SPLITS)
        )

    @property
    def _limit_s(self) -> float:
        """The time of the run at which labelling for training and validation ends."""
        budget_s = self._clock.budget_s
        return budget_s - FINISHING.of(budget_s) if self._all_points else LABELLING.of(budget_s)

    def start_held_out(self) -> None:
        """Start to label the generated points of the test in a thread: as many chunks as there are for validation."""
        executor = ThreadPoolExecutor(1, thread_name_prefix="held out")
        self._held_out = executor.submit(self._label_held_out)
        executor.shutdown(wait=False)

    def held_out(self, *, partial: bool = False) -> HeldOut:
        """The points of the test, after `start_held_out`; waits for those that are not labelled yet.

        Args:
            partial: whether to stop labelling as soon as there are enough.

        Raises:
            LabellingError: the metric fails on too many points.
        """
        self._partial = partial
        assert self._held_out is not None, "start_held_out comes first"
        self._held_out.result()
        self._chunk_labeller.trim_cache()
        return HeldOut(self._generated("test"), self._chunks("recorded_test"))

    def coverage(self, points: Points) -> dict[str, float]:
        """How evenly the generated points cover the metric's range, and that range."""
        values = torch.cat([chunk.values for chunk in points.train]).numpy()
        return {
            "coverage": severity_calibration.coverage(values), "low": float(values.min()), "high": float(values.max())
        }  # fmt: skip

    def totals(self) -> Totals:
        """How many points of the run were labelled, and how many dropped."""
        return self._set.totals()

    def _generated(self, split: str) -> list[Chunk]:
        """The chunks of generated points of a split, at least one."""
        chunks = self._chunks(split)
        if not chunks:
            raise LabellingError(f"metric {self._metric.name!r}: failed on all generated points for {split}")
        return chunks

    def _chunks(self, split: str) -> list[Chunk]:
        """The chunks of a split, without those of which every point was dropped."""
        return [chunk for chunk in self._set.chunks(split) if len(chunk)]

    def _severities(self) -> Severities:
        """The calibrated distribution of severities; its pilot points also show whether the metric works at all."""
        file = self._run.labelled / "severities.json"
        if file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            self._chunk_labeller.cache = LabelCache(content.get("cache"))
            return Severities(tuple(content["levels"]), tuple(content["weights"]))
        self._progress.say(f"calibrating the random generator on metric {self._metric.name!r}")
        pilot = sampling.generate_pilot(self._task, self._metric, self._seed)
        n_other_calls = len(SPLITS) * metric_calls.n_points_of_chunk(self._metric) + self._n_other_calls
        labels = label_pilot(self._metric, pilot, self._labeller, self._clock, n_other_calls)
        severities = severity_calibration.calibrate(pilot.severity, labels.values)
        key = label_cache.key_of(self._metric, self._seed, pilot.points, labels)
        self._chunk_labeller.cache = LabelCache(key)
        write_json(file, {"levels": severities.levels, "weights": severities.weights, "cache": key})
        return severities

    def _label_generated(self, limit_s: float) -> None:
        """Label the generated points of a search, until so much of the budget is spent."""
        missing = self._missing(SEARCH_SPLITS)
        n_chunks, n_each = sum(SPLITS[split] for split in SEARCH_SPLITS), metric_calls.n_points_of_chunk(self._metric)
        n_total, n_before = n_chunks * n_each, (n_chunks - len(missing)) * n_each
        start, n_done = time.monotonic(), 0
        for n_points in self._label_chunks(missing, lambda: self._is_enough(limit_s)):
            n_done += n_points
            self._progress.labelled(n_before + n_done, n_total, n_done / (time.monotonic() - start))

    def _label_held_out(self) -> None:
        missing = [(split, i) for split, i in self._missing(("test",)) if self._set.has("validation", i)]
        for _ in self._label_chunks(missing, lambda: self._partial and self._set.has("test", 0)):
            pass

    def _missing(self, splits: Sequence[str]) -> list[tuple[str, int]]:
        """The chunks that are absent, in the order of labelling, so that no split is empty when time runs out."""
        order = [(split, i) for i in range(max(SPLITS.values())) for split in splits if i < SPLITS[split]]
        return [(split, i) for split, i in order if not self._set.has(split, i)]

    def _is_enough(self, limit_s: float) -> bool:
        """Whether labelling has spent its part of the budget, and every split has a chunk."""
        if self._clock.spent_s <= limit_s or not all(self._set.has(split, 0) for split in SEARCH_SPLITS):
            return False
        if not self._reported_time_out:
            self._progress.say("labelling has spent its part of the budget; the search uses the points labelled so far")
            self._reported_time_out = True
        return True

    def _label_chunks(self, missing: Sequence[tuple[str, int]], is_enough: Callable[[], bool]) -> Iterator[int]:
        """Label and write chunks until it is enough; yields the number of points of each."""
        if not missing or is_enough():
            return
        chunks = self._pipelined(missing, self._severities(), is_enough)
        for (split, i), generated, labels in chunks:
            self._chunk_labeller.check("generated", labels, 4 * metric_calls.n_points_of_chunk(self._metric))
            self._set.write(
                split, i, generated.examples, generated.set_size, labels.values, severity=generated.severity,
                regime=generated.regime, problems=labels.problems,
            )  # fmt: skip
            yield len(labels.values)
        self._chunk_labeller.check("generated")

    def _pipelined(
        self, missing: Sequence[tuple[str, int]], severities: Severities, is_enough: Callable[[], bool]
    ) -> Iterator[tuple[tuple[str, int], Generated, Labels]]:
        """Labelled chunks; while the workers label one, the next is generated."""
        waiting = None
        for split, i in missing:
            if is_enough():
                break
            generated = sampling.generate_chunk(self._task, self._metric, severities, self._seed, split, i)
            labels = self._chunk_labeller.submit(f"{split}-{i}", generated.examples, generated.set_size)
            if waiting is not None:
                yield *waiting[:-1], waiting[-1]()
            waiting = (split, i), generated, labels
        if waiting is not None:
            yield *waiting[:-1], waiting[-1]()

    def _label_recorded(self, recorded: Sequence[Mapping[str, Examples]]) -> None:
        set_size = metric_calls.set_size_of(self._metric)
        step = metric_calls.n_points_of_chunk(self._metric) * set_size
        jobs = [
            (start, number, split)
            for number, splits in enumerate(recorded)
            for split, examples in splits.items()
            for start in range(0, len(examples), step)
        ]
        n_total = sum(len(examples) // set_size for splits in recorded for examples in splits.values())
        n_before = n_done = 0
        began = time.monotonic()
        for start, number, split in sorted(jobs, key=lambda job: job[0]):  # some of each file and split at first
            name, index = f"recorded_{split}", number * MAX_CHUNKS_PER_FILE + start // step
            examples = recorded[number][split][slice(start, start + step)]
            if self._set.has(name, index):
                n_before += len(examples) // set_size
                continue
            if start and self._is_enough(self._limit_s):
                break
            labels = self._chunk_labeller.submit(label_cache.name_of(examples), examples, set_size)()
            self._chunk_labeller.check(split, labels, metric_calls.n_points_of_chunk(self._metric))
            self._set.write(name, index, examples, set_size, labels.values, problems=labels.problems)
            n_done += len(labels.values)
            rate = n_done / (time.monotonic() - began)
            self._progress.labelled(n_before + n_done, n_total, rate, "recorded ")
        for split in SPLITS if recorded else ():
            chunks = self._chunks(f"recorded_{split}")
            if not chunks:
                raise LabellingError(f"metric {self._metric.name!r}: failed on all recorded points for {split}")
            check_labels(self._metric, torch.cat([chunk.values for chunk in chunks]).numpy(), [])
            self._chunk_labeller.check(split)
