"""What every task and each of its networks must hold."""

from __future__ import annotations

import functools
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_origin

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.export import writer
from autosurrogate.points.labelled_set import Chunk
from autosurrogate.search import search_space
from autosurrogate.search.space import Choice, Range
from autosurrogate.surrogates import loss_arguments
from autosurrogate.tasks import Task
from autosurrogate.testing._check import Check, ensure, run_all
from autosurrogate.training.feature_table import tabulate

SIZES = (1, 2, 7)  # examples a set


def check_task(name: str, *, seed: int = 0) -> None:
    """Run every check on a task and its networks.

    Args:
        name: of the task.
        seed: of the generated examples.

    Raises:
        MetricError: there is no such task.
        ConformanceError: something does not hold; the message names all that does not.
    """
    run_all(f"task {name!r}", task_checks(name, seed=seed))


def task_checks(name: str, *, seed: int = 0) -> list[Check]:
    """The checks of a task, to be run one by one; arguments as of `check_task`."""
    task = tasks.get(name)
    case = _TaskCase(task, seed)
    checks = [
        Check("generates what it is asked for", case.generates),
        Check("generates the same again", case.generates_the_same),
        Check("passes its own check of recorded outputs", case.passes_its_own_check),
        Check("decodes to the types that it declares", case.decodes),
        Check("decodes padded examples alike", case.decodes_padded_examples_alike),
        Check("changes examples into others of their kind", case.changes),
        Check("has a regular loss that falls with the quality", case.has_a_regular_loss),
        Check("has a positive unit", case.has_a_unit),
    ]
    for network in surrogates.networks(task):
        for view in task.views:
            one = _NetworkCase(task, network, view, seed)
            told = f"{network}, {view}: " if len(task.views) > 1 else f"{network}: "
            checks += [
                Check(f"{told}has features of the shape it tells", one.has_its_shapes),
                Check(f"{told}has finite gradients, however extreme the predictions", one.has_finite_gradients),
                Check(f"{told}moves the predictions alone", one.leaves_targets),
                Check(f"{told}does not see the order of a set", one.ignores_the_order),
                Check(f"{told}does not see padding", one.ignores_padding),
                Check(f"{told}serves every size with the same parameters", one.serves_every_size),
                Check(f"{told}is the same when scripted", one.is_scriptable),
                Check(f"{told}is near to itself in half precision", one.takes_half_precision),
                Check(f"{told}has the gradients that its table says", one.is_tabulated),
            ]
            if "sample" in task.views[view]:
                checks.append(Check(f"{told}judges an example alone as among others", one.judges_examples_alone))
        checks.append(Check(f"{network}: is the same when exported", _NetworkCase(task, network, "", seed).is_exported))
    return checks


def settings(task: str, network: str) -> dict[str, Any]:
    """Settings of a network: of each, the first that the task's search space may choose; none if it is not there."""
    entries = search_space.load(tasks.get(task)).networks.get(network, {})
    return {
        name: entry.options[0] if isinstance(entry, Choice) else entry.low if isinstance(entry, Range) else entry
        for name, entry in entries.items()
    }


def padded(task: Task, examples: Examples, n: int = 2) -> Examples:
    """The same examples, their arrays made longer as the task pads them."""
    arrays = {"preds": examples.preds, "target": examples.target, **examples.extras}
    for name, (value, axes) in task.padding.items():
        if name in arrays:
            for axis in axes:
                array = arrays[name]
                arrays[name] = F.pad(array, (0, 0) * (array.ndim - 2 - axis) + (0, n), value=value)
    return Examples(arrays.pop("preds"), arrays.pop("target"), arrays)


