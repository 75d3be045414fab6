"""The labelled points of a run: generated and recorded, read from its folder or made and written there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from autosurrogate import sampling
from autosurrogate.errors import LabellingError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.labelled_set import Chunk, LabelledSet
from autosurrogate.labelling import Labeller, Labels, check_labels
from autosurrogate.outputs import Recorded
from autosurrogate.progress import Progress
from autosurrogate.registry import Metric
from autosurrogate.run_dir import Clock, RunDir, write_json
from autosurrogate.tasks import Task

SPLITS = {"train": 16, "validation": 4, "test": 4}  # chunks of generated points, at most
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}  # of the recorded outputs
MOST_RECORDED = {"sample": 8192, "set": 1024}  # points of all recorded outputs
LABELLING_SHARE = 0.3  # of the budget, at most


@dataclass(frozen=True)
class Points:
    """Labelled chunks: of G_R, and of recorded outputs (G_M) where there are any."""

    train: list[Chunk]
    validation: list[Chunk]
    test: list[Chunk]
    recorded_train: list[Chunk]
    recorded_validation: list[Chunk]
    recorded_test: list[Chunk]


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
    """

    def __init__(
        self, run: RunDir, clock: Clock, task: Task, metric: Metric, labeller: Labeller, seed: int, progress: Progress
    ) -> None:
        self._run, self._clock, self._task, self._metric = run, clock, task, metric
        self._labeller, self._seed, self._progress = labeller, seed, progress
        self._set = LabelledSet(run.labelled)

    def all(self, recorded: Sequence[Recorded]) -> Points:
        """Every split of generated and recorded points.

        Raises:
            LabellingError: the metric fails on too many points, is constant, or is too slow for the budget.
            OutputsError: there are too few recorded outputs.
        """
        self._generated()
        self._of_recorded(recorded)
        found = {split: self._set.chunks(split) for split in SPLITS}
        from_recorded = {split: self._set.chunks(f"recorded-{split}") for split in SPLITS}
        for split in SPLITS:
            if not found[split]:
                raise LabellingError(
                    f"metric {self._metric.name!r}: too slow for the budget of {self._clock.budget_s:g} s: no chunk of "
                    f"{sampling.n_points_of_chunk(self._metric)} points was labelled for {split}; raise --budget"
                )
        return Points(
            found["train"],
            found["validation"],
            found["test"],
            from_recorded["train"],
            from_recorded["validation"],
            from_recorded["test"],
        )

    def coverage(self, points: Points) -> dict[str, float]:
        """How evenly the generated points cover the metric's range, and that range."""
        values = torch.cat([chunk.values for chunk in points.train]).numpy()
        return {"coverage": sampling.coverage(values), "low": float(values.min()), "high": float(values.max())}

    def _severities(self) -> sampling.Severities:
        """The calibrated distribution of severities; the pilot points also tell whether the metric works at all."""
        file = self._run.labelled / "severities.json"
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            return sampling.Severities(tuple(kept["levels"]), tuple(kept["goodness"]))
        self._progress.say(f"calibrating the random generator on metric {self._metric.name!r}")
        points, severity = sampling.pilot(self._task, self._metric, self._seed)
        first = self._labeller.label(points[:: max(1, len(points) // 16)])
        check_labels(self._metric, first.values, first.problems)
        labels = self._labeller.label(points)
        check_labels(self._metric, labels.values, labels.problems)
        found = sampling.calibrate(severity, labels.values, self._metric.higher_is_better)
        write_json(file, {"levels": found.levels, "goodness": found.goodness})
        return found

    def _generated(self) -> None:
        wanted = [(split, i) for split, i in _interleaved() if not self._set.has(split, i)]
        if not wanted:
            return
        severities = self._severities()
        n_total = sum(SPLITS.values()) * sampling.n_points_of_chunk(self._metric)
        n_before = n_total - len(wanted) * sampling.n_points_of_chunk(self._metric)
        start, n_done = time.monotonic(), 0
        for (split, i), examples, severity, labels in self._pipelined(wanted, severities):
            check_labels(self._metric, labels.values, labels.problems)
            set_size = sampling.set_size_of(self._metric)
            self._set.write(split, i, examples, set_size, labels.values, severity=severity, problems=labels.problems)
            self._clock.tick()
            n_done += len(labels.values)
            self._progress.labelled(n_before + n_done, n_total, n_done / (time.monotonic() - start))
            if self._clock.spent_s > LABELLING_SHARE * self._clock.budget_s and self._has_every_split():
                self._progress.say("labelling has had its share of the budget; going on with the points there are")
                return

    def _has_every_split(self) -> bool:
        return all(self._set.has(split, 0) for split in SPLITS)

    def _pipelined(
        self, wanted: Sequence[tuple[str, int]], severities: sampling.Severities
    ) -> Iterator[tuple[tuple[str, int], Examples, np.ndarray, Labels]]:
        """Labelled chunks; while the workers label one, the next is generated."""
        waiting = None
        for split, i in wanted:
            examples, severity = sampling.chunk(self._task, self._metric, severities, self._seed, split, i)
            points = sampling.points_of(self._task, self._metric, examples, sampling.set_size_of(self._metric))
            job = (split, i), examples, severity, self._labeller.submit(points)
            if waiting is not None:
                yield *waiting[:3], waiting[3].result()
            waiting = job
        if waiting is not None:
            yield *waiting[:3], waiting[3].result()

    def _of_recorded(self, recorded: Sequence[Recorded]) -> None:
        set_size = sampling.set_size_of(self._metric)
        for number, outputs in enumerate(recorded):
            order = torch.randperm(len(outputs), generator=sampling.generator_of(self._seed, "split", number))
            ends = np.cumsum([0, *(round(share * len(outputs)) for share in SHARES.values())])
            for k, split in enumerate(SHARES):
                name = f"recorded-{split}"
                if self._set.has(name, number):
                    continue
                part = outputs[order[ends[k] : ends[k + 1]]]
                if self._metric.level == "set":
                    part = outputs_of_sets(part, set_size, self._seed)
                most = int(MOST_RECORDED[self._metric.level] * SHARES[split] / len(recorded)) * set_size
                examples = part.examples[slice(0, most)]
                if not len(examples):
                    raise OutputsError(f"{outputs.name}: has {len(outputs)} rows, too few to split in three")
                labels = self._labeller.label(sampling.points_of(self._task, self._metric, examples, set_size))
                check_labels(self._metric, labels.values, labels.problems)
                self._set.write(name, number, examples, set_size, labels.values, problems=labels.problems)
                self._progress.say(f"labelled {len(labels.values)} points of {outputs.name} for {split}")


def outputs_of_sets(recorded: Recorded, set_size: int, seed: int) -> Recorded:
    """The rows of a file in sets, row after row; the sets in any order."""
    generator = sampling.generator_of(seed, "sets")
    sets = recorded.sets(set_size, generator)
    return recorded[sets[torch.randperm(len(sets), generator=generator)].flatten()]


def _interleaved() -> list[tuple[str, int]]:
    """The chunks of all splits in the order of making, so that none is empty when time runs out."""
    return [(split, i) for i in range(max(SPLITS.values())) for split in SPLITS if i < SPLITS[split]]
