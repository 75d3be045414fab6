"""Devices by name, and the memory of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import torch

from autosurrogate.errors import OptionError


def device_of(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU if torch sees any.

    Raises:
        OptionError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"--device {name}: is not a device; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= n_devices:
            raise OptionError(
                f"--device {name}: does not exist; torch sees {n_devices} CUDA devices; try --device auto"
            )
    return device


def memory_bytes() -> int:
    """The memory of this machine, or the limit of this container; a very large number where neither is known."""
    limits = [sys.maxsize]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    return min(limits)
