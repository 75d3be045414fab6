"""The fitted losses that models are trained with: this program's, as its defaults are, and the paper's."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from autosurrogate.array_files import write
from autosurrogate.metric import find
from benchmarks.models._experiment import record
from benchmarks.training._comparison import Comparison

HERE = Path(__file__).parents[1]
LOSSES = HERE / "losses"
SPACES = HERE / "spaces"
KINDS = ("fitted", "paper")
N_SETS = 10  # that a source of recorded outputs is to have
N_PAPER_TRIALS = 2  # its settings are fixed but for the steepness of ranks, and at most the size


def ensure(
    kind: str, metric: str, name: str, comparison: Comparison, folder: Path, budget: str, device: str
) -> Path | None:
    """A fitted loss; it is fitted if it is not there.

    Args:
        kind: "fitted", as `autosurrogate fit --metric` does with its defaults; or "paper", with the paper's network and
            training, on uniformly random predictions and on recorded outputs of the model.
        metric: what it is fitted to.
        name: of the experiment.
        comparison: the experiment.
        folder: of the real data.
        budget: of a fit.
        device: where the model is trained whose outputs are recorded.

    Returns:
        The file; None for a task that the paper has no network for.

    Raises:
        RuntimeError: the fit failed, or refused the loss.
    """
    task = comparison.model.task
    space = SPACES / f"paper_{task}.toml"
    if kind == "paper" and not space.exists():
        return None
    file_name = metric.replace("?", "-").replace("=", "-").replace("&", "-")
    path = LOSSES / (f"{file_name}.pt" if kind == "fitted" else f"{file_name}-paper-{name}.pt")
    if path.exists():
        return path
    command = ["fit", "--metric", metric, "--budget", budget, "--out", str(path)]
    if kind == "paper":
        files = _recorded(name, comparison, folder, N_SETS * find(metric).set_size, device)
        command += ["--space", str(space), "--force", "--random-share", "0", "--trials", str(N_PAPER_TRIALS)]
        for file in files[:1] if comparison.recorded_alone else files:
            command += ["--outputs", str(file)]
    LOSSES.mkdir(exist_ok=True)
    print(f"fitting {path.name}", flush=True)
    done = subprocess.run([sys.executable, "-m", "autosurrogate", *command], capture_output=True, text=True, cwd=LOSSES)
    if done.returncode != 0:
        raise RuntimeError(f"autosurrogate {' '.join(command)}: {done.stderr.strip()}")
    return path


def digest(path: Path) -> str:
    """What tells one fitted loss from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _recorded(name: str, comparison: Comparison, folder: Path, n_rows: int, device: str) -> list[Path]:
    """Outputs of the model on the validation split from early to late, and as many that are uniformly random.

    Where a source has fewer than `n_rows`, they are repeated: a small table has no set of 128 otherwise.
    """
    recorded, uniform = (LOSSES / f"{name}-{kind}-{n_rows}.npz" for kind in ("recorded", "uniform"))
    if not recorded.exists():
        record(comparison.pretraining or comparison.model, folder, recorded, split="validation", device=device)
        with np.load(recorded) as file:
            arrays = dict(file)
        n_times = -(-n_rows // int(np.unique(arrays["source"], return_counts=True)[1].min()))
        write(recorded, {key: np.repeat(array, n_times, axis=0) for key, array in arrays.items()})
    if not uniform.exists():
        with np.load(recorded) as file:
            write(uniform, uniformly_random(comparison.model.task, dict(file)))
    return [recorded, uniform]


def uniformly_random(task: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same targets with uniformly random predictions: probabilities, heatmaps or values in [0, 1].

    Args:
        task: name of the task.
        arrays: of recorded outputs.
    """
    preds = np.asarray(arrays["preds"], np.float32)
    made = np.random.default_rng(0).uniform(1e-4, 1 - 1e-4, preds.shape)
    if task == "scores":
        made = np.log(made / (1 - made))
    elif task == "detection":
        made[..., 4:] = np.log(made[..., 4:] / (1 - made[..., 4:]))
        corners = made[..., :4] * np.abs(preds[..., :4]).max()
        low, high = np.minimum(corners[..., :2], corners[..., 2:]), np.maximum(corners[..., :2], corners[..., 2:])
        made[..., :4] = np.concatenate([low, high], -1)
    elif task in ("classification", "sequence", "span", "segmentation"):
        made = np.log(made)
    made = np.where(np.isfinite(preds), made, -math.inf).astype(np.float32)
    return {**arrays, "preds": made}
