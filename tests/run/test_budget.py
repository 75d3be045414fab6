from __future__ import annotations

import re
from dataclasses import replace

import pytest

from autosurrogate.run import budget
from autosurrogate.run.budget import SHARES, Share

EXPLAINED = {budget.LABELLING.of(300) / 2}  # further figures of the docstring


def shares_of_module() -> list[Share]:
    return [value for value in vars(budget).values() if isinstance(value, Share)]


def check_docstring(shares: tuple[Share, ...]) -> None:
    """The seconds that the docstring names are those of the shares of five minutes."""
    named = {float(number) for number in re.findall(r"([\d.]+) s\b", budget.__doc__ or "")}
    assert named == {share.of(300) for share in shares} | EXPLAINED


def test_the_docstring_names_the_seconds_of_every_share() -> None:
    check_docstring(SHARES)


@pytest.mark.parametrize("changed", SHARES, ids=lambda share: share.stage)
def test_the_check_notices_a_share_that_has_changed(changed: Share) -> None:
    others = tuple(share for share in SHARES if share is not changed)
    with pytest.raises(AssertionError):
        check_docstring((*others, replace(changed, fraction=0.011, limit_s=None)))


def test_the_table_has_every_share_of_the_module() -> None:
    assert sorted(shares_of_module(), key=id) == sorted(SHARES, key=id)
    lines = budget.table(60).splitlines()[2:]
    assert len(lines) == len(SHARES)
    for line, share in zip(lines, SHARES, strict=True):
        stage, at_most, seconds, step = (cell.strip() for cell in line.strip("|").split("|"))
        assert (stage, step) == (share.stage, share.step)
        assert at_most.startswith(f"{100 * share.fraction:g} %")
        assert float(seconds) == pytest.approx(share.of(60))


def test_a_limit_holds_whatever_the_budget() -> None:
    share = Share("stage", "step", 0.5, 10.0)
    assert (share.of(10), share.of(20), share.of(1000)) == (5, 10, 10)
    assert Share("stage", "step", 0.5).of(1000) == 500
