"""Metrics of torchmetrics: its classes, by name.

What a class is given follows from its domain: classification, regression, segmentation, text, retrieval, clustering,
nominal. `num_classes`, `num_labels` and `num_outputs` are filled in from the data. Two parameters are added to the
class's own: `key`, for a class that returns several numbers by name, and `higher_is_better`, where it does not say.
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

from autosurrogate._utils.text import one_line
from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints
from autosurrogate.registry.libraries._declaration import KINDS, Declaration, as_metric, kind_of, known_only
from autosurrogate.registry.metric_type import Level

SOURCE = "torchmetrics"
EXTRA = "pip install 'autosurrogate[torchmetrics]'"
#: task, view and level of a domain; of classification see `KINDS`.
_DOMAINS: dict[str, tuple[str, str, Level]] = {
    "regression": ("values", "values", "set"),
    "text": ("sequence", "text", "set"),
    "retrieval": ("ranking", "lists", "sample"),
    "segmentation": ("segmentation", "probabilities", "set"),
    "clustering": ("classification", "labels", "set"),
    "nominal": ("classification", "labels", "set"),
}
_SIZES = ("num_classes", "num_labels", "num_outputs")
_MANY = 100  # classes that a class is tried out with
_MISTAKEN = {"WordInfoPreserved": True}  # what these classes say of themselves is the other way round, up to 1.9


def declare(name: str, settings: dict[str, Any]) -> Declaration:
    """The metric of a class.

    Args:
        name: such as "BinaryF1Score", or "F1Score" with `task` among the settings.
        settings: arguments of the class, and `key`.

    Raises:
        MetricError: torchmetrics is not installed, there is no such class, it is of a domain that this program has no
            task for, or a setting is wrong.
    """
    found = _class(name)
    domain = found.__module__.split(".")[1]
    taken = {n: one for n, one in inspect.signature(found).parameters.items() if one.kind is not one.VAR_KEYWORD}
    key, free = settings.get("key"), set(taken) - set(_SIZES)  # sizes are those of the data
    settings = {n: _of_its_kind(value, taken[n]) for n, value in known_only(settings, free, "key").items()}
    if domain == "classification":
        kind = _kind(name, settings)
        task, view = KINDS[kind]
        declared: tuple[str, str, Level] = (task, "probabilities" if kind == "multiclass" else view, "set")
    elif domain in _DOMAINS:
        kind, declared = domain, _DOMAINS[domain]
    else:
        raise MetricError(f"torchmetrics.{domain} is about a kind of prediction that this program has no task for")
    called = _Called(found, set(taken) & set(_SIZES), settings, kind, key)
    task, view, level = declared
    metric = called.of_size(_MANY if domain == "classification" else 2)
    asked = typing.get_type_hints(type(metric).update)
    asked.pop("return", None)
    indexed = ["indexes"] if domain == "retrieval" else []
    texts = domain == "text"
    names = ["target" if name == "targets" else name for name in asked]
    if names != ["preds", "target", *indexed] or (texts and type_hints.contradicts(asked["preds"], list[str])):
        raise MetricError(f"it is not given predictions and targets as this program has them, but {_told(asked)}")
    return Declaration(
        function=as_metric(called, found),
        task=task,
        view=view,
        level=level,
        higher_is_better=_MISTAKEN.get(name, metric.higher_is_better),
        source=SOURCE,
    )


class _Called:
    """A class of torchmetrics as a function of the predictions and targets of a point.

    Args:
        found: the class.
        sizes: arguments of the class that are filled in from the data.
        settings: arguments that are given.
        kind: of `KINDS`, or the domain.
        key: of the number that is meant, where several are returned.
    """

    def __init__(self, found: Any, sizes: set[str], settings: dict[str, Any], kind: str, key: str | None) -> None:
        self._found, self._sizes, self._settings, self._kind, self._key = found, sizes, settings, kind, key
        self._made: dict[int, Any] = {}

    def __call__(self, preds: Any, target: Any) -> Any:
        """The metric of one point."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that are not defined
            metric = self.of_size(_SIZE.get(self._kind, _n_columns)(preds, target))
            try:
                metric.update(*_ARGUMENTS[self._kind](metric, preds, target))
                found = metric.compute()
            finally:
                metric.reset()
        if isinstance(found, dict):
            if self._key not in found:
                raise MetricError(f"say which number is meant with key=, one of {', '.join(map(str, found))}")
            found = found[self._key]
        return found.mean() if self._kind == "regression" else found  # of the columns

    def of_size(self, size: int) -> Any:
        """The metric for so many classes, labels or outputs; made once."""
        if size not in self._made:
            given: dict[str, Any] = {"input_format": "index"} if self._kind == "segmentation" else {}
            given |= {**dict.fromkeys(self._sizes, size), **self._settings}
            if self._kind == "multiclass" and isinstance(given.get("top_k"), int):
                given["top_k"] = min(given["top_k"], size)  # of fewer classes, all
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of buffers that would grow, if they were not emptied
                    self._made[size] = self._found(**given)
            except Exception as error:  # of whatever kind the class has for wrong arguments
                raise MetricError(f"it cannot be made: {one_line(error)}") from error
        return self._made[size]


