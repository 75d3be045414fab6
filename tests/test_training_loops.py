"""A loss of each kind of prediction in a short training loop that imports torch alone."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import program
import pytest
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.export import ready
from autosurrogate.registry.lookup import find
from autosurrogate.search import search_space
from autosurrogate.search.space import Choice, Range

#: task -> metric, and a loop that prints the regular loss before and after
LOOPS = {
    "classification": (
        "accuracy",
        """
        x, target = torch.randn(128, 8), torch.randint(5, (128,))
        model = torch.nn.Linear(8, 5)
        for step in range(10):
            logits = model(x)
            regular = F.cross_entropy(logits, target)
            update(regular + loss_fn(logits, target))
        """,
    ),
    "scores": (
        "f1",
        """
        x = torch.randn(64, 8)
        model, target = torch.nn.Linear(8, 1), (x[:, 0] > 0.5).long()
        for step in range(10):
            logits = model(x).squeeze(1)
            regular = F.binary_cross_entropy_with_logits(logits, target.float())
            update(regular + loss_fn(logits, target))
        """,
    ),
    "sequence": (
        "bleu",
        """
        x, target = torch.randn(16, 9, 8), torch.randint(30, (16, 9))
        model = torch.nn.Linear(8, 30)
        for step in range(10):
            logits = model(x)
            regular = F.cross_entropy(logits.transpose(1, 2), target)
            update(regular + loss_fn(logits, target))
        """,
    ),
    "span": (
        "span_f1",
        """
        x, target = torch.randn(16, 40, 8), torch.randint(20, (16, 1)) + torch.tensor([0, 3])
        model = torch.nn.Linear(8, 2)
        for step in range(10):
            logits = model(x).transpose(1, 2)
            regular = F.cross_entropy(logits[:, 0], target[:, 0]) + F.cross_entropy(logits[:, 1], target[:, 1])
            update(regular + loss_fn(logits, target))
        """,
    ),
    "heatmap": (
        "pck",
        """
        x = torch.randn(8, 3, 24, 20)
        model, target = torch.nn.Conv2d(3, 4, 3, padding=1), torch.rand(8, 4, 24, 20) ** 20
        for step in range(10):
            heatmaps = model(x)
            regular = F.mse_loss(heatmaps, target)
            update(regular + loss_fn(heatmaps, target, torch.ones(8, 4)))
        """,
    ),
    "segmentation": (
        "miou",
        """
        x, target = torch.randn(8, 3, 24, 20), torch.randint(4, (8, 24, 20))
        model = torch.nn.Conv2d(3, 4, 3, padding=1)
        for step in range(10):
            logits = model(x)
            regular = F.cross_entropy(logits, target)
            update(regular + loss_fn(logits, target))
        """,
    ),
    "detection": (
        "coco_ap",
        """
        x, boxes = torch.randn(8, 6, 16), torch.tensor([[10.0, 10, 60, 50], [40, 30, 90, 90]]).repeat(8, 3, 1)
        model, target = torch.nn.Linear(16, 7), torch.cat([boxes[:, :2], torch.ones(8, 2, 1)], 2)
        for step in range(10):
            found = model(x)
            preds = torch.cat([boxes + 5 * found[..., :4], found[..., 4:]], 2)
            regular = found[..., :4].square().mean()
            update(regular + loss_fn(preds, target))
        """,
    ),
    "ranking": (
        "ndcg",
        """
        x, target = torch.randn(16, 12, 8), torch.randint(5, (16, 12))
        model = torch.nn.Linear(8, 1)
        for step in range(10):
            scores = model(x).squeeze(2)
            regular = F.cross_entropy(scores, target / target.sum(1, keepdim=True))
            update(regular + loss_fn(scores, target))
        """,
    ),
    "values": (
        "r2",
        """
        x = torch.randn(64, 8)
        model, target = torch.nn.Linear(8, 1), x[:, :1] + 0.1
        for step in range(10):
            values = model(x)
            regular = F.mse_loss(values, target)
            update(regular + loss_fn(values, target))
        """,
    ),
}
#: task -> its network of the fewest operations, unless that is its first one; every network's own tests export it
SMALL_NETWORKS = {
    "span": "target_attention",
    "heatmap": "embedding",
    "segmentation": "target_probability",
    "detection": "target_probability",
}
#: Tasks whose losses other tests fit in full; their ready losses are trained with.
READY = ("classification", "scores", "sequence", "values")
SET_SIZE = 4  # a built-in metric's own are many times larger, and so are the tables of features
METRIC = """
from autosurrogate import metric
from autosurrogate.registry.lookup import find

