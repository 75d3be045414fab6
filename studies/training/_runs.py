"""One training of one model with one loss, and which trainings an experiment still needs."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import resource
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import torch
from torch import Tensor, nn

from studies.models import __path__ as models
from studies.models._experiment import Added, Data, Experiment, train
from studies.training._comparison import Comparison, Fit, added, exported
from studies.training._guards import GUARDS
from studies.training._refitting import Refitted

CACHE = Path(__file__).parents[1] / "cache"
MODELS = Path(models[0])
CURVE = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the training, where the validation split is measured
FACTORS = (0.3, 1.0, 2.0, 4.0)  # of the learning rate, for a loss that stands alone
REGULAR = "regular"


@dataclass(frozen=True)
class Arm:
    """What a model is trained with.

    Args:
        name: "regular", the name of a fit ("fitted", "paper") or of a rival.
        metric: what a fitted loss is fitted to; "" for others.
        digest: of a fitted loss's file; "" for others.
    """

    name: str
    metric: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        experiment: its name.
        arm: what it is trained with.
        factor: of the learning rate.
        weight: of the loss beside the regular loss; 0 for a loss that stands alone.
        seed: of everything random.
        final: whether the test split is read, too.
    """

    experiment: str
    arm: Arm
    factor: float
    weight: float
    seed: int
    final: bool


class Results:
    """The measured rows of an experiment."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        names = Run.__dataclass_fields__
        self._rows = {Run(**{name: row[name] for name in names} | {"arm": Arm(**row["arm"])}): row for row in rows}

    def get(self, run: Run) -> dict[str, Any] | None:
        """What a run measured; None if it has not been trained."""
        return self._rows.get(run)


@dataclass(frozen=True)
class Plan:
    """The trainings of an experiment: weights and learning rates tuned on the validation split, then all seeds.

    The learning rate is tuned for the regular loss alone and for losses that take its place; losses that are added to
    it use the one that was best for the regular loss by the first row that is fitted to the same metric, and have their
    weight tuned. Each row chooses by its own metric, but for a fitted loss, which chooses by that first row, too.

    Args:
        name: of the experiment.
        comparison: the experiment.
        digests: of the files of the fitted losses, by kind and metric.
        seeds: of the final trainings.
        results: what has been measured.
    """

    name: str
    comparison: Comparison
    digests: Mapping[tuple[str, str], str]
    seeds: tuple[int, ...]
    results: Results

    def wanted(self) -> list[Run]:
        """Trainings that are missing and can be started now; none when all is done."""
        runs = dict.fromkeys(
            run for row in self.comparison.rows for arm in self.arms(row) for run in self._of(arm, row)
        )
        return [run for run in runs if self.results.get(run) is None]

    def arms(self, row: str) -> list[Arm]:
        """The losses that are compared in a row."""
        fitted = self.comparison.rows[row].fitted
        losses = [Arm(REGULAR)]
        losses += [Arm(kind, metric, digest) for (kind, metric), digest in self.digests.items() if metric == fitted]
        return losses + [Arm(n) for n, rival in self.comparison.rivals.items() if not rival.rows or row in rival.rows]

    def finals(self, arm: Arm, row: str) -> list[Run] | None:
        """The trainings of all seeds with the settings that were best on the validation split; None until known."""
        tuning = self._tuning(self._tuned_as(arm), row)
        if not tuning or any(self.results.get(run) is None for run in tuning):
            return None
        best = self._best(tuning, self._first_like(row) if arm.metric else row)
        return [Run(self.name, arm, *best, seed, True) for seed in self.seeds]

    def _of(self, arm: Arm, row: str) -> list[Run]:
        finals = self.finals(arm, row)
        return finals if finals is not None else self._tuning(self._tuned_as(arm), row)

    def _tuned_as(self, arm: Arm) -> Arm:
        """The loss whose settings are used: its own, but for one that is refitted, which costs too much to tune."""
        fit = self.comparison.fits.get(arm.name)
        if fit is None or not fit.refitted or fit.like is None:
            return arm
        return Arm(fit.like, arm.metric, self.digests[fit.like, arm.metric])

    def _first_like(self, row: str) -> str:
        """The first row whose losses are fitted to the same metric."""
        rows = self.comparison.rows
        return next(name for name, other in rows.items() if other.fitted == rows[row].fitted)

    def _tuning(self, arm: Arm, row: str) -> list[Run]:
        """The trainings that settings are chosen by; none while the learning rate is not known."""
        seeds = self.comparison.tuning_seeds
        own = self.comparison.rivals.get(arm.name) or self.comparison.fits.get(arm.name)
        if own is None or own.alone:
            return [Run(self.name, arm, factor, 0.0, seed, False) for factor in FACTORS for seed in seeds]
        regular = self._tuning(Arm(REGULAR), row)
        if any(self.results.get(run) is None for run in regular):
            return []
        factor, _ = self._best(regular, self._first_like(row))
        return [
            Run(self.name, arm, factor, weight, seed, False) for weight in self.comparison.weights for seed in seeds
        ]

    def _best(self, tuning: list[Run], row: str) -> tuple[float, float]:
        """The factor of the learning rate and the weight that were best on the validation split by a row's metric."""
        return max(dict.fromkeys((r.factor, r.weight) for r in tuning), key=lambda s: self._mean(tuning, s, row))

    def _mean(self, runs: list[Run], setting: tuple[float, float], row: str) -> float:
        """The mean over seeds on the validation split, positive for better."""
        values = [
            (self.results.get(run) or {})["validation"][row] for run in runs if (run.factor, run.weight) == setting
        ]
        return sum(values) / len(values) * (1 if self.comparison.rows[row].higher_is_better else -1)


