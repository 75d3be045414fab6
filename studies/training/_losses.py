"""The fitted losses that models are trained with: this program's, as its defaults are, and the paper's."""

from __future__ import annotations

import hashlib
import re
import warnings
from pathlib import Path

import numpy as np
import torch

from autosurrogate import tasks
from autosurrogate.export import reader, ready
from autosurrogate.outputs.array_files import write
from autosurrogate.search import search_space
from studies.models._experiment import Experiment, first, outputs, record, write_outputs
from studies.spaces import SPACES
from studies.training import _fitting
from studies.training._comparison import FITS, Comparison, Fit
from studies.training._recording import n_needed, repeat, uniformly_random
from studies.training._runs import cached, pretrained

LOSSES = Path(__file__).parents[1] / "losses"


def ensure(
    kind: str, metric: str, name: str, comparison: Comparison, folder: Path, budget: str, device: str
) -> Path | None:
    """A fitted loss: the ready one of the package if its fit is the same; else fitted if its file is missing.

    Args:
        kind: which of `comparison.fits`.
        metric: what it is fitted to.
        name: of the experiment.
        comparison: the experiment.
        folder: of the real data.
        budget: of a fit.
        device: where the model is trained whose outputs are recorded.

    Returns:
        The file; None for a task that the fit has no search space for.

    Raises:
        RuntimeError: the fit failed, or refused the loss.
    """
    fit = comparison.fits[kind]
    if fit.like is not None:
        return ensure(fit.like, metric, name, comparison, folder, budget, device)
    task = comparison.model.task
    if fit.space is not None and not (SPACES / f"{fit.space}_{task}.toml").exists():
        return None
    if fit == FITS["fitted"] and metric in ready.names():
        return ready.path(metric)
    parts = [metric, *([] if fit == FITS["fitted"] else [kind]), *([name] if fit.recorded else [])]
    path = LOSSES / f"{re.sub('[?=&]', '-', '-'.join(parts))}.pt"
    if path.exists():
        return path
    LOSSES.mkdir(exist_ok=True)
    arguments = ["--budget", budget, *fit.arguments]
    if fit.space is not None or fit.settings:
        arguments += ["--space", str(_space(fit, task, path))]
    if fit.recorded:
        recorded, uniform = _recorded(name, comparison, folder, n_needed(metric), device)
        with_uniform = fit.uniform and not comparison.recorded_alone
        arguments += ["--outputs", str(recorded), *([str(uniform)] if with_uniform else [])]
    print(f"fitting {path.name}", flush=True)
    _fitting.fit(metric, path, tuple(arguments))
    return path


def _space(fit: Fit, task: str, loss: Path) -> Path:
    """The search space of a fit; beside the loss where its settings are changed."""
    path_of_space = SPACES / f"{fit.space}_{task}.toml" if fit.space is not None else None
    if path_of_space is not None and not fit.settings:
        return path_of_space
    own = search_space.text_of(tasks.get(task), path_of_space)
    for setting, value in fit.settings.items():
        own, n_found = re.subn(rf"(?m)^{setting} = .*$", f"{setting} = {value}", own)
        if not n_found:
            raise ValueError(f"the search space of {task} has no setting {setting!r}")
    path = loss.with_suffix(".toml")
    path.write_text(own, encoding="utf-8")
    return path


def known(path: Path) -> dict[str, float]:
    """What a fitted loss's file says of it: its held-out rank correlation, its size and the weight that it suggests."""
    _, metadata = reader.load(path)
    return {
        "spearman": metadata.quality.held_out_generated.loss.spearman,
        "n_parameters": metadata.network.n_parameters,
        "suggested_weight": metadata.quality.suggested_weight,
    }


def digest(path: Path) -> str:
    """Identifies a fitted loss by its numbers: the same where other code has written its file again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        loss = torch.jit.load(str(path))
    digest_of_numbers = hashlib.sha256()
    for name, buffer in sorted(loss.named_buffers()):
        numbers = buffer.detach().cpu().contiguous()
        digest_of_numbers.update(f"{name} {numbers.dtype} {tuple(numbers.shape)}".encode() + numbers.numpy().tobytes())
    return digest_of_numbers.hexdigest()[:12]


def _recorded(name: str, comparison: Comparison, folder: Path, n_rows: int, device: str) -> tuple[Path, Path]:
    """Outputs of the model on the validation split from early to late, and as many that are uniformly random.

    Where a source has fewer than `n_rows`, they are repeated: a small table has no set of 128 otherwise.
    """
    recorded, uniform = (LOSSES / f"{name}-{kind}-{n_rows}.npz" for kind in ("recorded", "uniform"))
    if not recorded.exists():
        once = recorded.with_name(f"{recorded.stem}-once.npz")
        if comparison.pretraining is None:
            record(comparison.model, folder, once, split="validation", device=device)
        else:
            _record_pretraining(comparison.pretraining, folder, once, device)
        repeat(once, recorded, n_rows)
        once.unlink()
    if not uniform.exists():
        with np.load(recorded) as file:
            write(uniform, uniformly_random(comparison.model.task, dict(file)))
    return recorded, uniform


def _record_pretraining(experiment: Experiment, folder: Path, path: Path, device: str) -> None:
    """Record the validation split at each checkpoint of a stored training, see `record`."""
    validation = first(experiment, cached(experiment, folder)["validation"])
    model = experiment.build().to(device).eval()
    by_step = {}
    for step, state in pretrained(experiment, folder, device).items():
        model.load_state_dict(state)
        by_step[step] = outputs(experiment, model, validation)
    write_outputs(path, by_step)
