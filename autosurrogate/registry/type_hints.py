"""Type hints of a function, compared with the types of the arguments of a call."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from autosurrogate.errors import MetricError

#: view -> level -> types of (preds, target), as a task gives them.
Views = Mapping[str, Mapping[str, tuple[Any, Any]]]

_NO_NUMBER = (str, bytes, list, tuple, dict, set, frozenset, NoneType)


def check(function: Callable[..., Any], views: Views, view: str, level: str) -> None:
    """Check that a metric's function can be called with the types of a view and a level.

    Raises:
        MetricError: it does not take two arguments, a hint contradicts the type of its argument, or the result is not
            hinted to be a number.
    """
    try:
        hints = of_arguments(function)
    except TypeError as error:
        raise MetricError(f"it is called with (preds, target), but: {error}") from None
    for (parameter, hint), given_type in zip(hints, views[view][level], strict=True):
        if contradicts(hint, given_type):
            raise MetricError(
                f"parameter {parameter!r} is hinted {show(hint)}, but with level={level!r} and view={view!r} it gets "
                f"{show(given_type)}; hint it {show(given_type)}{_other_declarations(hints, views, view, level)}"
            )
    result = of_result(function)
    if never_a_number(result):
        raise MetricError(
            f"the result is hinted {show(result)}, but a metric returns one number; return one and hint it float"
        )


def of_arguments(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Names and hints of the parameters for the first and the second argument of a call.

    A hint that is missing, or cannot be resolved, is `Any`.

    Raises:
        TypeError: the function cannot be called with two arguments; the message is that of the call.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, NameError):  # no signature, as of functions written in C; or a hint without its name
        return [("preds", Any), ("target", Any)]
    signature.bind(None, None)
    positional = [p for p in signature.parameters.values() if p.kind < inspect.Parameter.KEYWORD_ONLY]
    names = _names(function)
    return [(p.name, _resolve(p.annotation, names)) for p in (positional[0], positional[:2][-1])]


def of(annotation: Any, function: Callable[..., Any]) -> Any:
    """A resolved hint of one of the function's parameters; `Any` if it is missing or cannot be resolved."""
    return _resolve(annotation, _names(function))


def of_result(function: Callable[..., Any]) -> Any:
    """The hint of what the function returns; `Any` if it is missing or cannot be resolved."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError, NameError):
        return Any
    return _resolve(signature.return_annotation, _names(function))


def contradicts(hint: Any, given_type: Any) -> bool:
    """Whether a value of a type cannot be what a hint asks for.

    In doubt it can: `Any`, type variables, protocols that cannot be checked, and types without arguments contradict
    nothing. `float` takes an int, and a NumPy array counts as a sequence. A str counts as a sequence, but not as a
    `Sequence[str]`, which means a list of words.

    Args:
        hint: a resolved type hint.
        given_type: a class, or a class with arguments such as `list[int]`.

    >>> contradicts(list[str], str), contradicts(list[str], list[int]), contradicts(float | None, int)
    (True, True, False)
    """
    hint = plain(hint)
    asked, arguments = get_origin(hint) or hint, get_args(hint)
    if asked is Union or asked is UnionType:
        return all(contradicts(member, given_type) for member in arguments)
    kind = get_origin(given_type) or given_type
    if asked is Literal:
        return isinstance(kind, type) and not any(isinstance(value, kind) for value in arguments)
    if asked is Any or kind is Any or not isinstance(asked, type):
        return False
    if not _passes_for(kind, asked):
        return True
    if kind is str and len(arguments) == 1:
        return plain(arguments[0]) is str or contradicts(arguments[0], str)
    return any(contradicts(a, g) for a, g in zip(arguments, get_args(given_type), strict=False))


def never_a_number(hint: Any) -> bool:
    """Whether a function with this hint of its result never returns a number.

    >>> never_a_number(str), never_a_number(float), never_a_number(float | None)
    (True, False, False)
    """
    hint = plain(hint)
    asked = get_origin(hint) or hint
    if asked is Union or asked is UnionType:
        return all(never_a_number(member) for member in get_args(hint))
    return isinstance(asked, type) and asked is not Any and issubclass(asked, _NO_NUMBER)


def show(hint: Any) -> str:
    """A type as it is written in code.

    >>> import numpy as np
    >>> show(list[str]), show(int), show(np.ndarray)
    ('list[str]', 'int', 'numpy.ndarray')
    """
    if not isinstance(hint, type) or get_args(hint):
        return str(hint)
    return hint.__qualname__ if hint.__module__ == "builtins" else f"{hint.__module__}.{hint.__qualname__}"


def _other_declarations(hints: list[tuple[str, Any]], views: Views, view: str, level: str) -> str:
    """The other views or levels that would suit the hints, as an ending of a sentence."""
    fitting = [
        f", or declare view={other_view!r}" if other_level == level else f", or declare level={other_level!r}"
        for other_view, levels in views.items()
        for other_level, kinds in levels.items()
        if (other_view == view) != (other_level == level)
        and not any(contradicts(hint, kind) for (_, hint), kind in zip(hints, kinds, strict=True))
    ]
    return "".join(fitting)


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """The global names that the function's hints can refer to."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    names: dict[str, Any] = getattr(function, "__globals__", {})
    return names


def _resolve(annotation: Any, names: dict[str, Any]) -> Any:
    def holder() -> None: ...

    if annotation is inspect.Signature.empty:
        return Any
    holder.__annotations__ = {"hint": annotation}
    try:
        return typing.get_type_hints(holder, globalns=names)["hint"]
    except Exception:  # a hint may be any expression, even one that only a type checker understands
        return Any


def plain(hint: Any) -> Any:
    """The hint without its wrappers: NewType, Annotated, a type alias."""
    if isinstance(hint, NewType):
        return plain(hint.__supertype__)
    if get_origin(hint) is Annotated:
        return plain(get_args(hint)[0])
    if hasattr(hint, "__value__"):  # `type Words = list[str]`, from Python 3.12 on
        return plain(hint.__value__)
    return hint


def _passes_for(kind: Any, asked: type) -> bool:
    try:
        if issubclass(kind, asked):
            return True
    except TypeError:  # a protocol that cannot be checked
        return True
    if kind is int and asked in (float, complex):
        return True
    numpy = sys.modules.get(
        "numpy"
    )  # not imported here: without it no type is of NumPy, and listing metrics is quicker
    if numpy is None:
        return False
    as_number = issubclass(kind, int | float) and issubclass(asked, numpy.number)
    return as_number or (issubclass(kind, numpy.ndarray) and asked is Sequence)
