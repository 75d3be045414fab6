from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from autosurrogate.examples import Examples
from autosurrogate.labelling.outcomes import Problem
from autosurrogate.points.labelled_set import LabelledSet


def examples(n: int) -> Examples:
    generator = torch.Generator().manual_seed(n)
    preds = torch.randn(n, 5, 3, generator=generator)
    target = torch.randint(0, 3, (n, 5), generator=generator)
    return Examples(preds, target, {"preds_mask": torch.rand(n, 5, generator=generator) > 0.5})


def assert_same(left: Examples, right: Examples) -> None:
    assert torch.equal(left.preds, right.preds)
    assert torch.equal(left.target, right.target)
    assert left.extras.keys() == right.extras.keys()
    for name in left.extras:
        assert torch.equal(left.extras[name], right.extras[name])


def write(folder: Path, split: str = "train", index: int = 0, n_points: int = 4) -> LabelledSet:
    labelled = LabelledSet(folder)
    values = np.linspace(0, 1, n_points) + index
    labelled.write(split, index, examples(2 * n_points), 2, values, severity=values / 9)
    return labelled


def test_a_chunk_comes_back_as_it_was_written(tmp_path):
    labelled = write(tmp_path / "new" / "folder")
    (chunk,) = labelled.chunks("train")
    assert_same(chunk.examples, examples(8))
    assert chunk.set_size == 2
    assert len(chunk) == 4
    assert chunk.values.dtype == torch.float64
    assert chunk.values.tolist() == np.linspace(0, 1, 4).tolist()
    assert chunk.severity is not None
    assert chunk.severity.tolist() == (np.linspace(0, 1, 4) / 9).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_are_kept(tmp_path, dtype):
    labelled = LabelledSet(tmp_path)
    written = Examples(torch.randn(2, 3).to(dtype), torch.zeros(2, dtype=torch.int32))
    labelled.write("train", 0, written, 1, np.zeros(2))
    (chunk,) = labelled.chunks("train")
    assert_same(chunk.examples, written)
    assert chunk.examples.preds.dtype == dtype
    assert chunk.examples.target.dtype == torch.int32
    assert chunk.severity is None


def test_tensors_that_share_or_stride_are_written(tmp_path):
    both = torch.arange(24.0).reshape(4, 6)
    LabelledSet(tmp_path).write("train", 0, Examples(both[:, :3], both[:, 3:]), 1, np.zeros(4))
    (chunk,) = LabelledSet(tmp_path).chunks("train")
    assert_same(chunk.examples, Examples(both[:, :3], both[:, 3:]))


def test_dropped_points_leave_with_their_examples(tmp_path):
    labelled = LabelledSet(tmp_path)
    values, severity = np.array([0.1, np.nan, 0.3, np.nan]), np.array([0.0, 0.1, 0.2, 0.3])
    problems = [Problem("raised", "ValueError: first"), Problem("raised", "ValueError: second")]
    labelled.write("train", 0, examples(12), 3, values, severity=severity, problems=problems)
    (chunk,) = labelled.chunks("train")
    assert_same(chunk.examples, examples(12)[torch.tensor([0, 1, 2, 6, 7, 8])])
    assert chunk.values.tolist() == [0.1, 0.3]
    assert chunk.severity is not None
    assert chunk.severity.tolist() == [0.0, 0.2]


def test_problems_are_totals_with_an_example_of_the_most_frequent(tmp_path):
    labelled = write(tmp_path)
    values = np.array([np.nan, np.nan, np.nan, 1.0])
    raised, hung = Problem("raised", 'ValueError: "odd" \n input'), Problem("timeout", "took longer than 1 s")
    labelled.write("train", 1, examples(4), 1, values, problems=[hung, raised, raised])
    labelled.write("held_out", 0, examples(4), 1, values, problems=[hung, raised, raised])
    totals = labelled.totals()
    assert totals.n_points == 12
    assert totals.dropped == {"raised": 4, "timeout": 2}
    assert totals.n_dropped == 6
    assert totals.example == raised