def _class(name: str) -> Any:
    try:
        import torchmetrics
    except ModuleNotFoundError as error:
        if error.name != "torchmetrics":
            raise
        raise MetricError(f"torchmetrics is not installed: {EXTRA}") from None
    classes: dict[str, Any] = {}
    for module in pkgutil.iter_modules(torchmetrics.__path__):
        if module.ispkg and module.name not in ("functional", "utilities"):
            domain = importlib.import_module(f"torchmetrics.{module.name}")
            members = inspect.getmembers(domain, inspect.isclass)
            classes |= {n: found for n, found in members if issubclass(found, torchmetrics.Metric)}
    if name in classes:
        return classes[name]
    lower = {n.lower(): n for n in classes}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), lower, 3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise MetricError(f"torchmetrics has no class of that name, or the packages that the class needs are missing{hint}")


def _kind(name: str, settings: dict[str, Any]) -> str:
    """How many classes a metric of classification is about, by its name or by its parameter `task`."""
    named = [kind for kind in KINDS if name.lower().startswith(kind)]
    return named[0] if named else kind_of(settings.get("task"), None, KINDS)


def _of_its_kind(value: Any, parameter: inspect.Parameter) -> Any:
    """A whole number as a float where only that is meant: `beta=2`."""
    meant = (parameter.annotation, *typing.get_args(parameter.annotation))
    return float(value) if type(value) is int and float in meant and int not in meant else value


def _told(asked: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {type_hints.show(hint)}" for name, hint in asked.items())


def _n_columns(preds: Any, target: Any) -> int:
    return int(preds.shape[1]) if getattr(preds, "ndim", 0) > 1 else 1


def _n_classes(preds: Any, target: Any) -> int:
    return int(max(preds.max(), target.max())) + 1


_SIZE = {"clustering": _n_classes, "nominal": _n_classes}


def _tensor(array: Any) -> Any:
    import torch

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
    return preds, [[one] for one in target] if type_hints.contradicts(hint, list[str]) else target


def _list(metric: Any, preds: Any, target: Any) -> tuple[Any, Any, Any]:
    """Scores above 0, for the library takes what scores 0 or less to be not retrieved."""
    target = _tensor(target) if metric.allow_non_binary_target else _tensor(target > 0)
    return _tensor(preds - preds.min() + 1), target, target.new_zeros(len(target), dtype=int)


def _pixels(metric: Any, preds: Any, target: Any) -> tuple[Any, Any]:
    """Classes of pixels; both 0 where a pixel is left out, for the classes of this library cannot leave it out."""
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
