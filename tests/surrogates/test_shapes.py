"""Losses that are called with tensors of other shapes than their task's."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks

NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "classification": ("target_probability", {}),
    "scores": ("target_probability", {}),
    "sequence": ("target_attention", {"width": 8, "n_layers": 1}),
    "span": ("target_attention", {"width": 8, "n_layers": 1}),
    "heatmap": ("embedding", {}),
    "segmentation": ("target_probability", {}),
    "detection": ("target_probability", {}),
    "ranking": ("soft_ranks", {"temperatures": [0.1], "width": 8}),
    "values": ("agreement", {"bandwidths": [0.1], "anchors": [1]}),
}
Shape = tuple[int, ...]
WRONG: list[tuple[str, Shape, Shape]] = [
    ("classification", (6, 4), (5,)),
    ("classification", (6, 4), (6, 1)),
    ("classification", (6, 4), (6, 4)),  # one-hot
    ("classification", (6, 4, 7), (6, 7)),
    ("scores", (6, 3), (6,)),
    ("scores", (6, 1), (6,)),
    ("scores", (6, 3), (1, 3)),
    ("sequence", (2, 5, 7), (1, 5)),
    ("sequence", (2, 5), (2, 5)),
    ("sequence", (2, 5, 7), (2, 5, 7)),  # one-hot
    ("span", (4, 9, 2), (4, 2)),
    ("span", (4, 2, 9), (1, 2)),
    ("span", (4, 2, 9), (4,)),
    ("heatmap", (2, 3, 8, 8), (2, 3, 16, 16)),
    ("heatmap", (2, 3, 8, 8), (1, 3, 8, 8)),
    ("segmentation", (2, 3, 8, 8), (1, 8, 8)),
    ("segmentation", (2, 3, 8, 8), (2, 16, 16)),
    ("segmentation", (2, 3, 8, 8), (2, 1, 8, 8)),
    ("detection", (2, 9, 7), (2, 3, 4)),
    ("detection", (2, 9, 4), (2, 3, 5)),
    ("detection", (2, 9, 7), (1, 3, 5)),
    ("ranking", (4, 9), (4, 8)),
    ("ranking", (4, 9), (1, 9)),
    ("ranking", (9,), (9,)),
    ("values", (6, 1), (6,)),
    ("values", (6,), (6,)),
    ("values", (6, 3), (6, 1)),
]


@functools.cache
def scripted(task: str, level: str) -> Any:
    network, settings = NETWORKS[task]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of TorchScript
        return torch.jit.script(surrogates.build(tasks.get(task), level, network, **settings))  # type: ignore[no-untyped-call]


def refused(loss: Any, *given: Tensor) -> None:
    preds, target, *_ = given
    with pytest.raises(torch.jit.Error, match="expected ") as raised:  # type: ignore[attr-defined]
        loss(*given)
    said = str(raised.value).strip().splitlines()[-1]
    assert f"preds of shape {list(preds.shape)}, target of shape {list(target.shape)}: expected " in said


@pytest.mark.parametrize("level", ["sample", "set"])
@pytest.mark.parametrize(("task", "preds", "target"), WRONG)
def test_other_shapes_are_named_rather_than_broadcast(task: str, preds: Shape, target: Shape, level: str) -> None:
    refused(scripted(task, level), torch.rand(preds), torch.zeros(target))


@pytest.mark.parametrize("level", ["sample", "set"])
@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 5), (5, 2), (2, 5, 1)])
def test_a_mask_of_another_shape_is_refused(shape: Shape, level: str) -> None:
    refused(scripted("sequence", level), torch.rand(2, 5, 7), torch.ones(2, 4), torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("level", ["sample", "set"])
@pytest.mark.parametrize("shape", [(2,), (2, 1), (1, 3), (3, 2), (2, 3, 1)])
def test_a_weight_of_another_shape_is_refused(shape: Shape, level: str) -> None:
    refused(scripted("heatmap", level), torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), torch.ones(shape))


def test_scores_of_single_examples_have_labels() -> None:
    refused(scripted("scores", "sample"), torch.rand(6), torch.zeros(6))
