"""Devices by name, and the memory beside them."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import torch

from autosurrogate.errors import OptionError


def device_of(name: str) -> torch.device:
    """The device called `name`; "auto" is a GPU where there is one.

    Raises:
        OptionError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise OptionError(f"--device {name}: is no device; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= n_devices:
            raise OptionError(f"--device {name}: is not there; torch sees {n_devices} CUDA devices; try --device auto")
    return device


def memory_bytes() -> int:
    """Memory that this machine has, or that a container is given of it; a very large number where it is not known."""
    found = [sys.maxsize]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    return min(found)
