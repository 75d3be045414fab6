"""Metrics of torchmetrics: its classes, by name.

The domain of a class decides what it is called with: classification, regression, segmentation, text, retrieval,
clustering, nominal. `num_classes`, `num_labels` and `num_outputs` are filled in from the data. Two parameters are added
to the class's own: `key`, for a class that returns several numbers by name, and `higher_is_better`, where the class
does not define it.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import typing
import warnings
from typing import Any

import numpy as np
import torch

from autosurrogate._utils.text import one_line
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.libraries._declaration import KINDS, Declaration, as_metric, kind_of, known_only
from autosurrogate.registry.metric_type import Level

SOURCE = "torchmetrics"
EXTRA = "pip install 'autosurrogate[torchmetrics]'"
#: Task, view and level of a domain; for classification see `KINDS`.
_DOMAINS: dict[str, tuple[str, str, Level]] = {
    "regression": ("values", "values", "set"),
    "text": ("sequence", "text", "set"),
    "retrieval": ("ranking", "lists", "sample"),
    "segmentation": ("segmentation", "probabilities", "set"),
    "clustering": ("classification", "labels", "set"),
    "nominal": ("classification", "labels", "set"),
}
_SIZES = ("num_classes", "num_labels", "num_outputs")
_MANY = 100  # number of classes for a first instance
_MISTAKEN = {"WordInfoPreserved": True}  # these classes define `higher_is_better` the wrong way round, up to 1.9


def declare(name: str, settings: dict[str, Any]) -> Declaration:
    """The metric of a class.

    Args:
        name: such as "BinaryF1Score", or "F1Score" with `task` among the settings.
        settings: arguments of the class, and `key`.

    Raises:
        MetricError: torchmetrics is not installed, there is no such class, its domain has no task here, or a setting is
            wrong.
    """
    metric_class = _class(name)
    domain = metric_class.__module__.split(".")[1]
    taken = {n: p for n, p in inspect.signature(metric_class).parameters.items() if p.kind is not p.VAR_KEYWORD}
    key, free = settings.get("key"), set(taken) - set(_SIZES)  # sizes are filled in from the data
    settings = {n: _as_declared(value, taken[n]) for n, value in known_only(settings, free, "key").items()}
    if domain == "classification":
        kind = _kind(name, settings)
        task, view = KINDS[kind]
        declared: tuple[str, str, Level] = (task, "probabilities" if kind == "multiclass" else view, "set")
    elif domain in _DOMAINS:
        kind, declared = domain, _DOMAINS[domain]
    else:
        raise MetricError(f"no task has the kind of prediction of torchmetrics.{domain}")
    function = _ClassAsFunction(metric_class, set(taken) & set(_SIZES), settings, kind, key)
    task, view, level = declared
    metric = function.of_size(_MANY if domain == "classification" else 2)
    asked = typing.get_type_hints(type(metric).update)
    asked.pop("return", None)
    indexed = ["indexes"] if domain == "retrieval" else []
    texts = domain == "text"
    names = ["target" if name == "targets" else name for name in asked]
    if names != ["preds", "target", *indexed] or (texts and type_hints.contradicts(asked["preds"], list[str])):
        raise MetricError(f"it does not take predictions and targets as a task has them, but {_signature(asked)}")
    return Declaration(
        function=as_metric(function, metric_class),
        task=task,
        view=view,
        level=level,
        higher_is_better=_MISTAKEN.get(name, metric.higher_is_better),
        source=SOURCE,
    )


class _ClassAsFunction:
    """A class of torchmetrics as a function of the predictions and targets of a point.

    Args:
        metric_class: the class.
        sizes: arguments of the class that are filled in from the data.
        settings: its other arguments.
        kind: one of `KINDS`, or the domain.
        key: which number to take, where several are returned.
    """

    def __init__(
        self, metric_class: Any, sizes: set[str], settings: dict[str, Any], kind: str, key: str | None
    ) -> None:
        self._class, self._sizes, self._settings, self._kind, self._key = metric_class, sizes, settings, kind, key
        self._instances: dict[int, Any] = {}

    def __call__(self, preds: Any, target: Any) -> Any:
        """The metric of one point."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about undefined values
            metric = self.of_size(_SIZE.get(self._kind, _n_outputs)(preds, target))
            try:
                metric.update(*_ARGUMENTS[self._kind](metric, preds, target))
                result = metric.compute()
            finally:
                metric.reset()
        if isinstance(result, dict):
            if self._key not in result:
                raise MetricError(f"choose the number with key=, one of {', '.join(map(str, result))}")
            result = result[self._key]
        return result.mean() if self._kind == "regression" else result  # over the outputs

    def of_size(self, size: int) -> Any:
        """The instance for a number of classes, labels or outputs; created once."""
        if size not in self._instances:
            arguments: dict[str, Any] = {"input_format": "index"} if self._kind == "segmentation" else {}
            arguments |= {**dict.fromkeys(self._sizes, size), **self._settings}
            if self._kind == "multiclass" and isinstance(arguments.get("top_k"), int):
                arguments["top_k"] = min(arguments["top_k"], size)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about buffers that grow, which `reset` empties
                    self._instances[size] = self._class(**arguments)
            except Exception as error:  # whatever the class raises for wrong arguments
                raise MetricError(f"it cannot be created: {one_line(error)}") from error
        return self._instances[size]


