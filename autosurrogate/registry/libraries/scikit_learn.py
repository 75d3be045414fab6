"""Metrics of scikit-learn: its functions of true and predicted values, and its scorers.

The module of a function and the names of its arguments decide what it is called with: regression takes values, `y_pred`
of a classification predicted classes, `y_score` and `y_proba` probabilities. The parameter `task` says whether a metric
of classification is `binary`, `multiclass` or `multilabel`; its default follows the function's own defaults.
`threshold` (0.5) is the lowest probability that counts as positive.
"""

from __future__ import annotations

import difflib
import inspect
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.metrics

from autosurrogate.errors import MetricError
from autosurrogate.registry.libraries._declaration import KINDS, THRESHOLD, Declaration, as_metric, kind_of, known_only

SOURCE = "scikit-learn"
_LOWER_IS_BETTER = ("_loss", "_error", "_deviance")  # scikit-learn's endings for such functions
_CLASSES = ("y_pred", "labels_pred", "y2")  # names of arguments for predicted classes
_SCORES = ("y_score", "y_proba", "y_prob")
#: Functions that take probabilities, whatever a version calls the argument, and their default kind.
_PROBABILITIES = {
    "log_loss": "multiclass",
    "d2_log_loss_score": "multiclass",
    "brier_score_loss": "binary",
    "d2_brier_score": "binary",
}
_OF_TWO_CLASSES = ("positive_likelihood_ratio", "negative_likelihood_ratio")
_LABELS_ALONE = ("label_ranking_average_precision_score", "label_ranking_loss", "coverage_error")
_LISTS = ("ndcg_score", "dcg_score")


def declare(name: str, settings: dict[str, Any]) -> Declaration:
    """The metric of a function of `sklearn.metrics` or of a scorer.

    Args:
        name: of a function, such as "f1_score", or of a scorer, such as "f1_macro".
        settings: arguments of the function, `task` and `threshold`.

    Raises:
        MetricError: the name is unknown, it does not compare predictions with targets, or a setting is wrong.
    """
    function, sign, fixed = _look_up(name)
    arguments = inspect.signature(function).parameters
    taken = list(arguments)[1]
    called = taken in _CLASSES and function.__name__ not in _PROBABILITIES
    view = "labels" if called else "probabilities"
    asked = settings.get("task")
    free = [argument for argument in list(arguments)[2:] if argument not in ("sample_weight", "labels")]
    own = known_only(settings, free, "task", "threshold")
    given_arguments = {**fixed, **own}
    try:
        inspect.signature(function).bind(None, None, **given_arguments)
    except TypeError as error:
        raise MetricError(f"{error}; set parameters as in ?name=value") from None
    if function.__module__.rpartition(".")[2] == "_regression":
        kind, task, view = kind_of(asked, "regression", ["regression"]), "values", "values"
    elif function.__name__ in _LISTS:
        kind, task, view = kind_of(asked, "ranking", ["ranking"]), "ranking", "lists"
    else:
        kind = _kind(function, given_arguments, asked)
        task = KINDS[kind][0]
    threshold = _threshold(settings.get("threshold"), applies=task == "scores" and called)

    def score(preds: Any, target: Any) -> Any:
        more = dict(given_arguments)
        if kind == "ranking":
            preds, target = [preds], [target]
        elif task == "scores" and called:
            preds = (preds >= threshold).astype(np.int64)
        elif task == "classification" and not called:
            if "labels" in arguments:
                more["labels"] = np.arange(preds.shape[1])
            if taken == "y_score" and preds.shape[1] == 2:
                preds = preds[:, 1]  # of two classes, scikit-learn asks for the scores of the second
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about undefined values, which are left out or 0
            if kind == "regression" and "multioutput" not in arguments:
                outputs = zip(target.T, preds.T, strict=True)
                return sign * np.mean([function(true, predicted, **more) for true, predicted in outputs])
            return sign * function(target, preds, **more)

    _returns_a_number(score, kind, called)
    return Declaration(
        function=as_metric(score, function),
        task=task,
        view=view if task in ("values", "ranking", "classification") else KINDS[kind][1],
        level="sample" if kind == "ranking" else "set",
        higher_is_better=sign < 0 or not function.__name__.endswith(_LOWER_IS_BETTER),
        source=SOURCE,
    )


