"""An experiment's model: how it is built and trained, and how its outputs are recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate import tasks
from autosurrogate.examples import Examples
from autosurrogate.outputs.array_files import write

Data = Mapping[str, Tensor]  # arrays with a common first axis, of one split
POOL = 50  # batches that examples are sorted by size in
Added = Callable[[nn.Module, Data, Examples], Tensor]
AtCheckpoint = Callable[[int, nn.Module], None]


@dataclass(frozen=True)
class Experiment:
    """A model on its data, the same with whatever loss it is trained.

    Args:
        task: the kind of prediction.
        load: folder of the real data to the arrays of "train", "validation" and "test".
        build: the model, untrained; random numbers come from torch's default generator.
        forward: the model on a batch of `Data`: what the regular loss, a metric and an exported loss take.
        n_steps: of the optimiser.
        batch_size: examples a step.
        learning_rate: the largest of AdamW's one-cycle schedule.
        checkpoints: steps after which outputs are recorded, from early to late.
        regular_loss: scalar; the mean of the task's by default.
        pack: outputs of a batch as they are recorded; as they are by default.
        n_recorded: examples of a split to record at each checkpoint, at most.
        size: of each example of `Data`; batches are then of examples that are about as large, as padding costs time.
    """

    task: str
    load: Callable[[Path], dict[str, Data]]
    build: Callable[[], nn.Module]
    forward: Callable[[nn.Module, Data], Examples]
    n_steps: int
    batch_size: int
    learning_rate: float
    checkpoints: tuple[int, ...]
    regular_loss: Callable[[Examples], Tensor] | None = None
    pack: Callable[[Examples], Examples] | None = None
    n_recorded: int = 2000
    size: Callable[[Data], Tensor] | None = None


def train(
    experiment: Experiment,
    data: Data,
    seed: int,
    *,
    loss: Added | None = None,
    weight: float = 1.0,
    start: Mapping[str, Tensor] | None = None,
    at_checkpoint: AtCheckpoint = lambda step, model: None,
    device: str = "cpu",
) -> nn.Module:
    """Train a model; the same seed gives the same start and order of the data whatever the loss.

    Args:
        experiment: what to train.
        data: its training split.
        seed: of everything random.
        loss: added to the regular loss, if there is one; scalar, of the model, a batch and the model's outputs on it.
        weight: of `loss`.
        start: state of a model that was trained before.
        at_checkpoint: called with the step and the model, in evaluation mode, at each of the checkpoints.
        device: where to train.
    """
    torch.manual_seed(seed)
    model = experiment.build().to(device)
    if start is not None:
        model.load_state_dict(start)
    regular = experiment.regular_loss or mean_regular_loss(experiment.task)
    optimiser = torch.optim.AdamW(model.parameters(), lr=experiment.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, experiment.learning_rate, total_steps=experiment.n_steps + 1, pct_start=0.1001
    )
    order = torch.Generator().manual_seed(seed)
    rows = torch.empty(0, dtype=torch.int64)
    for step in range(experiment.n_steps + 1):
        if step in experiment.checkpoints:
            model.eval()
            at_checkpoint(step, model)
        if step == experiment.n_steps:
            break
        if len(rows) < experiment.batch_size:
            rows = torch.cat([rows, _epoch(experiment, data, order)])
        batch, rows = rows[: experiment.batch_size], rows[experiment.batch_size :]
        model.train()
        inputs = on(device, data, batch)
        examples = experiment.forward(model, inputs)
        objective = regular(examples)
        if loss is not None:
            objective = objective + weight * loss(model, inputs, examples)
        optimiser.zero_grad(set_to_none=True)
        objective.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return model.eval()


def on(device: str | torch.device, data: Data, rows: Tensor | slice) -> Data:
    """Some examples on a device."""
    return {name: array[rows].to(device, non_blocking=True) for name, array in data.items()}


def _epoch(experiment: Experiment, data: Data, generator: torch.Generator) -> Tensor:
    """All examples in a random order, see `Experiment.size`."""
    rows = torch.randperm(len(next(iter(data.values()))), generator=generator)
    if experiment.size is None:
        return rows
    sizes = experiment.size(data)
    pools = [pool[sizes[pool].argsort(stable=True)] for pool in rows.split(POOL * experiment.batch_size)]
    batches = [batch for pool in pools for batch in pool.split(experiment.batch_size)]
    return torch.cat([batches[i] for i in torch.randperm(len(batches), generator=generator)])


def mean_regular_loss(task: str) -> Callable[[Examples], Tensor]:
    """The task's regular loss, the mean over the examples that have a target."""
    kind = tasks.get(task)

    def of(examples: Examples) -> Tensor:
        each, kept = kind.regular_loss(examples), kind.has_target(examples)
        if kept is None:
            return each.mean()
        weight = torch.as_tensor(kept, device=each.device).to(each.dtype)
        return (each * weight).sum() / weight.sum().clamp_min(1)

    return of


@torch.no_grad()
def outputs(experiment: Experiment, model: nn.Module, data: Data, batch_size: int = 64) -> Examples:
    """The model's outputs on a split, in evaluation mode, as they are recorded; on the CPU."""
    device = next(model.parameters()).device
    n_examples = len(next(iter(data.values())))
    pack = experiment.pack or (lambda examples: examples)
    parts = [
        pack(experiment.forward(model, on(device, data, slice(i, i + batch_size)))).to("cpu")
        for i in range(0, n_examples, batch_size)
    ]
    extras = {name: torch.cat([batch.extras[name] for batch in parts]) for name in parts[0].extras}
    return Examples(torch.cat([p.preds for p in parts]), torch.cat([p.target for p in parts]), extras)


def record(
    experiment: Experiment, folder: Path, path: Path, seed: int = 0, split: str = "test", device: str = "cpu"
) -> None:
    """Train with the regular loss alone and write the outputs on a split at each checkpoint.

    Args:
        experiment: what to train.
        folder: of the real data.
        path: a file of recorded outputs, `.npz`; its `source` is the step.
        seed: of everything random.
        split: "test" or "validation".
        device: where to train.
    """
    data = experiment.load(folder)
    by_step: dict[int, Examples] = {}

    def add(step: int, model: nn.Module) -> None:
        by_step[step] = outputs(experiment, model, first(experiment, data[split]))

    train(experiment, data["train"], seed, at_checkpoint=add, device=device)
    write_outputs(path, by_step)


def first(experiment: Experiment, data: Data) -> Data:
    """The examples of a split that are recorded."""
    return {name: array[: experiment.n_recorded] for name, array in data.items()}


def write_outputs(path: Path, by_step: Mapping[int, Examples]) -> None:
    """Write recorded outputs.

    Args:
        path: a file, `.npz`; its `source` is the step.
        by_step: step to the outputs of the model after that step.
    """
    arrays = {
        "preds": np.concatenate([examples.preds.to(torch.float16).numpy() for examples in by_step.values()]),
        "target": np.concatenate([examples.target.numpy() for examples in by_step.values()]),
        "source": np.repeat([*by_step], [len(examples) for examples in by_step.values()]),
    }
    for name in next(iter(by_step.values())).extras:
        arrays[name] = np.concatenate([examples.extras[name].numpy() for examples in by_step.values()])
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, arrays)
