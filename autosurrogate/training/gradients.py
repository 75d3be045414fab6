"""The gradients of what a surrogate is trained to minimise, on a batch of points."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from autosurrogate.surrogates import Loss
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

    def __call__(self, loss: Loss, table: FeatureTable, index: Tensor, target: Tensor) -> Tensor:
        """A scalar to descend.

        Args:
            loss: from `surrogates.build`.
            table: of the points, with Gram matrices if there is a penalty.
            index: numbers of the batch's points, shape (n,).
            target: what the loss is compared with, shape (n,): `hard_rank` of the points' badness; for "approximation"
                the badness itself.
        """
        features = table.features.index_select(0, index).requires_grad_(self.penalty > 0)
        loss_values = score(loss, features)
        if self.kind == "approximation":
            objective = approximation(loss_values, target)
        else:
            # The loss is to rise with the ranks of badness: minimise the negative correlation.
            objective = -correlation(loss_values, target, method=self.soft_rank, steepness=self.steepness)
        if self.penalty > 0:
            assert table.gram is not None, "a surrogate is trained on points with Gram matrices"
            objective = objective + self.penalty * gradient_penalty(
                loss_values, features, table.gram.index_select(0, index)
            )
        return objective


class Gradients:
    """Computes the gradients of an objective on batches of points, for the parameters of a loss.

    A GPU finishes the hundreds of kernels of a small network's step before Python has launched them. So after some
    batches of a table they are captured, in a CUDA graph, and replayed for each further batch.

    Args:
        loss: from `surrogates.build`, on its device.
        objective: what is minimised.
        graphs: whether to capture them on a GPU.
    """

    def __init__(self, loss: Loss, objective: Objective, *, graphs: bool = True) -> None:
        self._loss, self._objective = loss, objective
        self._parameters = list(loss.parameters())
        self._device = self._parameters[0].device
        self._graphs = graphs and self._device.type == "cuda"
        self._n_batches = Counter[int]()
        self._captured: dict[int, _Captured] = {}

    def compute(self, table: FeatureTable, index: Tensor, target: Tensor) -> None:
        """Set `grad` of the parameters to the gradients on a batch.

        Args:
            table: of the points; the batches of a table are all of one size.
            index: see `Objective`; on a CPU.
            target: see `Objective`; on a CPU.
        """
        if self._graphs and self._n_batches[id(table)] == CAPTURED_AFTER:
            self._try_to_capture(table, index.to(self._device), target.to(self._device))
        self._n_batches[id(table)] += 1
        if captured := self._captured.get(id(table)):
            captured.replay(self._parameters, index, target)
        else:
            self._compute(table, index.to(self._device), target.to(self._device))

    def _compute(self, table: FeatureTable, index: Tensor, target: Tensor) -> None:
        for parameter in self._parameters:
            parameter.grad = None
        self._objective(self._loss, table, index, target).backward()  # type: ignore[no-untyped-call]

    def _try_to_capture(self, table: FeatureTable, index: Tensor, target: Tensor) -> None:
        """Capture the step of a table. Steps ran before, so that the libraries that it needs are initialised."""
        graph = torch.cuda.CUDAGraph()
        try:
            with _CaptureContext.of(self._device).capture(graph):
                self._compute(table, index, target)
        except RuntimeError:  # the network waits for the device, as one of a task of the user's own may
            self._graphs = False
        else:
            gradients = [parameter.grad for parameter in self._parameters]
            self._captured[id(table)] = _Captured(graph, table, index, target, gradients)
        if not self._graphs:
            gc.collect()  # what the error refers to, or the next step would run on the stream of the capture


@dataclass(frozen=True)
class _Captured:
    """A graph, the tensors it reads, and those it writes: a gradient for each parameter that has one."""

    graph: torch.cuda.CUDAGraph
    table: FeatureTable
    index: Tensor
    target: Tensor
    gradients: list[Tensor | None]

    def replay(self, parameters: list[torch.nn.Parameter], index: Tensor, target: Tensor) -> None:
        self.index.copy_(index, non_blocking=True)
        self.target.copy_(target, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            parameter.grad = gradient


class _CaptureContext:
    """One stream and one memory pool for all graphs of a device, which never run at the same time.

    `torch.cuda.graph` would empty the memory cache and collect garbage before each capture, which takes longer than the
    capture. A pool is freed with the last of its graphs; a tiny graph keeps this pool.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._tiny_graph = torch.cuda.CUDAGraph()
        self._pool = None
        ones = torch.ones(1, device=device)
        with self.capture(self._tiny_graph):
            self._tiny_result = ones + ones
        self._pool = self._tiny_graph.pool()

    @staticmethod
    @functools.cache
    def of(device: torch.device) -> _CaptureContext:
        return _CaptureContext(device)

    @contextlib.contextmanager
    def capture(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Capture the kernels launched in this block, instead of running them."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            graph.capture_begin(self._pool)
            try:
                yield
            finally:
                graph.capture_end()
        current.wait_stream(self._stream)


def score(loss: Loss, features: Tensor) -> Tensor:
    """The loss of points before its calibration, from features (n_points, n_rows, n_features) to (n_points,)."""
    return loss.network.score(features.flatten(0, 1), features.shape[1]) * loss.sign


def gradient_penalty(loss_values: Tensor, features: Tensor, gram: Tensor) -> Tensor:
    """The mean of (‖∇_preds L‖₂ - 1)² over points (ReLoss, eq. 8), see `feature_table`."""
    (v,) = torch.autograd.grad(loss_values.sum(), features, create_graph=True)
    squared = torch.einsum("pra,prab,prb->p", v, gram, v)
    return (squared.clamp_min(1e-12).sqrt() - 1).square().mean()
