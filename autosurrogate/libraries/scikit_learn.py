"""Metrics of scikit-learn: its functions of right and predicted values, and its scorers.

What a function is given follows from where it stands and from the names of its arguments: regression takes values;
`y_pred` of a classification the predicted class, `y_score` and `y_proba` probabilities. The parameter `task` says
whether a metric of classification judges two classes (`binary`), more of them, or labels (`multilabel`); the default
is what the function's own defaults are for. `threshold` (0.5) is the least probability that is called positive.
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autosurrogate.errors import MetricError
from autosurrogate.libraries._declaration import KINDS, THRESHOLD, Declaration, as_metric, kind_of, known_only

SOURCE = "scikit-learn"
_LOWER_IS_BETTER = ("_loss", "_error", "_deviance")  # the endings that scikit-learn keeps for them
_CLASSES = ("y_pred", "labels_pred", "y2")  # what an argument is called that takes predicted classes
_SCORES = ("y_score", "y_proba", "y_prob")
_LABELS_ALONE = ("label_ranking_average_precision_score", "label_ranking_loss", "coverage_error")
_LISTS = ("ndcg_score", "dcg_score")


def declare(name: str, settings: dict[str, Any]) -> Declaration:
    """The metric of a function of `sklearn.metrics`, or of a scorer.

    Args:
        name: such as "f1_score", or "f1_macro" of the scorers.
        settings: arguments of the function, `task` and `threshold`.

    Raises:
        MetricError: there is none of that name, it does not compare predictions with targets, or a setting is wrong.
    """
    function, sign, fixed = _found(name)
    threshold, asked = settings.get("threshold", THRESHOLD), settings.get("task")
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not 0 < threshold < 1:
        raise MetricError(f"threshold must be a probability between 0 and 1, got {threshold!r}")
    arguments = inspect.signature(function).parameters
    free = [argument for argument in list(arguments)[2:] if argument not in ("sample_weight", "labels")]
    given = {**fixed, **known_only(settings, free, "task", "threshold")}
    try:
        inspect.signature(function).bind(None, None, **given)
    except TypeError as error:
        raise MetricError(f"{error}; parameters are set as in ?name=value") from None
    taken = list(arguments)[1]
    home = function.__module__.rpartition(".")[2]
    view = "probabilities" if taken in _SCORES else "labels"
    if home == "_regression":
        kind, task, view = kind_of(asked, "regression", ["regression"]), "values", "values"
    elif function.__name__ in _LISTS:
        kind, task, view = kind_of(asked, "ranking", ["ranking"]), "ranking", "lists"
    else:
        kind = _kind(function, given, asked)
        task = KINDS[kind][0]
    called = taken in _CLASSES

    def score(preds: Any, target: Any) -> Any:
        more = dict(given)
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
            warnings.simplefilter("ignore")  # of values that are not defined, which are left out or 0
            if kind == "regression" and "multioutput" not in arguments:
                columns = zip(target.T, preds.T, strict=True)
                return sign * np.mean([function(right, predicted, **more) for right, predicted in columns])
            return sign * function(target, preds, **more)

    return Declaration(
        function=as_metric(score, function),
        task=task,
        view=view if task in ("values", "ranking", "classification") else KINDS[kind][1],
        level="sample" if kind == "ranking" else "set",
        higher_is_better=sign < 0 or not function.__name__.endswith(_LOWER_IS_BETTER),
        source=SOURCE,
    )


def _found(name: str) -> tuple[Callable[..., Any], int, dict[str, Any]]:
    """A function, the sign of its value, and the arguments that are set."""
    import sklearn.metrics

    functions = {n: getattr(sklearn.metrics, n) for n in sklearn.metrics.__all__}
    usable = {n: f for n, f in functions.items() if inspect.isfunction(f) and _compares(f)}
    if name in usable:
        return usable[name], 1, {}
    if name in sklearn.metrics.get_scorer_names():
        scorer = sklearn.metrics.get_scorer(name)
        return scorer._score_func, scorer._sign, dict(scorer._kwargs)
    if name in functions:
        raise MetricError("it does not compare predictions with targets by one number, so nothing can be ranked by it")
    near = difflib.get_close_matches(name, [*usable, *sklearn.metrics.get_scorer_names()], 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise MetricError(f"neither a function of sklearn.metrics nor a scorer of that name{hint}")


def _compares(function: Callable[..., Any]) -> bool:
    """Whether a function takes what is right and what is predicted."""
    home = function.__module__.removeprefix("sklearn.metrics.")
    taken = list(inspect.signature(function).parameters)
    return home in ("_classification", "_regression", "_ranking", "cluster._supervised") and (
        taken[1] in (*_CLASSES, *_SCORES)
    )


def _kind(function: Callable[..., Any], given: dict[str, Any], asked: Any) -> str:
    """How many classes a metric of classification is about."""
    arguments = inspect.signature(function).parameters
    if function.__name__ in _LABELS_ALONE:
        return kind_of(asked, "multilabel", ["multilabel"])
    average = given.get("average", arguments["average"].default if "average" in arguments else None)
    if average == "samples":
        return kind_of(asked, "multilabel", ["multilabel"])
    binary = average == "binary" or list(arguments)[1] in ("y_score", "y_prob")
    if given.get("multi_class", "raise") != "raise" or function.__name__ == "top_k_accuracy_score":
        binary = False
    return kind_of(asked, "binary" if binary else "multiclass", KINDS)
