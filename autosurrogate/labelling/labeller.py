"""Labelling: any metric, run over many points in worker processes that may hang, crash or be killed.

Each worker is a plain process, fed by a thread of this process. So a call that ends its process costs that process and
nothing else, and its point is known. A worker answers while it works on a batch: a batch can be as large as its
transport needs, and the time limit is still that of one call.
"""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType

import loky

from autosurrogate.errors import LabellingError, OptionError
from autosurrogate.labelling import packing
from autosurrogate.labelling.jobs import Batch, PendingLabels
from autosurrogate.labelling.labels import MAX_DROPPED, Labels, too_many_dropped
from autosurrogate.labelling.outcomes import Answers, Point, Problem, Ready
from autosurrogate.processes.worker_process import WorkerLost, WorkerProcess, module_paths
from autosurrogate.registry.metric_type import Metric

#: So many calls that hung or crashed, if they are more than `MAX_DROPPED`, end a job early: each costs seconds.
_MIN_COSTLY = 20
#: How long a batch should take: much longer than its transport, and short, as the others wait for the last batch.
_BATCH_S = 0.1
_WORKER = "autosurrogate.labelling.worker"


class Labeller:
    """Worker processes that run one metric; a context manager, which ends them.

    The workers use one thread each and do not see the terminal: what the metric prints is lost.

    Args:
        metric: what to run.
        n_workers: number of processes; the default is the number of cores this process may use.
        timeout_s: time limit of one call.

    Raises:
        MetricError: the metric cannot be sent to another process.
        OptionError: `n_workers` or `timeout_s` is not positive.
    """

    def __init__(self, metric: Metric, *, n_workers: int | None = None, timeout_s: float = 10.0) -> None:
        n_workers = loky.cpu_count() if n_workers is None else n_workers  # respects containers' limits, too
        if n_workers < 1:
            raise OptionError(f"Labeller: n_workers must be 1 or more, got {n_workers}")
        if not 0 < timeout_s < math.inf:
            raise OptionError(f"Labeller: timeout_s must be a positive number of seconds, got {timeout_s}")
        self._metric = metric
        self._timeout_s = timeout_s
        self._recipe = module_paths() + pickle.dumps((pickle.dumps(metric), timeout_s))
        self._n_workers = n_workers
        self._changed = threading.Condition()  # guards all that follows, and the jobs
        self._error: LabellingError | None = None
        self._jobs: deque[PendingLabels] = deque()
        self._retries: deque[Batch] = deque()
        self._unfinished: set[PendingLabels] = set()
        self._workers: set[WorkerProcess] = set()
        self._batch_size = 1
        self._call_s = math.inf
        self._threads = [threading.Thread(target=self._drive, name="labeller", daemon=True) for _ in range(n_workers)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Labeller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, points: Sequence[Point]) -> PendingLabels:
        """Label `points`, each a `(preds, target)` the metric is called on, after all earlier jobs; returns at once.

        The result raises `LabellingError` if the workers cannot load the metric, if it hangs or crashes on so many
        points that the rest is not tried, or if the labeller is closed first.
        """
        return self._enqueue(PendingLabels(points), self._jobs.append)

    def label(self, points: Sequence[Point]) -> Labels:
        """The labels of `points`, waiting for them; they come before all points that were submitted."""
        return self._enqueue(PendingLabels(points), self._jobs.appendleft).result()

    def _enqueue(self, job: PendingLabels, add: Callable[[PendingLabels], None]) -> PendingLabels:
        with self._changed:
            if self._error is not None:
                job.fail(self._error)
            elif not job.n_points:
                job.finish()
            else:
                add(job)
                self._unfinished.add(job)
                self._changed.notify_all()
        return job

    def close(self) -> None:
        """End the workers at once, even in the middle of a call. Jobs that are not done fail."""
        self._give_up(LabellingError(f"metric {self._metric.name!r}: labelling was stopped before it was done"))
        with self._changed:
            for worker in self._workers:
                worker.kill()
        for thread in self._threads:
            if thread is not threading.current_thread():  # as in a callback of a job
                thread.join(timeout=10.0)

    def _give_up(self, error: LabellingError) -> None:
        with self._changed:
            self._error = self._error or error
            failed = list(self._unfinished)
            self._unfinished.clear()
            self._changed.notify_all()
        for job in failed:
            job.fail(error)

    def _drive(self) -> None:
        """Feed one worker after the other until the labeller is closed or broken (a thread does this per worker)."""
        try:
            while self._error is None:
                worker = WorkerProcess(_WORKER)
                try:
                    with self._changed:
                        if self._error is not None:
                            return
                        self._workers.add(worker)
                    self._feed(worker)
                finally:
                    worker.kill()
                    with self._changed:
                        self._workers.discard(worker)
                    worker.reap()
        except LabellingError as error:
            self._give_up(error)
        except Exception as error:  # any message is better than a job without an end
            self._give_up(LabellingError(f"metric {self._metric.name!r}: labelling failed: {error!r}"))

    def _feed(self, worker: WorkerProcess) -> None:
        """Give batches to a worker until it ends."""
        sent: deque[Batch] = deque()
        last_message = time.monotonic()
        try:
            self._load_metric(worker)
            while True:
                # A second batch is on its way while the first is worked on, unless calls are so slow that it would wait
                while len(sent) < (1 if self._batch_size == 1 else 2):
                    batch = self._take(wait=not sent)
                    if batch is None:
                        break
                    message = self._pack(batch)
                    if message is not None:
                        last_message = last_message if sent else time.monotonic()
                        sent.append(batch)
                        worker.send(message)
                if not sent:
                    return
                answers: Answers = worker.receive()
                last_message = time.monotonic()
                self._record(sent[0], answers)
                if not sent[0]:
                    sent.popleft()
        except WorkerLost:
            silence_s = time.monotonic() - last_message
            worker.kill()
            self._retry(sent, silence_s, worker.reap())

    def _load_metric(self, worker: WorkerProcess) -> None:
        """Wait until the worker has loaded the metric."""
        name = f"metric {self._metric.name!r}"
        try:
            worker.send(self._recipe)
            ready: Ready = worker.receive()
        except WorkerLost:
            worker.kill()
            raise LabellingError(
                f"{name}: a worker process ended while it loaded the metric ({worker.reap()}); "
                "does its file import in a fresh process, and quickly?"
            ) from None
        if ready.error is not None:
            raise LabellingError(f"{name} cannot be loaded in a worker process: {ready.error}")

    def _take(self, wait: bool) -> Batch | None:
        """The next batch; None if there is none (and `wait` is false), or if the labeller is closed."""
        with self._changed:
            while self._error is None:
                if self._retries:
                    return self._retries.popleft()
                if self._jobs:
                    job = self._jobs[0]
                    fair_size = math.ceil((job.n_points - job.n_taken) / (2 * self._n_workers))
                    batch = job.take(min(self._batch_size, max(1, fair_size)))
                    if job.n_taken == job.n_points:
                        self._jobs.popleft()
                    if batch:
                        return batch
                elif wait:
                    self._changed.wait()
                else:
                    return None
        return None

    def _pack(self, batch: Batch) -> bytes | None:
        """A batch as a worker gets it; None if its job is over, or fails here because its points cannot be pickled."""
        points = batch.job.points
        if not points:
            return None
        try:
            packed = packing.pack(points[batch.start : batch.stop])
        except Exception as error:
            self._fail(batch.job, LabellingError(f"metric {self._metric.name!r}: points cannot be pickled: {error!r}"))
            return None
        return pickle.dumps((packed, batch.one_by_one), pickle.HIGHEST_PROTOCOL)

    def _record(self, batch: Batch, answers: Answers) -> None:
        """Store the outcomes of the first points of a batch, and remove these points from it."""
        job, error = batch.job, None
        with self._changed:
            start = batch.start
            batch.start += len(answers.outcomes)
            if job not in self._unfinished:  # it failed before these answers came
                return
            for index, outcome in enumerate(answers.outcomes, start):
                job.store(index, outcome)
            self._adapt_batch_size(answers)
            finished = job.n_done == job.n_points
            if not finished and job.n_costly >= _MIN_COSTLY and job.n_costly > MAX_DROPPED * job.n_done:
                error = too_many_dropped(self._metric, job.n_done, list(job.problems.values()), MAX_DROPPED)
            if finished or error:
                self._unfinished.discard(job)
        if finished:
            job.finish()
        elif error:
            job.fail(error)

    def _adapt_batch_size(self, answers: Answers) -> None:
        """Adapt the size of batches, at once to quicker calls (the first load libraries), slowly to slower calls."""
        if any(isinstance(outcome, Problem) and outcome.kind == "timeout" for outcome in answers.outcomes):
            return
        call_s = max(answers.seconds / len(answers.outcomes), 1e-6)
        self._call_s = call_s if call_s < self._call_s else 0.9 * self._call_s + 0.1 * call_s
        self._batch_size = max(1, min(int(_BATCH_S / self._call_s), 4 * self._batch_size))

    def _retry(self, sent: deque[Batch], silence_s: float, ending: str) -> None:
        """Drop the point that a worker was lost over if it is known, and label the others again."""
        if not sent or self._error is not None:
            return
        first = sent[0]
        if first.one_by_one or len(first) == 1:
            problem = (
                Problem("timeout", f"took longer than {self._timeout_s:g} s and could not be interrupted")
                if silence_s >= self._timeout_s
                else Problem("crashed", f"the process ended: {ending}")
            )
            self._record(first, Answers([problem], silence_s))
        first.one_by_one = True
        with self._changed:
            self._retries.extendleft(batch for batch in reversed(sent) if batch and not batch.job.done())
            self._changed.notify_all()

    def _fail(self, job: PendingLabels, error: LabellingError) -> None:
        with self._changed:
            if job not in self._unfinished:
                return
            self._unfinished.discard(job)
        job.fail(error)
