"""Seconds of several ways to do the same, taken in turn, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

SLOW_S = 10.0  # a call that takes longer is not repeated
N_FIRST = 3  # calls that are not timed: a scripted loss is compiled in its first ones


@dataclass(frozen=True)
class Row:
    """What one variant took in one setting.

    Args:
        setting: sizes and the like; variants are compared within a setting.
        variant: what was timed.
        seconds: of each repeat, of what `unit` says.
        unit: what the seconds are of.
        more: other figures, such as a peak of memory in MiB.
    """

    setting: str
    variant: str
    seconds: list[float]
    unit: str = "call"
    more: Mapping[str, float] = field(default_factory=dict)


def side_by_side(
    setting: str, variants: Mapping[str, Callable[[], Any]], device: str, n_repeats: int = 7
) -> Iterator[Row]:
    """Rows of variants that are called in turn, after a few calls each that are not timed.

    Args:
        setting: of the rows.
        variants: what to call, by name.
        device: that is waited for.
        n_repeats: how often each is timed; once if its first call took over ten seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    first = {name: once(call, device) for name, call in variants.items()}
    for _ in range(N_FIRST - 1):
        for name, call in variants.items():
            if first[name] <= 1:
                call()
    for _ in range(n_repeats):
        for name, call in variants.items():
            if first[name] <= SLOW_S or not seconds[name]:
                seconds[name].append(once(call, device))
    for name, repeats in seconds.items():
        yield Row(setting, name, repeats)


def once(call: Callable[[], Any], device: str) -> float:
    """Seconds of a call, the device's work included."""
    began = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def of_process(arguments: list[str]) -> float:
    """Seconds of a process of this Python, from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began