def train_and_measure(
    run: Run,
    comparison: Comparison,
    folder: Path,
    loss: Path | None,
    n_threads: int,
    device: str = "cpu",
    *,
    fit: Fit | None = None,
) -> dict[str, Any]:
    """Train once and measure.

    Args:
        run: which.
        comparison: its experiment.
        folder: of the real data.
        loss: file of a fitted loss.
        n_threads: of torch.
        device: where to train.
        fit: how a fitted loss is fitted and used.

    Returns:
        A row of the results: the metrics on the validation split along the way and at the end, on the test split if the
        run is final, the seconds that the training took, and the largest memory in MiB, of the process or of a GPU.
    """
    torch.set_num_threads(n_threads)
    data = of_seed(comparison, folder, run.seed)
    n_steps = round(comparison.model.n_steps * (1 if run.final else comparison.tuning_share))
    model = replace(
        comparison.model,
        n_steps=n_steps,
        learning_rate=comparison.model.learning_rate * run.factor,
        checkpoints=tuple(round(n_steps * fraction) for fraction in CURVE),
    )
    if run.arm.name == REGULAR:
        beside = None
    elif run.weight == 0:
        model, beside = replace(model, regular_loss=_loss(run.arm, comparison, loss, device)), None
    else:
        beside = _beside(run.arm, comparison, model, data["train"], loss, fit or Fit(), device)
    curve: dict[int, dict[str, float]] = {}
    measuring = 0.0

    def measure(step: int, trained: nn.Module) -> None:
        nonlocal measuring
        began = time.perf_counter()
        with torch.random.fork_rng(devices=()):
            curve[step] = comparison.measure(trained, data["validation"], folder)
        measuring += time.perf_counter() - began
        if isinstance(beside, Refitted) and 0 < step < n_steps:
            beside.refit(step, trained)

    began = time.perf_counter()
    trained = train(
        model, data["train"], run.seed,
        loss=beside, weight=run.weight, start=start(comparison, folder, device), at_checkpoint=measure,
        device=device,
    )  # fmt: skip
    seconds = time.perf_counter() - began - measuring
    return {
        **asdict(run),
        "validation": curve[model.n_steps],
        "test": comparison.measure(trained, data["test"], folder) if run.final else None,
        "curve": curve,
        "seconds": round(seconds, 2),
        "peak_mib": _peak_mib(device),
        "date": datetime.date.today().isoformat(),
        "machine": f"{_machine(device)}, Python {platform.python_version()}, torch {torch.__version__}",
        "n_threads": n_threads,
    }


def _peak_mib(device: str) -> int:
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return torch.cuda.max_memory_allocated(device) // 2**20


def _machine(device: str) -> str:
    return f"{os.cpu_count()} CPU cores" if device == "cpu" else torch.cuda.get_device_name(device)


def _beside(
    arm: Arm, comparison: Comparison, model: Experiment, data: Data, path: Path | None, fit: Fit, device: str
) -> Added:
    """What is added to the regular loss."""
    if fit.refitted and path is not None:
        return Refitted(path, arm.metric, model, data, device)
    loss = _loss(arm, comparison, path, device)
    if fit.guard is not None:
        return GUARDS[fit.guard](loss, model)
    rival = comparison.rivals.get(arm.name)
    return loss if rival is not None and rival.of_model else added(loss)


def _loss(arm: Arm, comparison: Comparison, path: Path | None, device: str) -> Any:
    if path is not None:
        return exported(path, comparison.model.task, device)
    return comparison.rivals[arm.name].loss


def of_seed(comparison: Comparison, folder: Path, seed: int) -> dict[str, Data]:
    """The data of a seed's training."""
    data = cached(comparison.model, folder)
    return data if comparison.split is None else comparison.split(data, seed)


def cached(experiment: Experiment, folder: Path) -> dict[str, Data]:
    """The data of an experiment; stored on disk, as loading it can take longer than a training."""
    path = CACHE / f"data-{key(experiment.load)}.pt"
    if not path.exists():
        _save(experiment.load(folder), path)
    data: dict[str, Data] = torch.load(path)
    return data


def pretrained(experiment: Experiment, folder: Path, device: str = "cpu") -> dict[int, dict[str, Tensor]]:
    """The weights of a model trained with the regular loss, by step; kept on disk.

    Of all checkpoints, in order; the last is the end of the training.
    """
    path = CACHE / f"model-{key(experiment)}.pt"
    if not path.exists():
        states: dict[int, dict[str, Tensor]] = {}

        def keep_state(step: int, model: nn.Module) -> None:
            states[step] = {name: weights.to("cpu", copy=True) for name, weights in model.state_dict().items()}

        with_end = replace(experiment, checkpoints=(*experiment.checkpoints, experiment.n_steps))
        train(with_end, cached(experiment, folder)["train"], seed=0, at_checkpoint=keep_state, device=device)
        _save(states, path)
    kept: dict[int, dict[str, Tensor]] = torch.load(path)
    return kept


def start(comparison: Comparison, folder: Path, device: str = "cpu") -> dict[str, Tensor] | None:
    """Where the model's training starts; None for random weights."""
    if comparison.pretraining is None:
        return None
    states = pretrained(comparison.pretraining, folder, device)
    return states[max(states)]


def key(origin: object) -> str:
    """A digest of where data or a model come from: their functions, by module and name, and the files of the models."""
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(MODELS.glob("*.py")))).digest()
    digest: str = joblib.hash((origin, sources))
    return digest


def _save(content: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary_path = path.with_suffix(f".{os.getpid()}")
    torch.save(content, temporary_path)
    temporary_path.replace(path)
