"""One experiment of each kind of prediction, reduced: a few steps on little of the real data with every loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from autosurrogate import surrogates, tasks
from autosurrogate.export import writer
from autosurrogate.registry.lookup import find
from studies.models import pose, recogniser, translator
from studies.models._experiment import Data
from studies.models.autoregressive import Autoregressive
from studies.models.translator import Translator
from studies.training import _runs
from studies.training._comparison import Comparison
from studies.training._runs import Arm, Run, train_and_measure
from studies.training._suite import comparisons

EXPERIMENTS = {
    "translation_de_en": ("match", {"temperatures": [1.0, 0.2]}),
    "haberman": ("counts", {"thresholds": [0.5], "temperatures": [1.0, 0.2]}),
    "recognition_ctc": ("align", {"temperatures": [1.0, 0.2]}),
    "reading": ("overlap", {"temperatures": [1.0, 0.2]}),
    "fashion_mnist": ("margin", {"temperatures": [1.0, 0.2]}),
    "pose": ("peaks", {"temperatures": [0.5], "radii": [0.2, 0.05]}),
    "ranking": ("soft_ranks", {"temperatures": [0.5]}),
    "segmentation": ("overlap", {"temperatures": [1.0, 0.2]}),
    "autoregressive_de_en": ("match", {"temperatures": [1.0, 0.2]}),
    "detection": ("matching", {"temperatures": [1.0, 0.2]}),
}
N_ROWS = 16  # of each split
N_SENTENCES, N_PIECES = 1000, 400  # of the translators' data and vocabulary


def reduced(comparison: Comparison) -> Comparison:
    """A few steps on a few examples."""
    model = replace(comparison.model, load=partial(few, comparison.model.load), n_steps=4, batch_size=8)
    if model.build in (Translator, Autoregressive):
        model = replace(model, build=partial(model.build, width=16, n_layers=1))
    return replace(comparison, model=model, pretraining=None)


def few(load: Callable[[Path], dict[str, Data]], folder: Path) -> dict[str, Data]:
    """The first rows of each split."""
    return {split: {name: array[:N_ROWS] for name, array in data.items()} for split, data in load(folder).items()}


@pytest.fixture
def little_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loads less of the data than the studies do: only its first rows are used."""
    monkeypatch.setattr(_runs, "CACHE", tmp_path)
    monkeypatch.setattr(recogniser, "N_RENDERED", 100)
    monkeypatch.setattr(pose, "MIN_KEYPOINTS", 16)
    monkeypatch.setattr(pose, "VARIANTS", dict.fromkeys(pose.VARIANTS, 1))
    pairs = translator._pairs
    monkeypatch.setattr(translator, "_pairs", lambda folder, split: pairs(folder, split)[:N_SENTENCES])
    monkeypatch.setattr(translator, "N_PIECES", N_PIECES)
    translator.pieces.cache_clear()
    yield
    translator.pieces.cache_clear()


def test_models_of_different_data_do_not_share_a_file() -> None:
    loads = {name: comparison.model.load for name, comparison in comparisons().items()}
    alike = {name for name, load in loads.items() if _runs.key(load) == _runs.key(loads["translation_de_en"])}
    assert alike == {"translation_de_en", "autoregressive_de_en"}
    assert len({_runs.key(loads[name]) for name in ("pose", "reading", "detection", "ranking")}) == 4


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|load|save):DeprecationWarning")
@pytest.mark.usefixtures("little_data")
@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.slow
def test_a_model_is_trained_with_each_loss_and_measured(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_runs, "CURVE", (0.0, 1.0))
    comparison = reduced(comparisons()[name])
    metric = find(next(iter(comparison.rows.values())).fitted)
    loss = exported(metric.task, metric.level, *EXPERIMENTS[name], tmp_path / "loss.pt")
    rival_arms = [(Arm(rival), 0.0 if loss_by_hand.alone else 1.0) for rival, loss_by_hand in comparison.rivals.items()]
    starts = {}
    for arm, weight in [(Arm("regular"), 0.0), (Arm("fitted", metric.name), 1.0), *rival_arms]:
        path = loss if arm.name == "fitted" else None
        row = train_and_measure(Run(name, arm, 1.0, weight, 0, True), comparison, data, path, 1)
        for loss_by_hand in (row["validation"], row["test"]):
            assert set(loss_by_hand) == set(comparison.rows)
            assert all(value == value for value in loss_by_hand.values())
        assert list(row["curve"]) == [0, 4]
        starts[arm.name] = row["curve"][0]
    assert all(start == starts["regular"] for start in starts.values())  # the same model whatever the loss


def exported(task: str, level: str, network: str, settings: Mapping[str, Any], path: Path) -> Path:
    """An untrained loss as a file."""
    torch.manual_seed(0)
    loss = surrogates.build(tasks.get(task), level, network, width=4, **settings)
    torch.jit.script(writer.freeze(loss)).save(str(path))  # type: ignore[no-untyped-call]
    return path
