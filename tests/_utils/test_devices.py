from __future__ import annotations

import pytest
import torch

from autosurrogate._utils.devices import device_of, memory_bytes
from autosurrogate.errors import OptionError


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device_of("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "mps", "meta", "cuda:x", "cuda:-1", "cpu,cuda"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"--device {name}: is not a device; expected auto, cpu, cuda or cuda:N"):
        device_of(name)


def test_a_gpu_that_is_not_there_is_refused_and_the_number_of_those_that_are_is_told() -> None:
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    with pytest.raises(OptionError, match=f"--device cuda:99: does not exist; torch sees {n_devices} CUDA devices"):
        device_of("cuda:99")


def test_the_memory_of_this_machine_is_known() -> None:
    assert 2**28 < memory_bytes() < 2**50