def _class(name: str) -> Any:
    try:
        import torchmetrics  # an optional package
    except ModuleNotFoundError as error:
        if error.name != "torchmetrics":
            raise
        raise MetricError(f"torchmetrics is not installed: {EXTRA}") from None
    classes: dict[str, Any] = {}
    for module in pkgutil.iter_modules(torchmetrics.__path__):
        if module.ispkg and module.name not in ("functional", "utilities"):
            domain = importlib.import_module(f"torchmetrics.{module.name}")
            members = inspect.getmembers(domain, inspect.isclass)
            classes |= {n: member for n, member in members if issubclass(member, torchmetrics.Metric)}
    if name in classes:
        return classes[name]
    lower = {n.lower(): n for n in classes}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), lower, 3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise MetricError(f"torchmetrics has no class of that name, or the packages that the class needs are missing{hint}")


def _kind(name: str, settings: dict[str, Any]) -> str:
    """The kind of a classification metric, see `KINDS`, by its name or by its parameter `task`."""
    named = [kind for kind in KINDS if name.lower().startswith(kind)]
    return named[0] if named else kind_of(settings.get("task"), None, KINDS)


def _as_declared(value: Any, parameter: inspect.Parameter) -> Any:
    """An integer as a float where the parameter takes only floats, as in `beta=2`."""
    kinds = (parameter.annotation, *typing.get_args(parameter.annotation))
    return float(value) if type(value) is int and float in kinds and int not in kinds else value


def _signature(asked: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {type_hints.show(hint)}" for name, hint in asked.items())


def _n_outputs(preds: Any, target: Any) -> int:
    return int(preds.shape[1]) if getattr(preds, "ndim", 0) > 1 else 1


def _n_classes(preds: Any, target: Any) -> int:
    return int(max(preds.max(), target.max())) + 1


_SIZE = {"clustering": _n_classes, "nominal": _n_classes}


def _tensor(array: Any) -> Any:
    return torch.from_numpy(np.array(array))


def _scores(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    return _tensor(preds).float(), _tensor(target).long()


def _classes(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    return _tensor(preds), _tensor(target)


def _values(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    preds, target = _tensor(preds), _tensor(target)
    return (preds[:, 0], target[:, 0]) if preds.shape[1] == 1 else (preds, target)


def _texts(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    hint = typing.get_type_hints(type(metric).update)["target"]
    return preds, [[text] for text in target] if type_hints.contradicts(hint, list[str]) else target


def _list(metric: Any, preds: Any, target: Any) -> tuple[Any, Any, Any]:
    """Scores above 0, since the library takes a score of 0 or less for not retrieved."""
    target = _tensor(target) if metric.allow_non_binary_target else _tensor(target > 0)
    return _tensor(preds - preds.min() + 1), target, target.new_zeros(len(target), dtype=int)


def _pixels(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    """Classes of pixels; both are 0 where a pixel is left out, since the library cannot leave it out."""
    target = _tensor(target).long()
    return _tensor(preds).argmax(1).masked_fill(target < 0, 0), target.clamp_min(0)


_ARGUMENTS = {
    "binary": _scores,
    "multiclass": _scores,
    "multilabel": _scores,
    "regression": _values,
    "text": _texts,
    "retrieval": _list,
    "segmentation": _pixels,
    "clustering": _classes,
    "nominal": _classes,
}
