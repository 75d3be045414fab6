from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import program
import pytest
import torch

import autosurrogate
from autosurrogate.cli import main
from autosurrogate.errors import OptionError
from autosurrogate.run.progress import Progress
from autosurrogate.run.run_dir import new_run_dir

# Accuracy of small sets, and a network that is exported soon.
HITS = """
from autosurrogate import metric


@metric("hits", task="classification", set_size=8)
def hits(preds, target):
    return (preds == target).mean()
"""
SMALL = f"""
{program.SPACE.split("[networks")[0]}
[networks.target_probability]
width = 8
n_hidden = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with metrics and a search space."""
    program.write(tmp_path / "small.toml", program.SPACE)
    program.write(tmp_path / "smaller.toml", SMALL)
    program.write(tmp_path / "my_metrics.py", program.METRICS)
    program.write(tmp_path / "hits.py", HITS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.slow
def test_a_call_fits_a_metric_of_a_file_to_recorded_outputs_and_returns_what_it_wrote(folder: Path) -> None:
    recorded = [program.record(folder / f"{k}.npz", 800, n_classes=3 + k, seed=k) for k in range(2)]
    notes = Notes()
    result = autosurrogate.fit(
        "my_metrics.py:macro_f1", out="f1.pt", trials=1, outputs=recorded, random_share=0.5, device="cpu", seed=3,
        space="small.toml", run_dir="here", progress=notes, force=True, workers=1,
    )  # fmt: skip
    assert isinstance(result, autosurrogate.FitResult)
    assert (result.path, result.program) == (folder / "f1.pt", folder / "f1.pt2")
    assert {str(path): path.stat().st_size for path in (result.path, result.program)} == result.sizes
    assert result.run_dir == Path("here")
    assert 0 < result.seconds < 300
    metadata = result.metadata
    assert metadata.recorded_outputs == ("0.npz", "1.npz")
    assert metadata.seed == 3
    # 2 files, 2 sources of 160 of their rows each for the test: 2 * 2 * 5 sets of 32, more or less by chance
    held_out = metadata.quality.held_out_recorded
    assert held_out is not None
    assert 12 <= held_out.loss.n_points <= 20
    assert held_out.regular_loss.n_points == held_out.loss.n_points
    assert held_out.loss.spearman > 0.5
    assert any(line.startswith("labelled ") for line in notes.lines)
    loss = program.load(result.path)
    assert loss(torch.randn(50, 4), torch.randint(4, (50,))).shape == ()


@pytest.mark.slow
def test_fitting_checking_and_evaluating_draw_nothing_from_the_caller_s_generator(folder: Path) -> None:
    recorded = program.record(folder / "recorded.npz", 1400)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    options: dict[str, Any] = {"trials": 1, "space": "smaller.toml", "outputs": recorded, "force": True, "workers": 1}
    for device in ("cpu", "meta"):  # a GPU is where generators on the CPU cannot be used either
        torch.set_default_device(device)
        try:
            autosurrogate.check("hits.py")
            autosurrogate.fit("hits.py", out=f"{device}.pt", device="cpu", **options)
            found = autosurrogate.evaluate(f"{device}.pt", recorded, set_size=32)
        finally:
            torch.set_default_device(None)
        assert found.loss.n_points > 5
        assert torch.equal(torch.random.get_rng_state(), before)


class Writes(Notes):
    """Writes a file while a fit searches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def say(self, text: str) -> None:
        super().say(text)
        if text.startswith("searching"):
            self._path.write_text("another's")


@pytest.mark.parametrize("name", ["hits.pt", "hits.pt2"])
@pytest.mark.slow
def test_a_file_that_another_wrote_during_the_fit_is_left(folder: Path, name: str) -> None:
    options: dict[str, Any] = {"trials": 1, "space": "smaller.toml", "run_dir": "here", "force": True, "workers": 1}
    with pytest.raises(OptionError, match=rf"{name}: something else wrote it .* `autosurrogate fit --resume here`"):
        autosurrogate.fit("hits.py", out="hits.pt", progress=Writes(folder / name), **options)
    assert (folder / name).read_text() == "another's"
    assert len([*folder.glob("*hits.pt*")]) == 1
    (folder / name).unlink()
    assert autosurrogate.resume("here").path == folder / "hits.pt"


@pytest.mark.usefixtures("two_threads")
@pytest.mark.slow
def test_fitting_inside_a_torch_program_leaves_its_state_alone(folder: Path) -> None:
    torch.manual_seed(7)
    expected = [torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()]  # noqa: NPY002
    torch.set_default_dtype(torch.float64)
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    n_threads = torch.get_num_threads()
    try:
        torch.set_default_device("meta")
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            # Whether so small a loss gains as much as cross-entropy is not the point.
            result = autosurrogate.fit(
                "hits.py", trials=1, space="smaller.toml", run_dir="here", device="cpu", force=True, workers=1
            )
            assert torch.is_inference_mode_enabled()
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_default_device().type == "meta"
        assert torch.get_default_dtype() == torch.float64
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert torch.equal(torch.random.get_rng_state(), expected[0])
    assert random.getstate() == expected[1]
    assert np.random.get_state()[1].tolist() == expected[2]  # noqa: NPY002
    assert program.load(result.path).sign.dtype == torch.float32


@pytest.mark.slow
def test_a_lower_is_better_metric_of_probabilities_of_single_examples(folder: Path) -> None:
    recorded = program.record(folder / "recorded.npz", 300, seed=1)
    program.write(folder / "relative.toml", program.SPACE + "relative_temperatures = [[0.3, 0.03]]\n")
    # Cross-entropy may well gain as much on single examples: whether this one passes is not the point.
    done = program.run(
        "fit", "--metric", "my_metrics.py:rank", "--space", "relative.toml", "--trials", 1, "--outputs", recorded,
        "--workers", 1, "--force", cwd=folder,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "labelling  600 of 600 recorded points" in done.stdout
    sections = (
        r"held-out generated *\n  rank loss .*\n  regular loss .*\nheld-out recorded *\n  rank loss .*\n  regular loss "
    )
    assert re.search(sections, done.stdout)
    loss, preds, target = program.load(folder / "rank.pt"), torch.eye(8) * 4, torch.arange(8)
    assert loss(preds, target) < loss(preds, target.roll(1))  # lower is better, of the loss in any case
    metadata = json.loads(program.run("inspect", "rank.pt", "--json", cwd=folder).stdout)
    assert metadata["higher_is_better"] is False
    quality = metadata["quality"]
    assert quality["descent_check"]["gain"] > 0
    held_out = quality["held_out_generated"]
    assert held_out["loss"]["spearman"] > held_out["regular_loss"]["spearman"] > 0
    assert quality["held_out_recorded"]["loss"]["spearman"] > 0.5
    assert quality["held_out_recorded"]["loss"]["n_points"] == 120


@pytest.mark.slow
def test_a_loss_that_falls_short_is_refused_with_its_figures_and_written_by_force(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The metric is the regular loss itself: nothing follows it better.
    arguments = ["fit", "--metric", "my_metrics.py:nll", "--space", "small.toml", "--trials", "1", "--run-dir", "here"]
    assert main.main([*arguments, "--workers", "1", "--quiet"]) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(
        r"autosurrogate: no loss was written: its Spearman correlation on held-out generated points is \d+\.\d, the "
        r"regular loss's 100\.0.* A longer --budget may help; `autosurrogate fit --resume here --force` writes it "
        r"anyway\n",
        printed.err,
    )
    assert not list(folder.glob("*.pt*"))

    done = program.run("fit", "--resume", "here", "--force", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^written despite   its Spearman correlation on held-out generated points is ", done.stdout, re.M)
    assert program.load(folder / "nll.pt")(torch.randn(16, 3), torch.randint(3, (16,))).shape == ()


@pytest.mark.slow
def test_a_function_of_a_script_without_a_main_guard_is_fitted(folder: Path) -> None:
    script = program.write(
        folder / "script.py",
        """
        import numpy as np

        import autosurrogate

        print("once")

        @autosurrogate.metric("error", task="classification", higher_is_better=False, set_size=16)
        def error(preds: np.ndarray, target: np.ndarray) -> float:
            return float((preds != target).mean())

        result = autosurrogate.fit(error, budget="60s", trials=1, space="small.toml", workers=1, force=True)
        print(result.path.name, result.metadata.metric_spec)
        """,
    )
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=program.ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("once\nerror.pt None\n", "")

    (run,) = (folder / "runs").iterdir()
    refused = program.run("fit", "--resume", run, cwd=folder)
    assert refused.returncode == 2
    assert "its metric was a function of a script or notebook" in refused.stderr
    refused = program.run("evaluate", "error.pt", "--outputs", program.record(folder / "r.npz", 99), cwd=folder)
    assert refused.returncode == 2
    assert "its metric 'error' was a function of a script; name it with --metric" in refused.stderr


@pytest.mark.slow
def test_points_on_which_a_metric_fails_are_dropped_counted_and_shown(folder: Path) -> None:
    program.write(
        folder / "moody.py",
        """
        import autosurrogate

        @autosurrogate.metric("moody", task="classification", set_size=16)
        def moody(preds, target):
            if (preds[:2] == 0).all() and (target == 0).any():
                raise RuntimeError("begins with nothing")
            return (preds == target).mean()
        """,
    )
    result = autosurrogate.fit("moody.py", trials=1, space="smaller.toml", force=True, workers=1)
    labelled = result.metadata.labelled_points
    assert labelled.n_points == 30 * 48
    assert 0 < labelled.n_dropped < 0.2 * 30 * 48
    assert labelled.dropped == {"raised": labelled.n_dropped}
    assert "RuntimeError: begins with nothing" in str(labelled.example)


@pytest.mark.slow
def test_the_readers_own_metric_gleu_is_fitted(folder: Path) -> None:
    pytest.importorskip("nltk")
    program.write(
        folder / "gleu.py",
        """
        import nltk.translate.gleu_score

        from autosurrogate import metric

        @metric("gleu", task="sequence", level="sample", view="tokens", higher_is_better=True)
        def gleu(preds: list, target: list) -> float:
            return nltk.translate.gleu_score.sentence_gleu([target], preds)
        """,
    )
    networks = "[networks.match]\ntemperatures = [[0.2]]\nrelative_temperatures = [[0.1]]\nwidth = 16\nn_hidden = 1\n"
    space = program.write(folder / "match.toml", program.SPACE.split("[networks")[0] + networks)
    result = autosurrogate.fit("gleu.py:gleu", trials=1, budget=60, space=space, workers=1)
    assert result.metadata.quality.held_out_generated.loss.spearman > 0.8
    loss: Any = program.load(result.path)
    preds, target = torch.randn(3, 7, 11, requires_grad=True), torch.randint(11, (3, 5))
    loss(preds, target).backward()
    assert preds.grad is not None
    assert loss.per_sample(preds, target).shape == (3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 1}, "--budget 1s: is too short"),
        ({"trials": 0}, "--trials 0: must be 1 or more"),
        ({"seed": -1}, "--seed -1: must be 0 or more"),
        ({"objective": "best"}, "--objective best: expected correlation or approximation"),
        ({"device": torch.device("meta")}, "--device meta: is not a device"),
        ({"random_share": 0.5}, "--random-share: needs recorded outputs"),
    ],
)
def test_a_call_refuses_what_the_command_line_refuses(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        autosurrogate.fit("accuracy", **options)
    assert not (folder / "runs").exists()


def test_fits_begun_in_the_same_second_have_a_folder_each(folder: Path) -> None:
    made = [new_run_dir("f1") for _ in range(20)]
    assert len(set(made)) == 20
    assert all(path.is_dir() and not any(path.iterdir()) for path in made)
