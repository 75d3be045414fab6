"""A check that has a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autosurrogate.errors import ConformanceError


@dataclass(frozen=True)
class Check:
    """One thing that must hold; called without arguments, it returns nothing or raises.

    Args:
        name: what holds, as a sentence without its subject.
        run: raises `ConformanceError` where it does not hold.
    """

    name: str
    run: Callable[[], None]

    def __call__(self) -> None:
        """Raise `ConformanceError` unless it holds."""
        self.run()

    def __str__(self) -> str:
        return self.name


def ensure(holds: object, message: str) -> None:
    """Raise `ConformanceError` with the message unless `holds` is true."""
    if not holds:
        raise ConformanceError(message)


def run_all(subject: str, checks: Iterable[Check]) -> None:
    """Run all checks and raise one error that names each failure.

    Raises:
        ConformanceError: something does not hold.
    """
    failures: list[str] = []
    for check in checks:
        try:
            check()
        except ConformanceError as error:
            failures.append(f"it {check.name}: {error}")
        except Exception as error:  # a check calls what is not ours
            failures.append(f"it {check.name}: {type(error).__name__}: {error}")
    if failures:
        raise ConformanceError(f"{subject} does not hold: " + "; ".join(failures))