def test_no_problems_have_no_example(tmp_path):
    assert LabelledSet(tmp_path / "none").totals().n_points == 0
    totals = write(tmp_path).totals()
    assert (totals.n_points, totals.dropped, totals.example) == (4, {}, None)


def test_a_chunk_of_dropped_points_alone_is_there_and_empty(tmp_path):
    labelled = LabelledSet(tmp_path)
    labelled.write("train", 0, examples(4), 2, np.full(2, np.nan), problems=[Problem("nan", "returned nan")] * 2)
    assert labelled.has("train", 0)
    (chunk,) = labelled.chunks("train")
    assert (len(chunk), len(chunk.examples)) == (0, 0)


def test_chunks_come_by_split_in_the_order_of_their_index(tmp_path):
    for index in (10, 2, 12345, 0):
        write(tmp_path, index=index)
    labelled = write(tmp_path, split="train_more", index=1)
    assert [float(chunk.values[0]) for chunk in labelled.chunks("train")] == [0.0, 2.0, 10.0, 12345.0]
    assert [float(chunk.values[0]) for chunk in labelled.chunks("train_more")] == [1.0]
    assert labelled.chunks("other") == []
    assert labelled.has("train", 2)
    assert not labelled.has("train", 1)
    assert not labelled.has("other", 0)


def test_writing_again_replaces_and_leaves_nothing_else(tmp_path):
    write(tmp_path)
    labelled = write(tmp_path, n_points=6)
    assert [len(chunk) for chunk in labelled.chunks("train")] == [6]
    assert [path.name for path in tmp_path.iterdir()] == ["train-0000.safetensors"]


def test_a_replaced_file_does_not_change_chunks_in_use(tmp_path):
    (chunk,) = write(tmp_path).chunks("train")
    before = chunk.examples.preds.clone()
    write(tmp_path, n_points=6)
    assert torch.equal(chunk.examples.preds, before)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_file_counts_as_absent(tmp_path, share):
    labelled = write(tmp_path)
    write(tmp_path, index=1)
    file = tmp_path / "train-0000.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert not labelled.has("train", 0)
    assert [float(chunk.values[0]) for chunk in labelled.chunks("train")] == [1.0]
    assert labelled.totals().n_points == 4


def test_any_damaged_byte_makes_a_file_absent(tmp_path):
    labelled = LabelledSet(tmp_path)
    labelled.write("train", 0, Examples(torch.ones(2, 2), torch.ones(2)), 1, np.ones(2))
    file = tmp_path / "train-0000.safetensors"
    content = file.read_bytes()
    for position in range(len(content)):
        file.write_bytes(content[:position] + bytes([content[position] ^ 0x41]) + content[position + 1 :])
        assert not labelled.has("train", 0), position
        assert labelled.chunks("train") == []
        assert labelled.totals().n_points in (0, 2)


def test_strangers_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "train-0003.safetensors").mkdir()
    (tmp_path / "train-12.safetensors").write_text("not ours")
    labelled = write(tmp_path)
    assert len(labelled.chunks("train")) == 1
    assert not labelled.has("train", 3)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_process_killed_while_it_writes_leaves_whole_chunks_only(tmp_path):
    script = f"""
        import numpy as np, torch
        from autosurrogate.examples import Examples
        from autosurrogate.points.labelled_set import LabelledSet
        labelled = LabelledSet({str(tmp_path)!r})
        for index in range(100_000):
            labelled.write("train", index, Examples(torch.ones(64, 10_000), torch.ones(64)), 1, np.ones(64))
            if index == 2:
                print("go", flush=True)
        """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"go\n"
        process.kill()
        process.wait()
    labelled = LabelledSet(tmp_path)
    written = list(tmp_path.glob("*.safetensors"))
    assert len(written) >= 3
    assert len(labelled.chunks("train")) == len(written)
    labelled.write("train", len(written), examples(2), 1, np.ones(2))
    assert not list(tmp_path.glob("*.part"))
