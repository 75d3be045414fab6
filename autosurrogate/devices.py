"""Names of devices."""

from __future__ import annotations

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