class _Case:
    """A task and batches of its examples, of several sizes each."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task, self._seed = task, seed

    def _batches(
        self, view: str, set_size: int = 1, n_points: int = 6, severity: float | None = None, n_batches: int = 4
    ) -> Iterator[Examples]:
        generator = torch.Generator().manual_seed(self._seed)
        for _ in range(n_batches):
            drawn = torch.rand(n_points, generator=generator)
            drawn = drawn if severity is None else torch.full((n_points,), severity)
            yield self._task.generate(drawn, generator, set_size, view)


class _TaskCase(_Case):
    """The task itself."""

    def generates(self) -> None:
        for view in self._task.views:
            shapes = set()
            for set_size in SIZES:
                for examples in self._batches(view, set_size, n_batches=6):
                    ensure(len(examples) == len(examples.preds) == 6 * set_size, f"{len(examples)} examples")
                    ensure(examples.preds.is_floating_point(), f"preds are {examples.preds.dtype}")
                    known = {*self._task.extras, *self._task.metric_extras}
                    ensure(examples.extras.keys() <= known, f"arrays {sorted(examples.extras)}, known are {known}")
                    for name, array in examples.extras.items():
                        ensure(len(array) == 6 * set_size, f"{name} has {len(array)} rows for {6 * set_size} examples")
                    ensure(not examples.preds.isnan().any(), "preds hold NaN")
                    ensure(not examples.preds.requires_grad, "preds want a gradient")
                    shapes.add((*examples.preds.shape[1:], *examples.target.shape[1:]))
            fixed = examples.preds.ndim == 1 or tasks.is_user_task(self._task.name)  # which may be of one size
            ensure(fixed or len(shapes) > 1, f"view {view!r}: every batch has the same sizes, {shapes}")

    def generates_the_same(self) -> None:
        for first, again in zip(self._batches("", 3), self._batches("", 3), strict=True):
            ensure(torch.equal(first.preds, again.preds), "preds differ")
            ensure(torch.equal(first.target, again.target), "targets differ")

    def passes_its_own_check(self) -> None:
        for view in self._task.views:
            for examples in self._batches(view):
                self._check(examples)

    def changes(self) -> None:
        for view in self._task.views:
            for examples in self._batches(view):
                before = pickle.dumps(examples)
                for what, changed in self._task.perturbations(examples, torch.Generator().manual_seed(self._seed)).items():
                    shapes = changed.preds.shape == examples.preds.shape, changed.target.shape == examples.target.shape
                    ensure(all(shapes), f"{what}: the shapes become {changed.preds.shape}, {changed.target.shape}")
                    ensure(changed.extras.keys() == examples.extras.keys(), f"{what}: other extras")
                    self._check(changed)
                ensure(pickle.dumps(examples) == before, "the examples themselves are changed")

    def _check(self, examples: Examples) -> None:
        examples = self._task.as_model_output(examples)
        extras = {name: array.numpy() for name, array in examples.extras.items()}
        self._task.check({"preds": examples.preds.numpy(), "target": examples.target.numpy(), **extras})

    def decodes(self) -> None:
        for view, levels in self._task.views.items():
            for level, types in levels.items():
                set_size = 5 if level == "set" else 1
                for examples in self._batches(view, set_size):
                    points = self._task.points(examples, view, 5 if level == "set" else None)
                    ensure(len(points) == 6, f"{len(points)} points of 6")
                    for given, kind in zip(points[0], types, strict=True):
                        expected = get_origin(kind) or kind
                        of_numpy = isinstance(given, np.integer | np.floating) and expected in (int, float)
                        ensure(
                            expected is Any or of_numpy or isinstance(given, expected),
                            f"view {view!r}, level {level!r}: gives {type(given).__name__}, declares {kind}",
                        )

    def decodes_padded_examples_alike(self) -> None:
        for view in self._task.views:
            for examples in self._batches(view):
                plain = self._task.decode(examples, view)
                longer = self._task.decode(padded(self._task, examples), view)
                ensure(repr(plain) == repr(longer), f"view {view!r}: padding changes what a metric is given")

    def has_a_regular_loss(self) -> None:
        for view in self._task.views:
            found: dict[float, list[Tensor]] = {0.0: [], 1.0: []}
            for severity, losses in found.items():
                for examples in self._batches(view, severity=severity, n_points=24):
                    preds = examples.preds.float().requires_grad_(True)
                    each = self._task.regular_loss(examples.with_preds(preds))
                    ensure(each.shape == (len(examples),), f"its shape is {tuple(each.shape)} for {len(examples)}")
                    (gradient,) = torch.autograd.grad(each.sum(), preds)
                    ensure(each.isfinite().all() and gradient.isfinite().all(), "it or its gradient is not finite")
                    losses.append(each.detach())
            best, worst = (float(torch.cat(losses).median()) for losses in found.values())
            ensure(best < worst, f"view {view!r}: median {best:.4g} of the best and {worst:.4g} of the worst examples")

    def has_a_unit(self) -> None:
        for view in self._task.views:
            for examples in self._batches(view):
                unit = torch.as_tensor(self._task.unit(examples))
                ensure(not unit.requires_grad, "it wants a gradient")
                ensure(unit.isfinite().all() and (unit > 0).all(), f"it is {unit.min()} to {unit.max()}")
                ensure(
                    (examples.preds * unit).shape == examples.preds.shape,
                    f"its shape {tuple(unit.shape)} does not fit preds {tuple(examples.preds.shape)}",
                )


class _NetworkCase(_Case):
    """A network of the task inside its losses."""

    def __init__(self, task: Task, network: str, view: str, seed: int) -> None:
        super().__init__(task, seed)
        self._network, self._view = network, view
        self._levels = tuple(task.views[view or next(iter(task.views))])

    def _batches(self, *args: Any, **kwargs: Any) -> Iterator[Examples]:
        """As models give them."""
        return map(self._task.as_model_output, super()._batches(*args, **kwargs))

    @functools.cache  # noqa: B019, a case lives as long as its checks
    def _loss(self, level: str) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._seed)
            loss = surrogates.build(self._task, level, self._network, **settings(self._task.name, self._network))
        self._task.configure(loss, next(self._batches(self._view)))
        return loss

    def _with_sizes(self, *set_sizes: int) -> list[tuple[str, int]]:
        """The levels with their set sizes."""
        return [(level, n) for level in self._levels for n in ((1,) if level == "sample" else set_sizes)]

    def _of(self, loss: Any, examples: Examples) -> Tensor:
        found: Tensor = loss(*loss_arguments(self._task, examples))
        return found

    def _alike(self, expected: Tensor, found: Tensor, what: str, tolerance: float = 1e-4) -> None:
        expected, found = expected.detach(), found.detach()
        difference = float((expected - found).abs().max())
        limit = tolerance * max(1.0, float(expected.abs().max()))
        ensure(difference <= limit, f"{what}: differs by {difference:.3g}")

    def has_its_shapes(self) -> None:
        for level, set_size in self._with_sizes(1, 5):
            loss = self._loss(level)
            for examples in self._batches(self._view, set_size):
                features = loss.features(*loss_arguments(self._task, examples), set_size)
                rows, columns = loss.network.n_rows(set_size), loss.network.feature_names()
                ensure(len(features) == 6 * rows, f"{len(features)} rows for 6 points of {rows}")
                ensure(
                    not columns or features.shape[1] == len(columns), f"{features.shape[1]} of {len(columns)} columns"
                )
                ensure(features.isfinite().all(), "features are not finite")
                ensure(loss.points(*loss_arguments(self._task, examples), set_size).shape == (6,), "one loss a point")

    def has_finite_gradients(self) -> None:
        changes: dict[str, Callable[[Tensor], Tensor]] = {
            "as they are": lambda preds: preds,
            "times 10,000": lambda preds: preds * 1e4,
            "all alike": lambda preds: torch.where(preds.isfinite(), torch.zeros_like(preds), preds),
        }
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                for what, change in changes.items():
                    preds = change(examples.preds.float()).requires_grad_(True)
                    (gradient,) = torch.autograd.grad(self._of(self._loss(level), examples.with_preds(preds)), preds)
                    ensure(gradient.isfinite().all(), f"predictions {what}: the gradient is not finite")

    def leaves_targets(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                if not examples.target.is_floating_point():
                    return
                preds = examples.preds.float().requires_grad_(True)
                target = examples.target.clone().requires_grad_(True)
                loss = self._of(self._loss(level), Examples(preds, target, examples.extras))
                (gradient,) = torch.autograd.grad(loss, target, allow_unused=True)
                ensure(gradient is None, "the target has a gradient")

    def ignores_the_order(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 5):
                turned = examples[torch.arange(len(examples)).flip(0)]
                self._alike(self._of(self._loss(level), examples), self._of(self._loss(level), turned), level)

    def judges_examples_alone(self) -> None:
        loss = self._loss("sample")
        for examples in self._batches(self._view):
            each = loss.per_sample(*loss_arguments(self._task, examples))
            ensure(each.shape == (len(examples),), f"per_sample has shape {tuple(each.shape)} for {len(examples)}")
            self._alike(each.mean(), self._of(loss, examples), "the mean of per_sample")
            for i in range(len(examples)):
                one = loss.per_sample(*loss_arguments(self._task, examples[slice(i, i + 1)]))
                self._alike(each[i : i + 1], one, "an example alone")

    def ignores_padding(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 3):
                plain = self._of(self._loss(level), examples)
                self._alike(plain, self._of(self._loss(level), padded(self._task, examples)), f"level {level!r}")

    def serves_every_size(self) -> None:
        for level in self._levels:
            loss = self._loss(level)
            for n_points in (1, 2, 33):
                for examples in self._batches(self._view, 1, n_points):
                    ensure(self._of(loss, examples).isfinite(), f"a batch of {n_points}: the loss is not finite")

    def is_scriptable(self) -> None:
        for level in self._levels:
            loss = self._loss(level)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scripted = torch.jit.script(loss)
            for examples in self._batches(self._view, 2):
                found = []
                for module in (loss, scripted):
                    preds = examples.preds.float().requires_grad_(True)
                    value = self._of(module, examples.with_preds(preds))
                    found.append((value, torch.autograd.grad(value, preds)[0]))
                self._alike(found[0][0], found[1][0], "scripted", 1e-5)
                self._alike(found[0][1], found[1][1], "the gradient of the scripted loss", 1e-4)

    def takes_half_precision(self) -> None:
        for level in self._levels:
            for examples in self._batches(self._view, 2):
                low = examples.with_preds(examples.preds.to(torch.bfloat16))
                same = low.with_preds(low.preds.float())
                expected = self._of(self._loss(level), same)
                self._alike(expected, self._of(self._loss(level), low), "bfloat16")
                with torch.autocast("cpu", torch.bfloat16):
                    self._alike(expected, self._of(self._loss(level), same), "under autocast")

    def is_tabulated(self) -> None:
        for level, set_size in self._with_sizes(3):
            loss = self._loss(level)
            for examples in self._batches(self._view, set_size, n_batches=2):
                points = Chunk(examples, set_size, torch.arange(6.0, dtype=torch.float64), None)
                (table,) = tabulate(loss, self._task, [points], torch.device("cpu"))
                features = table.features.requires_grad_(True)
                found = loss.network.score(features.flatten(0, 1), features.shape[1])
                (v,) = torch.autograd.grad(found.sum(), features)
                norms = torch.einsum("pra,prab,prb->p", v, table.gram, v).clamp_min(0).sqrt()
                preds = examples.preds.float().requires_grad_(True)
                of_points = loss.points(*loss_arguments(self._task, examples.with_preds(preds)), set_size)
                self._alike(of_points.detach(), found.detach(), "the losses of the table")
                (gradient,) = torch.autograd.grad(of_points.sum(), preds)
                expected = (gradient * self._task.unit(examples)).reshape(6, -1).norm(dim=1)
                self._alike(expected, norms, "the norms of gradients", 1e-3)

    def is_exported(self) -> None:
        for level in self._levels:
            given = [loss_arguments(self._task, examples) for examples in self._batches(self._view, 1, 5)]
            with tempfile.TemporaryDirectory() as folder:
                writer.write(self._loss(level), None, given, Path(folder) / "loss.pt")
