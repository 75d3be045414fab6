"""An exported loss where it is used: in a Python that has torch and not this package."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import program
import pytest
import torch

import autosurrogate
from autosurrogate.outputs.recorder import Recorder

TRAINING = """
import copy
import os
import sys
import warnings

import torch
import torch.nn.functional as F

try:
    import autosurrogate
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("autosurrogate is here")
warnings.simplefilter("ignore")
loss_fn = torch.jit.load(sys.argv[1])
torch.manual_seed(0)

# Nothing of it is trained.
assert not list(loss_fn.parameters())
try:
    torch.optim.SGD(loss_fn.parameters(), lr=0.1)
except ValueError as e:
    assert "empty" in str(e)
else:
    raise AssertionError


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(16, 10)
        self.loss_fn = loss_fn

    def forward(self, x, target):
        return self.loss_fn(self.body(x), target)


x, target = torch.randn(256, 16), torch.randint(10, (256,))
x[:, :10] += F.one_hot(target, 10)


def steps(module, body, n_steps=10):
    optimiser = torch.optim.Adam(body.parameters(), lr=0.05)
    found = []
    for _ in range(n_steps):
        loss = module(x, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


# Ten steps, with it added to the regular loss.
body = torch.nn.Linear(16, 10)
losses = steps(lambda x, target: F.cross_entropy(body(x), target) + loss_fn(body(x), target), body)
assert losses[-1] < losses[0], losses

# A model that holds it: optimised whole, copied, kept in a checkpoint, reloaded by its state.
model = Model()
losses = steps(model, model)
assert losses[-1] < losses[0], losses
twin = copy.deepcopy(model)
assert twin(x, target) == model(x, target)
steps(twin, twin, 1)
assert twin(x, target) != model(x, target)
torch.save({"model": model.state_dict(), "epoch": 3}, "checkpoint.pt")
again = Model()
assert again(x, target) != model(x, target)
again.load_state_dict(torch.load("checkpoint.pt", weights_only=True)["model"])
assert again(x, target) == model(x, target)

# The same in train and eval mode; as much for half the precision.
full = model(x, target)
model.eval()
assert model(x, target) == full
with torch.autocast("cpu", torch.bfloat16):
    assert abs(loss_fn(model.body(x).float(), target) - full) < 1e-2

# Wrapped for training on several devices.
wrapped = torch.nn.DataParallel(Model())
assert steps(wrapped, wrapped, 2)
if torch.distributed.is_available():
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    store = torch.distributed.FileStore(os.path.abspath("store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    wrapped = torch.nn.parallel.DistributedDataParallel(Model())
    losses = steps(wrapped, wrapped)
    assert losses[-1] < losses[0], losses
    torch.distributed.destroy_process_group()
print("done")
"""


@pytest.mark.slow
def test_it_trains_a_model_where_there_is_torch_alone(
    python_with_torch_alone: Path, fitted: Path, tmp_path: Path
) -> None:
    script = program.write(tmp_path / "training.py", TRAINING)
    environment = {k: v for k, v in program.ENVIRONMENT.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python_with_torch_alone, script, fitted / "accuracy.pt"], cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


@pytest.mark.slow
def test_a_loss_of_sequences_takes_masks_other_lengths_and_ids_that_are_set(tmp_path: Path) -> None:
    """Without a mask a hypothesis ends at its first `eos_id`."""
    networks = "[networks.target_attention]\nwidth = 8\nn_layers = 1\n"
    space = program.write(tmp_path / "space.toml", program.SPACE.split("[networks")[0] + networks)
    recorded, generator = tmp_path / "outputs.npz", torch.Generator().manual_seed(1)
    with Recorder(recorded, "sequence") as record:  # what a file of outputs says of its ids is not for the loss to keep
        tokens = torch.randint(4, 12, (60, 6), generator=generator)
        logits = torch.randn(60, 6, 12, generator=generator) + 3 * torch.nn.functional.one_hot(tokens, 12)
        record(logits, tokens, eos_id=torch.full((60,), 3))
    result = autosurrogate.fit(
        "bleu", out=tmp_path / "bleu.pt", budget=60, trials=1, space=space, run_dir=tmp_path / "run", force=True,
        outputs=recorded,
    )  # fmt: skip
    loss = program.load(result.path)
    generator = torch.Generator().manual_seed(0)
    preds = torch.randn(4, 9, 12, generator=generator)
    target = torch.randint(4, 12, (4, 6), generator=generator, dtype=torch.int32)
    assert (loss.eos_id, loss.blank_id) == (-1, -1)
    ended = (preds.argmax(-1) == 3).int().cumsum(1) > 0
    assert 0 < int(ended.any(1).sum()) < 4
    whole, masked = loss.per_sample(preds, target), loss.per_sample(preds, target, ~ended)
    loss.eos_id = 3
    assert torch.allclose(loss.per_sample(preds, target), masked, atol=1e-6)
    assert not torch.allclose(whole, masked)
    assert torch.allclose(loss(preds, target), masked.mean(), atol=1e-6)


def test_the_package_works_at_the_root_of_a_clone_though_it_is_installed_elsewhere(
    python_with_torch_alone: Path, tmp_path: Path
) -> None:
    """There the source tree comes first on the path, and metrics/ is beside the package, not inside."""
    root = Path(autosurrogate.__file__).parents[1]
    if not (root / "metrics").is_dir():
        pytest.skip("not a clone")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in program.needed("rich", set()) | program.needed("lazy_loader", set()):
        for file in importlib.metadata.distribution(name).files or ():
            top = Path(file).parts[0]
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if top != ".." and source.exists() and not (libraries / top).exists():
                (libraries / top).symlink_to(source)
    environment = {**program.ENVIRONMENT, "PYTHONPATH": str(libraries)}
    for arguments in (["-m", "autosurrogate", "metrics"], ["-c", "import autosurrogate.metrics.bleu as m; print(m)"]):
        done = subprocess.run(
            [python_with_torch_alone, *arguments], cwd=root, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "bleu" in done.stdout
    assert sys.executable != str(python_with_torch_alone)
