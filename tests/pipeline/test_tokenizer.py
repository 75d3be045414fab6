"""A loss for one vocabulary, from the command line to its use."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import program
import pytest
import torch

from autosurrogate.export import reader
from autosurrogate.outputs.recorder import Recorder

pytestmark = pytest.mark.slow  # each uses the fitted loss, or fits one

STEMS = ["walk", "talk", "jump", "look", "paint", "wait", "call", "help", "open", "turn", "start", "play"]
TOKENS = ["<pad>", *(f"▁{stem}{end}" for stem in STEMS for end in ("", "s", "ed", "ing", "er", "ers"))]
SPACE = """
[training]
n_steps = 150
batch_points = 128
learning_rate = 0.01
weight_decay = 1e-4
penalty = 0.1

[networks.spelled]
temperatures = [[1.0, 0.1]]
width = 16
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a loss is fitted to chrF, by a run in `run`; nobody may change it."""
    made = tmp_path_factory.mktemp("spelled")
    program.write(made / "vocab.txt", "\n".join(TOKENS) + "\n")
    program.write(made / "small.toml", SPACE)
    done = program.run(
        "fit", "--metric", "chrf", *"--tokenizer vocab.txt --space small.toml --trials 1 --run-dir run".split(),
        "--budget", "20s", "--workers", 1, cwd=made,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    target = torch.randint(1, len(TOKENS), (400, 6))
    with Recorder(made / "outputs.npz") as record:
        for source in range(4):
            logits = torch.randn(100, 6, len(TOKENS))
            part = target[100 * source : 100 * source + 100]
            logits.scatter_add_(2, part[:, :, None], torch.full((100, 6, 1), 2.0 * source))
            record(logits, part, source=source)
    return made


SHARED_LETTERS = """
from autosurrogate import metric


@metric("shared_letters", task="sequence", level="sample")
def shared_letters(preds: str, target: str) -> float:
    return len(set(preds) & set(target)) / max(1, len(set(preds) | set(target)))
"""


@pytest.mark.slow
def test_without_a_vocabulary_it_is_refused_and_told_what_helps(tmp_path: Path) -> None:
    program.write(tmp_path / "mine.py", SHARED_LETTERS)
    done = program.run("fit", "--metric", "mine.py:shared_letters", "--trials", 1, "--workers", 1, cwd=tmp_path)
    assert done.returncode == 3
    assert re.search(
        r"metric 'shared_letters' depends on how tokens are spelled \(.*\), which a loss does not see", done.stderr
    )
    assert "--tokenizer FILE (a tokenizer.json, or a list of tokens) lets it see them" in done.stderr
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.slow
def test_the_loss_knows_its_vocabulary(folder: Path) -> None:
    metadata = json.loads(program.run("inspect", "chrf.pt", "--json", cwd=folder).stdout)
    assert metadata["task"] == "sequence"
    assert metadata["network"]["name"] == "spelled"
    assert metadata["tokenizer"]["file"] == str(folder / "vocab.txt")
    assert metadata["quality"]["held_out_generated"]["loss"]["spearman"] > 0.8


@pytest.mark.slow
def test_torch_alone_loads_it_and_it_ranks_by_spelling(folder: Path, python_with_torch_alone: Path) -> None:
    source = f"""
import torch
tokens = {TOKENS}
loss_fn = torch.jit.load("chrf.pt")
walks, walk, paint = (tokens.index(t) for t in ("▁walks", "▁walk", "▁paint"))
target = torch.tensor([[walks, walk, paint]])
def loss(*ids):
    return loss_fn(10 * torch.nn.functional.one_hot(torch.tensor([ids]), len(tokens)).float(), target).item()
print(loss(walks, walk, paint) < loss(walk, walk, paint) < loss(paint, walk, paint))
"""
    command = [python_with_torch_alone, "-W", "ignore", "-c", source]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def test_logits_of_another_vocabulary_are_told(folder: Path) -> None:
    loss, target = reader.load(folder / "chrf.pt")[0], torch.tensor([[1, 2, 3]])
    says = f"preds has 9 tokens, but this loss is for a vocabulary of {len(TOKENS)}"
    with pytest.raises(torch.jit.Error, match=says):
        loss(torch.zeros(1, 3, 9), target)


@pytest.mark.slow
def test_it_is_evaluated_on_outputs_of_models_with_that_vocabulary(folder: Path) -> None:
    done = program.run("evaluate", "chrf.pt", "--outputs", "outputs.npz", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["n_points"] == 400
    assert found["spearman"] > 0.8


@pytest.mark.slow
def test_another_vocabulary_is_refused(folder: Path, tmp_path: Path) -> None:
    evaluate = ["evaluate", str(folder / "chrf.pt"), "--outputs", str(folder / "outputs.npz")]
    program.write(tmp_path / "other.txt", "\n".join(reversed(TOKENS)) + "\n")
    done = program.run(*evaluate, "--tokenizer", "other.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"--tokenizer other\.txt: is not the one that .*chrf\.pt was fitted with", done.stderr)
    done = program.run(*evaluate, "--tokenizer", "none.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "--tokenizer none.txt: there is no such file" in done.stderr
    done = program.run(*evaluate, "--tokenizer", str(folder / "vocab.txt"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_check_shows_real_text(folder: Path) -> None:
    done = program.run("check", "chrf", "--tokenizer", "vocab.txt", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["task"], report["reasons"]) == ("sequence", [])
    words = report["shown"][0]["target"].strip("'").split()
    assert len(words) > 1
    whole = {word for word in words if "..." not in word}  # the middle of a long text is left out
    assert whole <= {token[1:] for token in TOKENS}


@pytest.mark.slow
def test_a_run_goes_on_with_its_vocabulary_and_with_no_other(folder: Path) -> None:
    vocabulary = folder / "vocab.txt"
    text = vocabulary.read_text(encoding="utf-8")
    assert program.run("fit", "--resume", "run", "--quiet", cwd=folder).returncode == 0
    try:
        program.write(vocabulary, text + "more\n")
        done = program.run("fit", "--resume", "run", cwd=folder)
    finally:
        vocabulary.write_text(text, encoding="utf-8")
    assert done.returncode == 2
    assert "--resume run: the tokenizer has changed since it was started; start a new run" in done.stderr