FULL = find("{name}").function


@metric("{name}", task="{task}", level="set", view="{view}", set_size={set_size})
def {name}(preds, target):
    return FULL(preds, target)
"""
FRAME = """
import sys, warnings
import torch, torch.nn.functional as F
warnings.simplefilter("ignore")
assert "autosurrogate" not in sys.modules
torch.manual_seed(0)
loss_fn, steps = torch.jit.load(sys.argv[1]), []

def update(loss):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    optimiser.zero_grad()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    optimiser.step()
    steps.append(loss.item())

{loop}
print(min(steps[1:]) < steps[0])
"""


def space(task: str) -> str:
    """The task's search space, reduced to the network that is exported soonest, its smallest choices and few steps."""
    spaces = search_space.load(tasks.get(task)).networks
    name = SMALL_NETWORKS.get(task, next(iter(spaces)))
    entries = {key: smallest(entry) for key, entry in spaces[name].items()}
    training = program.SPACE.split("[networks")[0].replace("n_steps = 60", "n_steps = 40")
    return (
        training
        + f"[networks.{name}]\n"
        + "".join(
            f"{key} = {json.dumps([value] if isinstance(value, list) else value)}\n" for key, value in entries.items()
        )
    )


def smallest(entry: Any) -> Any:
    """The value of a setting that computes least: of lists, the shortest, and no more than two values of it."""
    if isinstance(entry, Range):
        return entry.low
    if not isinstance(entry, Choice):
        return entry
    if isinstance(entry.options[0], list):
        return min(entry.options, key=len)[:2]
    return min(entry.options)


def write_metric(folder: Path, name: str) -> str:
    """What to fit: a built-in metric, through a file of one with small sets if it is called with sets."""
    found = find(name)
    if found.level == "sample":
        return name
    text = METRIC.format(name=name, task=found.task, view=found.view, set_size=SET_SIZE)
    return program.write(folder / "small.py", text).name


@pytest.mark.parametrize("task", [task for task in LOOPS if task not in READY])
@pytest.mark.slow
def test_a_loss_is_fitted_and_trains_a_model_where_there_is_torch_alone(
    task: str, python_with_torch_alone: Path, tmp_path: Path
) -> None:
    program.write(tmp_path / "space.toml", space(task))
    done = program.run(
        "fit", "--metric", write_metric(tmp_path, LOOPS[task][0]), "--space", "space.toml", "--trials", 1,
        "--budget", "10s", "--out", "loss.pt", "--force", "--quiet", cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    examples = tasks.get(task).generate(torch.rand(3), torch.Generator().manual_seed(0), 1, "")
    preds = examples.preds.float()  # as models give them, whatever the generator does
    program_beside = torch.export.load(tmp_path / "loss.pt2").module()
    arguments = surrogates.loss_arguments(tasks.get(task), tasks.get(task).as_model_output(examples.with_preds(preds)))
    torch.testing.assert_close(program_beside(*arguments), program.load(tmp_path / "loss.pt")(*arguments))
    check_training(task, python_with_torch_alone, tmp_path)


@pytest.mark.parametrize("task", READY)
@pytest.mark.slow
def test_a_ready_loss_trains_a_model_where_there_is_torch_alone(
    task: str, python_with_torch_alone: Path, tmp_path: Path
) -> None:
    ready.export(LOOPS[task][0], tmp_path / "loss.pt")
    check_training(task, python_with_torch_alone, tmp_path)


def check_training(task: str, python: Path, folder: Path) -> None:
    """The loop of the task with the folder's loss ends with a lower loss."""
    code = FRAME.format(loop=textwrap.dedent(LOOPS[task][1]))
    trained = program.run_code(code, "loss.pt", cwd=folder, python=python, imported=("torch",))
    assert (trained.returncode, trained.stdout) == (0, "True\n"), trained.stderr
