# mypy: disable-error-code="empty-body, valid-type"
from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Protocol, TypeVar, Union

import numpy as np
import numpy.typing as npt
import pytest

from autosurrogate.errors import MetricError
from autosurrogate.registry import type_hints

if TYPE_CHECKING:
    from decimal import Decimal

Item = TypeVar("Item")
Bounded = TypeVar("Bounded", bound=str)
Words = NewType("Words", list[str])
VIEWS: type_hints.Views = {
    "text": {"sample": (str, str), "set": (list[str], list[str])},
    "tokens": {"sample": (list[int], list[int]), "set": (list[list[int]], list[list[int]])},
}


class Sized(Protocol):
    def __len__(self) -> int: ...


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        (str, str),
        (Any, str),
        (object, list[int]),
        (Item, str),
        (Bounded, list[int]),
        (Sized, list[int]),
        (list, list[int]),
        (list[int], list[int]),
        (list[Any], list[list[int]]),
        (list[Item], list[str]),
        (list[float], list[int]),
        (list[int | str], list[int]),
        (Sequence[int], list[int]),
        (Iterable[str], list[str]),
        (Collection[list[int]], list[list[int]]),
        (Sequence[Sequence[int]], list[list[int]]),
        (Sequence, str),
        (Sequence[Item], str),
        (str | None, str),
        (Optional[list[int]], list[int]),  # noqa: UP045  # the older spelling is asked for, too
        (Union[str, list[str]], list[str]),  # noqa: UP007
        (Annotated[str, "a sentence"], str),
        (Words, list[str]),
        (Literal[0, 1], int),
        (float, int),
        (np.int64, int),
        (np.ndarray, np.ndarray),
        (npt.NDArray[np.float64], np.ndarray),
        (npt.ArrayLike, np.ndarray),
        (Sequence[int], np.ndarray),
        (Iterable[int], np.ndarray),
        (npt.NDArray[Any], npt.NDArray[np.int64]),
        (npt.NDArray[np.integer], npt.NDArray[np.int64]),
    ],
    ids=str,
)
def test_a_hint_that_fits(hint: Any, given: Any) -> None:
    assert not type_hints.contradicts(hint, given)


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        (str, list[str]),
        (str, list[int]),
        (list, str),
        (list[str], str),
        (list[str], list[int]),
        (list[int], list[list[int]]),
        (list[list[int]], list[int]),
        (list[int | str], list[list[int]]),
        (Sequence[str], str),  # it would see the characters
        (Iterable[int], str),
        (Sequence[str], list[int]),
        (tuple[int, ...], list[int]),
        (Mapping[str, int], list[int]),
        (Callable[[], int], list[int]),
        (None, str),
        (str | None, list[str]),
        (Annotated[str, "a sentence"], list[str]),
        (Words, list[int]),
        (Literal["right", "wrong"], int),
        (int, np.ndarray),
        (list, np.ndarray),
        (list[int], np.ndarray),
        (np.ndarray, list[int]),
        (np.ndarray, int),
        (npt.NDArray[np.float64], npt.NDArray[np.int64]),
        (bool, int),
    ],
    ids=str,
)
def test_a_hint_that_contradicts(hint: Any, given: Any) -> None:
    assert type_hints.contradicts(type(None) if hint is None else hint, given)


@pytest.mark.parametrize("hint", [str, bytes, list[float], tuple[float, float], dict, None, str | None], ids=str)
def test_results_that_are_no_number(hint: Any) -> None:
    assert type_hints.never_a_number(type(None) if hint is None else hint)


@pytest.mark.parametrize(
    "hint", [float, int, bool, Any, np.floating, float | None, float | str, Item, np.ndarray], ids=str
)
def test_results_that_may_be_a_number(hint: Any) -> None:
    assert not type_hints.never_a_number(hint)


def quoted(preds: "list[str]", target: "Decimal") -> "float": ...  # noqa: UP037  # hints in quotes are the point


def bare(preds, target): ...  # type: ignore[no-untyped-def]


def optional(preds: str, target: list[int], smooth: bool = False) -> float: ...


def variadic(*texts: str) -> float: ...


def keyword(*, preds: str, target: str) -> float: ...


def three(preds: str, target: str, weight: float) -> float: ...


class Scorer:
    def __call__(self, preds: str, target: list[int]) -> float: ...


def named(value: Any) -> str:
    return str(getattr(value, "__name__", type(value).__name__))


@functools.wraps(optional)
def wrapped(*arguments: Any) -> Any: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (quoted, [("preds", list[str]), ("target", Any)]),
        (bare, [("preds", Any), ("target", Any)]),
        (optional, [("preds", str), ("target", list[int])]),
        (functools.partial(optional, smooth=True), [("preds", str), ("target", list[int])]),
        (wrapped, [("preds", str), ("target", list[int])]),
        (variadic, [("texts", str), ("texts", str)]),
        (Scorer(), [("preds", str), ("target", list[int])]),
        (max, [("preds", Any), ("target", Any)]),
    ],
    ids=named,
)
def test_hints_of_arguments(function: Any, expected: list[tuple[str, Any]]) -> None:
    assert type_hints.of_arguments(function) == expected


@pytest.mark.parametrize(("function", "problem"), [(keyword, "too many positional"), (three, "missing.*'weight'")])
def test_a_function_that_cannot_be_called_with_two_arguments(function: Any, problem: str) -> None:
    with pytest.raises(MetricError, match=rf"it is called with \(preds, target\), but: .*{problem}"):
        type_hints.check(function, VIEWS, "text", "sample")


@pytest.mark.parametrize(
    ("function", "result"), [(quoted, float), (bare, Any), (max, Any), (wrapped, float)], ids=named
)
def test_the_hint_of_the_result(function: Any, result: Any) -> None:
    assert type_hints.of_result(function) == result


def test_the_message_says_what_is_given_and_what_else_could_be_declared() -> None:
    def gleu(preds: list[str], target: list[str]) -> float: ...

    with pytest.raises(MetricError) as caught:
        type_hints.check(gleu, VIEWS, "text", "sample")
    assert str(caught.value) == (
        "parameter 'preds' is hinted list[str], but with level='sample' and view='text' it gets str; "
        "hint it str, or declare level='set'"
    )
    with pytest.raises(MetricError, match=r"gets list\[str\]; hint it list\[str\], or declare view='tokens'$"):
        type_hints.check(lambda_of(list[list[int]]), VIEWS, "text", "set")
    with pytest.raises(MetricError, match=r"hinted numpy\.ndarray, but .* gets str; hint it str$"):
        type_hints.check(lambda_of(np.ndarray), VIEWS, "text", "sample")


def test_the_message_about_the_result() -> None:
    def gleu(preds: str, target: str) -> str: ...

    with pytest.raises(MetricError, match="the result is hinted str, but a metric returns one number"):
        type_hints.check(gleu, VIEWS, "text", "sample")


def lambda_of(hint: Any) -> Callable[[Any, Any], Any]:
    def function(preds: Any, target: Any) -> Any: ...

    function.__annotations__ = {"preds": hint, "target": hint}
    return function