def _look_up(name: str) -> tuple[Callable[..., Any], int, dict[str, Any]]:
    """A function, the sign of its value, and the arguments that a scorer sets."""
    functions = {n: getattr(sklearn.metrics, n) for n in sklearn.metrics.__all__}
    usable = {n: f for n, f in functions.items() if inspect.isfunction(f) and _compares(f)}
    if name in usable:
        return usable[name], 1, {}
    if name in sklearn.metrics.get_scorer_names():
        scorer = sklearn.metrics.get_scorer(name)
        return scorer._score_func, scorer._sign, dict(scorer._kwargs)
    if name in functions:
        raise MetricError("it does not compare predictions with targets")
    near = difflib.get_close_matches(name, [*usable, *sklearn.metrics.get_scorer_names()], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise MetricError(f"neither a function of sklearn.metrics nor a scorer of that name{hint}")


def _compares(function: Callable[..., Any]) -> bool:
    """Whether a function takes true and predicted values."""
    home = function.__module__.removeprefix("sklearn.metrics.")
    taken = list(inspect.signature(function).parameters)
    return home in ("_classification", "_regression", "_ranking", "cluster._supervised") and (
        taken[1] in (*_CLASSES, *_SCORES)
    )


def _threshold(setting: Any, *, applies: bool) -> float:
    if setting is not None and not applies:
        raise MetricError("threshold does not apply: the metric does not take predicted labels; leave it out")
    threshold = THRESHOLD if setting is None else setting
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not 0 < threshold < 1:
        raise MetricError(f"threshold must be a probability between 0 and 1, got {threshold!r}")
    return float(threshold)


def _returns_a_number(score: Callable[[Any, Any], Any], kind: str, called: bool) -> None:
    """Raise `MetricError` if a function returns no number for a few examples; its exceptions are reported later."""
    target, even = np.array([0, 1, 2, 1, 0, 2]), np.array([0, 1, 0, 1, 1, 0])
    sure = np.array([0.1, 0.8, 0.6, 0.7, 0.4, 0.2])
    examples = {
        "binary": (sure, even),
        "multiclass": (target[::-1] if called else np.eye(3)[target] * 0.7 + 0.1, target),
        "multilabel": (np.stack([sure, 1 - sure], 1), np.stack([even, 1 - even], 1)),
        "regression": (sure[:, None] + 1, sure[::-1, None] + 1),
        "ranking": (sure, target),
    }
    try:
        value = score(*examples[kind])
    except Exception:
        return
    if not isinstance(value, numbers.Real):
        raise MetricError(f"it returns {type(value).__name__}, not one number, so it cannot rank anything")


def _kind(function: Callable[..., Any], given_arguments: dict[str, Any], asked: Any) -> str:
    """The kind of a classification metric, see `KINDS`."""
    arguments = inspect.signature(function).parameters
    if function.__name__ in _PROBABILITIES:
        return kind_of(asked, _PROBABILITIES[function.__name__], KINDS)
    if function.__name__ in _LABELS_ALONE:
        return kind_of(asked, "multilabel", ["multilabel"])
    average = given_arguments.get("average", arguments["average"].default if "average" in arguments else None)
    if average == "samples":
        return kind_of(asked, "multilabel", ["multilabel"])
    binary = average == "binary" or list(arguments)[1] in ("y_score", "y_prob")
    if function.__name__ in _OF_TWO_CLASSES:
        return kind_of(asked, "binary", ["binary"])
    if given_arguments.get("multi_class", "raise") != "raise" or function.__name__ == "top_k_accuracy_score":
        binary = False
    return kind_of(asked, "binary" if binary else "multiclass", KINDS)
