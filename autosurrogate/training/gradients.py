"""The gradients of what a surrogate is trained to minimise, on a batch of points."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosurrogate.training.feature_table import FeatureTable
from autosurrogate.training.objective import approximation, correlation

CAPTURED_AFTER = 10  # batches of a table, whose steps cost about as much as a capture does


@dataclass(frozen=True)
class Objective:
    """What is minimised on a batch of points: a distance from the metric, and the gradient penalty.

    Args:
        kind: "correlation" (eq. 6) or "approximation" (eq. 5).
        soft_rank: "pairwise" or "diffsort".
        steepness: of the soft ranks, per standard deviation of the losses.
        penalty: weight of the gradient penalty (λ).
    """

    kind: str
    soft_rank: str
    steepness: float
    penalty: float

    def __call__(self, loss: Any, table: FeatureTable, index: Tensor, wanted: Tensor) -> Tensor:
        """A scalar to descend.

        Args:
            loss: from `surrogates.build`.
            table: of the points, with Gram matrices if there is a penalty.
            index: numbers of the batch's points, shape (n,).
            wanted: what the loss is to tell of them, shape (n,): `hard_rank` of their badness, for "approximation" the
                badness itself.
        """
        features = table.features.index_select(0, index).requires_grad_(self.penalty > 0)
        found = score(loss, features)
        if self.kind == "approximation":
            objective = approximation(found, wanted)
        else:
            # Ranks of badness, so that the loss is to rise with them: minimise the negative correlation.
            objective = -correlation(found, wanted, method=self.soft_rank, steepness=self.steepness)
        if self.penalty > 0:
            assert table.gram is not None, "a surrogate is trained on points with Gram matrices"
            objective = objective + self.penalty * gradient_penalty(found, features, table.gram.index_select(0, index))
        return objective


class Gradients:
    """Puts the gradients of an objective on batches of points into the parameters of a loss.

    A GPU is done with the hundreds of kernels of a small network's step before Python has launched them. So after some
    batches of a table they are captured, in a CUDA graph, and replayed for each further batch.

    Args:
        loss: from `surrogates.build`, on its device.
        objective: what is minimised.
        graphs: whether to capture them on a GPU.
    """

    def __init__(self, loss: Any, objective: Objective, *, graphs: bool = True) -> None:
        self._loss, self._objective = loss, objective
        self._parameters = list(loss.parameters())
        self._device = self._parameters[0].device
        self._graphs = graphs and self._device.type == "cuda"
        self._n_batches = Counter[int]()
        self._captured: dict[int, _Captured] = {}

    def put(self, table: FeatureTable, index: Tensor, wanted: Tensor) -> None:
        """Put the gradients of a batch into the parameters.

        Args:
            table: of the points; the batches of a table are all of one size.
            index: see `Objective`; on a CPU.
            wanted: see `Objective`; on a CPU.
        """
        if self._graphs and self._n_batches[id(table)] == CAPTURED_AFTER:
            self._try_to_capture(table, index.to(self._device), wanted.to(self._device))
        self._n_batches[id(table)] += 1
        if captured := self._captured.get(id(table)):
            captured.replay(self._parameters, index, wanted)
        else:
            self._put(table, index.to(self._device), wanted.to(self._device))

    def _put(self, table: FeatureTable, index: Tensor, wanted: Tensor) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        self._objective(self._loss, table, index, wanted).backward()  # type: ignore[no-untyped-call]

    def _try_to_capture(self, table: FeatureTable, index: Tensor, wanted: Tensor) -> None:
        """Capture the step of a table, which was done before, so that the libraries it needs have set themselves up."""
        graph = torch.cuda.CUDAGraph()
        try:
            with _Room.of(self._device).begun(graph):
                self._put(table, index, wanted)
        except RuntimeError:  # the network waits for the device, as one of a task of the user's own may
            self._graphs = False
        else:
            gradients = [parameter.grad for parameter in self._parameters]
            self._captured[id(table)] = _Captured(graph, table, index, wanted, gradients)
        if not self._graphs:
            gc.collect()  # what the error held of the step: the next would be done on the stream of the capture


@dataclass(frozen=True)
class _Captured:
    """A graph, the tensors it reads, and those it writes: a gradient for each parameter that has one."""

    graph: torch.cuda.CUDAGraph
    table: FeatureTable
    index: Tensor
    wanted: Tensor
    gradients: list[Tensor | None]

    def replay(self, parameters: list[torch.nn.Parameter], index: Tensor, wanted: Tensor) -> None:
        self.index.copy_(index, non_blocking=True)
        self.wanted.copy_(wanted, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            parameter.grad = gradient


class _Room:
    """Where graphs are captured: one stream and one pool of memory for all of a device, which never run at once.

    `torch.cuda.graph` would empty the memory that is kept for reuse and collect garbage before each, which takes longer
    than the capture. A pool ends with the last of its graphs; a graph of next to nothing keeps this one.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._kept = torch.cuda.CUDAGraph()
        self._pool = None
        one = torch.ones(1, device=device)
        with self.begun(self._kept):
            self._kept_one = one + one
        self._pool = self._kept.pool()

    @staticmethod
    @functools.cache
    def of(device: torch.device) -> _Room:
        return _Room(device)

    @contextlib.contextmanager
    def begun(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """What is done here is captured instead."""
        here = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            graph.capture_begin(self._pool)
            try:
                yield
            finally:
                graph.capture_end()
        here.wait_stream(self._stream)


def score(loss: Any, features: Tensor) -> Tensor:
    """What a loss makes of points, (n_points, n_rows, n_features) to (n_points,)."""
    found: Tensor = loss.network.score(features.flatten(0, 1), features.shape[1]) * loss.sign
    return found


def gradient_penalty(found: Tensor, features: Tensor, gram: Tensor) -> Tensor:
    """The mean of (‖∇_preds L‖₂ - 1)² over points (ReLoss, eq. 8), see `point_table`."""
    (v,) = torch.autograd.grad(found.sum(), features, create_graph=True)
    squared = torch.einsum("pra,prab,prb->p", v, gram, v)
    return (squared.clamp_min(1e-12).sqrt() - 1).square().mean()
