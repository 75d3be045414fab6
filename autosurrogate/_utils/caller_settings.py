"""Global settings of torch, which belong to the caller of this package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Set torch to its defaults for a block, and afterwards to what the caller had."""
    dtype, default_device = torch.get_default_dtype(), torch.get_default_device()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))  # random numbers of a GPU are not used
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        if default_device.type != "cpu":
            stack.callback(torch.set_default_device, default_device)
            torch.set_default_device(None)
        yield
