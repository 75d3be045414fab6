from __future__ import annotations

import os
import pickle
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from autosurrogate import tasks
from autosurrogate.errors import MetricError, OptionError, OutputsError
from autosurrogate.examples import Examples
from autosurrogate.outputs.reader import Recorded, read
from autosurrogate.outputs.recorder import Recorder
from autosurrogate.tasks import Task

CLASSIFICATION, SEQUENCE = tasks.get("classification"), tasks.get("sequence")
both_formats = pytest.mark.parametrize("suffix", [".npz", ".safetensors"])


def classification(n_rows: int = 6, **changes: Any) -> dict[str, np.ndarray]:
    """The arrays of a good file, with changes; None leaves an array out."""
    generator = np.random.default_rng(0)
    arrays = {
        "preds": generator.normal(size=(n_rows, 4)).astype(np.float32),
        "target": generator.integers(0, 4, n_rows),
        **changes,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def sequence(n_rows: int = 6, **changes: Any) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    arrays = {
        "preds": generator.normal(size=(n_rows, 5, 8)).astype(np.float32),
        "target": generator.integers(0, 8, (n_rows, 4)),
        "preds_mask": np.arange(5) < generator.integers(1, 6, (n_rows, 1)),
        **changes,
    }
    return {name: array for name, array in arrays.items() if array is not None}


def save(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    else:
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    return path


def refusal(path: Path, task: Task = CLASSIFICATION) -> str:
    with pytest.raises(OutputsError) as error:
        read(path, task)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def changed(index: Any, value: float, n_rows: int = 6) -> np.ndarray:
    preds = np.zeros((n_rows, 4))
    preds[index] = value
    return preds


def record_all(path: Path, *batches: dict[str, Any], **options: Any) -> None:
    with Recorder(path, **options) as record:
        for batch in batches:
            record(**batch)


class TestRead:
    @both_formats
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_returns_what_was_saved(self, tmp_path: Path, suffix: str, dtype: type[np.floating[Any]]) -> None:
        arrays = sequence(source=np.array([3, 3, 1, 1, 1, 7], dtype=np.int16))
        arrays["preds"] = arrays["preds"].astype(dtype)
        arrays["target"] = arrays["target"].astype(np.int16)
        recorded = read(save(tmp_path / f"x{suffix}", arrays), SEQUENCE)
        assert len(recorded) == 6
        assert recorded.examples.preds.dtype == torch.from_numpy(arrays["preds"]).dtype
        assert recorded.examples.target.dtype == recorded.source.dtype == torch.int64
        np.testing.assert_array_equal(recorded.examples.preds, arrays["preds"])
        np.testing.assert_array_equal(recorded.examples.target, arrays["target"])
        np.testing.assert_array_equal(recorded.examples.extras["preds_mask"], arrays["preds_mask"])
        np.testing.assert_array_equal(recorded.source, arrays["source"])

    def test_source_and_extras_may_be_left_out(self, tmp_path: Path) -> None:
        recorded = read(save(tmp_path / "x.npz", sequence(preds_mask=None)), SEQUENCE)
        assert recorded.source.tolist() == [0] * 6
        assert recorded.examples.extras == {}
        assert isinstance(recorded.examples, Examples)

    def test_takes_a_path_as_text_and_ignores_private_arrays(self, tmp_path: Path) -> None:
        path = save(tmp_path / "x.npz", classification(_note=np.array(["any", "thing"])))
        assert len(read(str(path), CLASSIFICATION)) == 6

    def test_reads_bfloat16_and_other_byte_orders(self, tmp_path: Path) -> None:
        arrays = classification()
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        safetensors.torch.save_file({**tensors, "preds": tensors["preds"].bfloat16()}, tmp_path / "x.safetensors")
        preds = read(tmp_path / "x.safetensors", CLASSIFICATION).examples.preds
        assert torch.equal(preds, tensors["preds"].bfloat16().float())
        foreign = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()}
        preds = read(save(tmp_path / "x.npz", foreign), CLASSIFICATION).examples.preds
        assert torch.equal(preds, tensors["preds"])

    def test_minus_infinity_masks_a_class(self, tmp_path: Path) -> None:
        arrays = classification()
        arrays["preds"][:, 1] = -np.inf
        assert read(save(tmp_path / "x.npz", arrays), CLASSIFICATION).examples.preds.isneginf().sum() == 6

    @both_formats
    def test_positions_outside_of_the_mask_may_hold_anything(self, tmp_path: Path, suffix: str) -> None:
        arrays = sequence(preds_mask=np.arange(5) < np.full((6, 1), 3))
        arrays["preds"][0, 3:] = -np.inf
        arrays["preds"][1, 4] = np.nan
        arrays["preds"][2, 3, 0] = np.inf
        path = save(tmp_path / f"x{suffix}", arrays)
        before = path.read_bytes()
        preds = read(path, SEQUENCE).examples.preds
        assert preds.isfinite().all()
        np.testing.assert_array_equal(preds[:, :3], arrays["preds"][:, :3])
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"preds": None}, "has no array 'preds', only target; a classification file has preds, target, source ("),
            ({"target": None}, "has no array 'target', only preds;"),
            ({"preds": None, "target": None}, "has no array 'preds', only nothing;"),
            ({"logits": np.zeros(6), "preds_mask": np.ones(6)}, "holds logits, preds_mask, but a classification file"),
            ({"target": np.zeros(5, dtype=int)}, "the same number of rows, got preds 6, target 5"),
            ({"source": np.zeros(7, dtype=int)}, "the same number of rows, got preds 6, target 6, source 7"),
            ({"source": np.array(3)}, "source is a single value"),
            ({"preds": np.zeros((0, 4)), "target": np.zeros(0, dtype=int)}, "holds no rows"),
            ({"preds": np.zeros((6, 4), dtype=int)}, "preds must be float16, float32 or float64, got int64"),
            ({"preds": np.zeros((6, 4), dtype=np.complex64)}, "got complex64"),
            ({"preds": np.zeros((6, 4), dtype=np.longdouble)}, f"got {np.dtype(np.longdouble)}"),
            ({"preds": np.zeros((6, 4), dtype="U3")}, "got <U3"),
            ({"target": np.array(list("abcabc"))}, "target must hold numbers, got dtype <U1"),
            ({"source": np.zeros(6)}, "source must be integers of shape (6,), got float64 (6,)"),
            ({"source": np.zeros((6, 1), dtype=int)}, "source must be integers of shape (6,), got int64 (6, 1)"),
            ({"preds": changed(([2, 2, 5], [0, 1, 3]), np.nan)}, "preds has NaN in 2 of 6 rows, first in row 2"),
            ({"preds": changed((4, 0), np.inf)}, "preds has infinity in 1 of 6 rows, first in row 4"),
            ({"preds": changed(slice(1, 4), -np.inf)}, "nothing but -inf for a prediction in 3 of 6"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
        assert message in refusal(save(tmp_path / "x.npz", classification(**changes)))

    @pytest.mark.parametrize(
        ("task", "arrays", "array"),
        [
            (CLASSIFICATION, classification(preds=np.zeros((6, 4, 2))), "preds"),
            (CLASSIFICATION, classification(target=np.zeros(6)), "target"),
            (CLASSIFICATION, classification(target=np.full(6, 4)), "target"),
            (SEQUENCE, sequence(preds_mask=np.ones((6, 4), dtype=bool)), "preds_mask"),
            (SEQUENCE, sequence(preds_mask=np.ones((6, 5))), "preds_mask"),
            (SEQUENCE, sequence(target=np.zeros(6, dtype=int)), "target"),
        ],
    )
    def test_passes_on_what_the_task_says(
        self, tmp_path: Path, task: Task, arrays: dict[str, np.ndarray], array: str
    ) -> None:
        with pytest.raises(OutputsError) as error:
            task.check(arrays)
        path = save(tmp_path / "x.npz", arrays)
        assert refusal(path, task) == f"{path}: {error.value}"
        assert array in str(error.value)

    def test_a_position_within_the_mask_must_be_sound(self, tmp_path: Path) -> None:
        arrays = sequence(preds_mask=np.arange(5) < np.full((6, 1), 3))
        arrays["preds"][4, 2] = -np.inf
        arrays["preds"][1, 4] = np.nan
        assert "-inf for a prediction in 1 of 6 rows, first in row 4" in refusal(
            save(tmp_path / "x.npz", arrays), SEQUENCE
        )

    def test_counts_rows_beyond_the_first_part(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("autosurrogate.outputs.reader._ELEMENTS_AT_ONCE", 12)  # three rows
        preds = changed(([4, 7, 9], 0), np.nan, n_rows=10)
        assert "NaN in 3 of 10 rows, first in row 4" in refusal(
            save(tmp_path / "x.npz", classification(10, preds=preds))
        )

    def test_file_not_there(self, tmp_path: Path) -> None:
        assert "no such file" in refusal(tmp_path / "none.npz")
        assert "no such file" in refusal(tmp_path / "none.safetensors")
        (tmp_path / "folder.npz").mkdir()
        assert "is a folder" in refusal(tmp_path / "folder.npz")

    @pytest.mark.parametrize("name", ["x.npy", "x.pt", "x"])
    def test_other_suffix(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).touch()
        assert refusal(tmp_path / name).endswith(f"must end in .npz or .safetensors, got {Path(name).suffix!r}")

    @both_formats
    @pytest.mark.parametrize(
        "content", [b"", b"not a file of arrays", pickle.dumps({"preds": [1.0]}), b"PK\3\4" + b"\0" * 99]
    )
    def test_other_content(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content)
        assert re.search(rf"(is no whole|cannot be read as) {suffix}.*; write it again", refusal(path))

    def test_a_single_array_under_the_name_of_a_file_of_arrays(self, tmp_path: Path) -> None:
        with (tmp_path / "x.npz").open("wb") as file:
            np.save(file, np.zeros(3))
        assert "is no whole .npz file" in refusal(tmp_path / "x.npz")

    def test_a_format_under_the_name_of_the_other(self, tmp_path: Path) -> None:
        save(tmp_path / "x.npz", classification()).rename(tmp_path / "x.safetensors")
        assert "cannot be read as .safetensors" in refusal(tmp_path / "x.safetensors")

    @both_formats
    def test_any_cut_is_noticed(self, tmp_path: Path, suffix: str) -> None:
        path = save(tmp_path / f"x{suffix}", classification())
        whole = path.read_bytes()
        for n_bytes in range(0, len(whole), 7):
            path.write_bytes(whole[:n_bytes])
            assert f"{suffix}" in refusal(path)

    def test_any_flipped_byte_is_noticed_or_harmless(self, tmp_path: Path) -> None:
        """A zip file has checksums of its arrays: no other number may come out."""
        path = save(tmp_path / "x.npz", classification())
        whole, expected = path.read_bytes(), read(path, CLASSIFICATION).examples
        n_refused = 0
        for i in range(len(whole)):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :])
            try:
                examples = read(path, CLASSIFICATION).examples
            except OutputsError:
                n_refused += 1
            else:
                assert torch.equal(examples.preds, expected.preds)
                assert torch.equal(examples.target, expected.target)
        assert n_refused > len(whole) / 4

    def test_pickled_objects_are_never_loaded(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
                return os.mkdir, (str(tmp_path / "sprung"),)

        np.savez(tmp_path / "x.npz", preds=np.array([Trap()], dtype=object), target=np.array([0]))
        assert "preds holds Python objects, which are never unpickled" in refusal(tmp_path / "x.npz")
        (tmp_path / "y.npz").write_bytes(pickle.dumps(Trap()))
        refusal(tmp_path / "y.npz")
        assert not (tmp_path / "sprung").exists()

    def test_ragged_lists_saved_as_objects(self, tmp_path: Path) -> None:
        ragged = np.array([[1, 2], [3]], dtype=object)
        assert "target holds Python objects" in refusal(save(tmp_path / "x.npz", classification(2, target=ragged)))

    def test_a_member_that_is_no_array(self, tmp_path: Path) -> None:
        path = save(tmp_path / "x.npz", classification(target=None))
        with zipfile.ZipFile(path, "a") as file:
            file.writestr("target", "0 1 2")
        assert "target is not a numpy array" in refusal(path)

    def test_a_dtype_that_numpy_lacks(self, tmp_path: Path) -> None:
        tensors = {"preds": torch.zeros(3, 4).to(torch.float8_e4m3fn), "target": torch.zeros(3, dtype=torch.int64)}
        safetensors.torch.save_file(tensors, tmp_path / "x.safetensors")
        assert "preds has dtype torch.float8_e4m3fn, which is not supported" in refusal(tmp_path / "x.safetensors")

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
    def test_a_file_that_may_not_be_read(self, tmp_path: Path) -> None:
        path = save(tmp_path / "x.npz", classification())
        path.chmod(0)
        assert "Permission denied" in refusal(path)

    def test_real_classification(self, data: Path) -> None:
        recorded = read(data / "outputs" / "fashion_mnist_cnn.npz", CLASSIFICATION)
        assert recorded.examples.preds.shape == (28_000, 10)
        assert recorded.examples.preds.dtype == torch.float16
        assert recorded.examples.target.shape == (28_000,)
        values, counts = recorded.source.unique(return_counts=True)  # type: ignore[no-untyped-call]
        assert values.tolist() == [0, 10, 30, 80, 200, 500, 1200]
        assert counts.tolist() == [4000] * 7
        assert recorded.sets(128, torch.Generator()).shape == (217, 128)

    def test_real_sequences(self, data: Path) -> None:
        recorded = read(data / "outputs" / "nat_multi30k_de_en.npz", SEQUENCE)
        assert recorded.examples.preds.shape == (1200, 20, 159)
        assert recorded.examples.target.shape == (1200, 20)
        assert recorded.examples.extras["preds_mask"].shape == (1200, 20)
        assert recorded.examples.extras["preds_mask"].dtype == torch.bool
        assert recorded.source.bincount().nonzero().flatten().tolist() == [250, 750, 1250, 2000]

    def test_real_files_are_not_of_the_other_task(self, data: Path) -> None:
        assert "preds must have shape" in refusal(data / "outputs" / "fashion_mnist_cnn.npz", SEQUENCE)
        assert "holds preds_mask" in refusal(data / "outputs" / "nat_multi30k_de_en.npz", CLASSIFICATION)


def of_sources(sizes: list[int]) -> Recorded:
    source = torch.repeat_interleave(torch.arange(len(sizes)) * 10, torch.tensor(sizes))
    source = source[torch.randperm(len(source), generator=torch.Generator().manual_seed(1))]
    return Recorded(Examples(torch.zeros(len(source), 2), torch.zeros(len(source))), source, "x.npz")


class TestSets:
    @given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(1, 8), st.integers(0, 99))
    def test_never_mix_sources_or_repeat_rows(self, sizes: list[int], set_size: int, seed: int) -> None:
        recorded = of_sources(sizes)
        if max(sizes) < set_size:
            return
        sets = recorded.sets(set_size, torch.Generator().manual_seed(seed))
        assert sets.shape == (sum(size // set_size for size in sizes), set_size)
        assert sets.dtype == torch.int64
        assert len(set(sets.flatten().tolist())) == sets.numel()
        assert (recorded.source[sets] == recorded.source[sets[:, :1]]).all()

    def test_follow_the_generator(self) -> None:
        recorded, generator = of_sources([50, 30]), torch.Generator().manual_seed(3)
        first, second = recorded.sets(8, generator), recorded.sets(8, generator)
        assert not torch.equal(first, second)
        assert torch.equal(first, recorded.sets(8, torch.Generator().manual_seed(3)))

    def test_every_row_of_a_source_is_as_likely(self) -> None:
        recorded, generator = of_sources([11, 6]), torch.Generator().manual_seed(0)
        counts = torch.zeros(17)
        for _ in range(2000):
            counts[recorded.sets(4, generator).flatten()] += 1
        for source, n_drawn in ((0, 8), (10, 4)):
            own = counts[recorded.source == source]
            assert own.sum() == 2000 * n_drawn
            assert scipy.stats.chisquare(own.numpy().astype(float)).pvalue > 1e-3

    def test_refuse_sets_that_no_source_fills(self) -> None:
        with pytest.raises(OutputsError) as error:
            of_sources([5, 30, 7]).sets(31, torch.Generator())
        assert str(error.value) == (
            "x.npz: no source has the 31 rows of a set; rows of its 3 source(s): 5, 30, 7; "
            "pass a set size of at most 30"
        )
        with pytest.raises(OutputsError, match="2, 2, 2, 2, 2, 2, 2, 2, and 4 more; pass a set size of at most 2"):
            of_sources([2] * 12).sets(3, torch.Generator())
        with pytest.raises(OptionError, match="at least 1, got 0"):
            of_sources([5]).sets(0, torch.Generator())

    def test_many_sources_are_quick(self) -> None:
        recorded = of_sources([8] * 20_000)
        start = time.process_time()
        assert recorded.sets(4, torch.Generator()).shape == (40_000, 4)
        assert time.process_time() - start < 2


class TestRecorder:
    @both_formats
    def test_writes_what_read_reads(self, tmp_path: Path, suffix: str) -> None:
        arrays = sequence(20)
        path = tmp_path / f"x{suffix}"
        with Recorder(path) as record:
            for rows in (slice(0, 8), slice(8, 20)):
                record(
                    torch.from_numpy(arrays["preds"][rows]).requires_grad_(),
                    arrays["target"][rows],
                    arrays["preds_mask"][rows],
                    rows.start,
                )
        assert [found.name for found in tmp_path.iterdir()] == [path.name]
        recorded = read(path, SEQUENCE)
        np.testing.assert_array_equal(recorded.examples.preds, arrays["preds"])
        np.testing.assert_array_equal(recorded.examples.target, arrays["target"])
        np.testing.assert_array_equal(recorded.examples.extras["preds_mask"], arrays["preds_mask"])
        assert recorded.source.tolist() == [0] * 8 + [8] * 12

    @pytest.mark.parametrize(
        ("given_dtypes", "option", "written"),
        [
            ([torch.float32], None, torch.float32),
            ([torch.float64], None, torch.float32),
            ([torch.float16], None, torch.float16),
            ([torch.bfloat16], None, torch.float16),
            ([torch.float16, torch.float32], None, torch.float32),
            ([torch.float32], "float16", torch.float16),
            ([torch.bfloat16], "float32", torch.float32),
        ],
    )
    def test_dtypes(self, tmp_path: Path, given_dtypes: list[torch.dtype], option: Any, written: torch.dtype) -> None:
        preds = torch.tensor([[0.5, -2.0, 3e4, -torch.inf]])
        batches = [{"preds": preds.to(dtype), "target": [1]} for dtype in given_dtypes]
        record_all(tmp_path / "x.npz", *batches, dtype=option)
        found = read(tmp_path / "x.npz", CLASSIFICATION).examples.preds
        assert found.dtype == written
        torch.testing.assert_close(found.float(), preds.expand(len(batches), -1), rtol=5e-3, atol=0)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_finite_values_stay_finite_in_float16(self, tmp_path: Path, dtype: torch.dtype) -> None:
        with Recorder(tmp_path / "x.npz", dtype="float16") as record:
            record(torch.tensor([[1.0, 1e9, -1e9, -torch.inf]], dtype=dtype), [1])
        found = read(tmp_path / "x.npz", CLASSIFICATION).examples.preds
        assert found.tolist() == [[1.0, 65504.0, -65504.0, -np.inf]]

    @pytest.mark.parametrize(
        "source", [np.array([1, 1, 2, 1]), torch.tensor([1, 1, 2, 1], dtype=torch.int32), [1, 1, 2, 1]]
    )
    def test_a_source_for_each_row(self, tmp_path: Path, source: Any) -> None:
        arrays = classification(4)
        with Recorder(tmp_path / "x.npz") as record:
            record(**arrays, source=source)
        recorded = read(tmp_path / "x.npz", CLASSIFICATION)
        assert recorded.source.tolist() == [1, 1, 1, 2]
        np.testing.assert_array_equal(recorded.examples.preds, arrays["preds"][[0, 1, 3, 2]])

    def test_keeps_at_most_so_many_rows_of_each_source(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "x.npz", max_per_source=10) as record:
            for step in range(30):
                record(torch.full((7, 2), float(step)), torch.ones(7, dtype=torch.int64), source=step // 10)
            record(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64), source=torch.tensor(9))
        recorded = read(tmp_path / "x.npz", CLASSIFICATION)
        assert recorded.source.tolist() == [0] * 10 + [1] * 10 + [2] * 10 + [9] * 3
        assert torch.equal(recorded.examples.preds[:30, 0].long() // 10, recorded.source[:30])

    def test_preds_and_target_stay_together(self, tmp_path: Path) -> None:
        number = torch.arange(2000)
        with Recorder(tmp_path / "x.npz", max_per_source=50) as record:
            for batch in number.split(64):  # type: ignore[no-untyped-call]
                record(batch[:, None] + torch.tensor([0.0, 0.5]), batch % 2, source=batch % 3)
        recorded = read(tmp_path / "x.npz", CLASSIFICATION)
        kept = recorded.examples.preds[:, 0].long()
        assert len(set(kept.tolist())) == 150
        assert torch.equal(recorded.examples.target, kept % 2)
        assert torch.equal(recorded.source, kept % 3)

    @pytest.mark.parametrize("batch_size", [1, 7, 40])
    @pytest.mark.slow
    def test_every_row_is_kept_as_often(self, tmp_path: Path, batch_size: int) -> None:
        counts = kept_counts(tmp_path, batch_size, lambda record, rows: record(*rows))
        assert counts.sum() == 400 * 8
        assert_as_likely(counts)

    def test_the_check_catches_a_recorder_that_keeps_the_last(self, tmp_path: Path) -> None:
        def replace_always(record: Recorder, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
            record._n_seen = dict.fromkeys(record._n_seen, 8)  # as if all had come just now
            record(*rows)

        with pytest.raises(AssertionError):
            assert_as_likely(kept_counts(tmp_path, 7, replace_always))

    def test_follows_its_seed(self, tmp_path: Path) -> None:
        def kept(name: str, seed: int) -> list[float]:
            with Recorder(tmp_path / name, max_per_source=5, seed=seed) as record:
                record(torch.arange(100.0)[:, None].expand(-1, 2), torch.zeros(100, dtype=torch.int64))
            return read(tmp_path / name, CLASSIFICATION).examples.preds[:, 0].tolist()

        assert kept("a.npz", 1) == kept("b.npz", 1) != kept("c.npz", 2)

    def test_lengths_are_padded(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "x.npz") as record:
            record(torch.ones(2, 3, 6), torch.full((2, 5), 4), torch.tensor([[True, True, False]] * 2))
            record(torch.ones(1, 4, 6), torch.full((1, 2), 4))
            record(torch.ones(1, 2, 6), torch.tensor([[4, -100]]))
        examples = read(tmp_path / "x.npz", SEQUENCE).examples
        assert examples.preds.shape == (4, 4, 6)
        assert examples.preds[:, :, 0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]
        assert examples.target.tolist() == [[4] * 5, [4] * 5, [4, 4, *[-100] * 3], [4, *[-100] * 4]]
        assert examples.extras["preds_mask"].tolist() == [
            [True, True, False, False],
            [True, True, False, False],
            [True, True, True, True],
            [True, False, False, False],  # as many positions as the target: those without a token do not count
        ]

    @pytest.mark.parametrize(
        ("lengths", "masked"),
        [
            ([(3, 3), (3, 3)], False),
            ([(3, 5), (3, 4)], False),
            ([(3, 3), (5, 5)], False),
            ([(3, 4), (5, 4)], True),
            ([(3, 3), (3, 5)], True),
            ([(3, 3), (5, 4)], True),
        ],
    )
    def test_hypotheses_are_the_same_after_padding(
        self, tmp_path: Path, lengths: list[tuple[int, int]], masked: bool
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        expected: tuple[list[Any], list[Any]] = ([], [])
        with Recorder(tmp_path / "x.npz") as record:
            for n_positions, n_tokens in lengths:
                preds = torch.randn(4, n_positions, 6, generator=generator)
                target = torch.randint(6, (4, n_tokens), generator=generator)
                target[0, -2:] = -100
                record(preds, target)
                for whole, part in zip(expected, SEQUENCE.decode(Examples(preds, target), "tokens"), strict=True):
                    whole.extend(part)
        examples = read(tmp_path / "x.npz", SEQUENCE).examples
        assert SEQUENCE.decode(examples, "tokens") == expected
        assert ("preds_mask" in examples.extras) == masked

    @pytest.mark.parametrize("lengths", [[(8, 5), (9, 6)], [(8, 8), (9, 5)], [(8, 8), (9, 9)], [(8, 8), (8, 5)]])
    @pytest.mark.parametrize("ids", [{"eos_id": 5}, {"blank_id": 5}, {"eos_id": 5, "blank_id": 4}])
    def test_hypotheses_that_end_or_have_blanks_are_the_same_after_padding(
        self, tmp_path: Path, lengths: list[tuple[int, int]], ids: dict[str, int]
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        expected: tuple[list[Any], list[Any]] = ([], [])
        with Recorder(tmp_path / "x.npz", "sequence") as record:
            for n_positions, n_tokens in lengths:
                preds = torch.randn(16, n_positions, 6, generator=generator)
                target = torch.randint(4, (16, n_tokens), generator=generator)
                target[0, -2:] = -100
                context = {name: torch.full((16,), token) for name, token in ids.items()}
                record(preds, target, **context)
                batch = Examples(preds, target, context)
                for whole, part in zip(expected, SEQUENCE.decode(batch, "tokens"), strict=True):
                    whole.extend(part)
        examples = read(tmp_path / "x.npz", SEQUENCE).examples
        assert SEQUENCE.decode(examples, "tokens") == expected
        assert len(set(map(len, expected[0]))) > 3

    def test_further_arrays_of_a_task_are_kept_with_their_rows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(type(SEQUENCE), "metric_extras", ("weight", "words"))
        monkeypatch.setattr(type(SEQUENCE), "padding", {**SEQUENCE.padding, "words": (-7, (0,))})
        with Recorder(tmp_path / "x.npz", "sequence") as record:
            for n in (2, 3):
                preds = torch.full((4, n, 6), float(n)) + torch.arange(4)[:, None, None]
                words = torch.arange(4)[:, None].expand(-1, n).float()
                record(preds, torch.zeros(4, n, dtype=torch.int32), weight=torch.arange(4.0), words=words)
        found = read(tmp_path / "x.npz", SEQUENCE).examples
        assert torch.equal(found.preds[:, 0, 0], torch.tensor([2.0, 3, 4, 5, 3, 4, 5, 6]))
        assert found.extras["weight"].tolist() == [0, 1, 2, 3] * 2
        assert found.extras["words"][:, :2].tolist() == [[k, k] for k in (0, 1, 2, 3) * 2]
        assert found.extras["words"][:, 2].tolist() == [-7] * 4 + [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("task", "message"),
        [
            (None, r'weight is recorded if the task is named, as in Recorder\("outputs.npz", "span"\)'),
            ("sequence", r"a sequence file has no array 'weight', only preds_mask"),
        ],
    )
    def test_an_array_that_the_task_does_not_know_is_refused(
        self, tmp_path: Path, task: str | None, message: str
    ) -> None:
        with pytest.raises(OutputsError, match=message), Recorder(tmp_path / "x.npz", task) as record:
            record(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), weight=torch.ones(2))

    def test_an_array_of_other_rows_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(SEQUENCE), "metric_extras", ("weight",))
        with (
            pytest.raises(OutputsError, match=r"preds and weight must have a row .* got \(2, 3, 4\) and \(3,\)"),
            Recorder(tmp_path / "x.npz", "sequence") as record,
        ):
            record(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), weight=torch.ones(3))

    def test_an_unknown_task_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(MetricError, match="unknown task 'sequenc'"):
            Recorder(tmp_path / "x.npz", "sequenc")

    @pytest.mark.parametrize(
        ("first", "second", "message"),
        [
            (((2, 3), (2,)), ((2, 4), (2,)), "expected preds (n, 3) and target (n), got preds (n, 4) and target (n);"),
            (((2, 3), (2,)), ((2, 3), (2, 1)), "got preds (n, 3) and target (n, 1)"),
            (((2, 5, 6), (2, 4)), ((2, 3, 7), (2, 4)), "(n, any, 6) and target (n, any), got preds (n, any, 7)"),
            (((2, 4, 8, 8), (2, 8, 8)), ((2, 4, 8, 9), (2, 8, 9)), "expected preds (n, 4, 8, 8) and target (n, 8, 8)"),
        ],
    )  # fmt: skip
    def test_batches_that_do_not_fit_each_other(
        self, tmp_path: Path, first: tuple[Any, Any], second: tuple[Any, Any], message: str
    ) -> None:
        path = tmp_path / "x.npz"
        batches = [
            {"preds": np.zeros(preds), "target": np.zeros(target, dtype=int)} for preds, target in (first, second)
        ]
        with pytest.raises(OutputsError) as error:
            record_all(path, *batches)
        assert str(error.value).startswith(f"{path}: a batch does not fit the ones before it: ")
        assert message in str(error.value)
        with np.load(path) as file:
            assert file["preds"].shape == first[0]  # what came before is there

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"preds": np.zeros((6, 4), dtype=int)}, "preds must be floating point, got torch.int64"),
            ({"preds": np.array([["a"] * 4] * 6)}, "preds must hold numbers, got dtype <U1"),
            ({"target": np.zeros(5, dtype=int)}, "must have a row for each example, got (6, 4) and (5,)"),
            ({"preds": np.array(0.5)}, "must have a row for each example, got () and (6,)"),
            ({"preds": np.zeros((6, 0))}, "must not have an empty last axis, got (6, 0)"),
            ({"source": 0.5}, "source must be an integer or integers of shape (6,), got float64 ()"),
            ({"source": True}, "got bool ()"),
            ({"source": np.arange(5)}, "got int64 (5,)"),
            ({"source": "step 3"}, "source must hold numbers"),
            ({"preds_mask": np.ones((6, 4), dtype=bool)}, "preds (n, T, V), got torch.bool (6, 4) for preds (6, 4)"),
        ],
    )  # fmt: skip
    def test_says_what_is_wrong(self, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
        path = tmp_path / "x.npz"
        with pytest.raises(OutputsError) as error:
            record_all(path, classification(**arguments))
        assert str(error.value).startswith(f"{path}: ")
        assert message in str(error.value)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("mask", [np.ones((6, 5)), np.ones((6, 4), dtype=bool)])
    def test_refuses_other_masks(self, tmp_path: Path, mask: np.ndarray) -> None:
        with pytest.raises(OutputsError, match="preds_mask must be bool"):
            record_all(tmp_path / "x.npz", sequence(preds_mask=mask))

    def test_keeps_what_was_recorded_before_an_exception(self, tmp_path: Path) -> None:
        def train() -> None:
            with Recorder(tmp_path / "x.npz") as record:
                record(**classification())
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train()
        assert len(read(tmp_path / "x.npz", CLASSIFICATION)) == 6

    def test_an_exception_before_the_first_batch_comes_through(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), Recorder(tmp_path / "x.npz"):
            raise ZeroDivisionError
        assert not list(tmp_path.iterdir())

    def test_says_so_when_nothing_was_recorded(self, tmp_path: Path) -> None:
        with pytest.raises(OutputsError, match="not written, no row was recorded"):
            record_all(tmp_path / "x.npz", classification(0))
        assert not list(tmp_path.iterdir())

    def test_rows_that_read_would_refuse_are_left_out(self, tmp_path: Path) -> None:
        arrays = classification(8)
        arrays["preds"][[1, 4, 6], [0, 1, 2]] = [np.nan, np.inf, -np.inf]
        arrays["preds"][7] = -np.inf
        path = tmp_path / "x.npz"
        with pytest.warns(UserWarning, match=f"{path}: left out 3 rows"), Recorder(path) as record:
            record(**arrays)
        np.testing.assert_array_equal(read(path, CLASSIFICATION).examples.preds, arrays["preds"][[0, 2, 3, 5, 6]])

    def test_scores_without_a_second_axis(self, tmp_path: Path) -> None:
        batches = [
            {"preds": np.zeros(0), "target": np.zeros(0, dtype=int)},
            {"preds": np.array([0.5, np.nan, -np.inf, np.inf]), "target": np.array([1, 0, 0, 1])},
        ]
        with pytest.warns(UserWarning, match="left out 2 rows"):
            record_all(tmp_path / "x.npz", *batches)
        with np.load(tmp_path / "x.npz") as file:
            assert file["preds"].tolist() == [0.5, -np.inf]
            assert file["target"].tolist() == [1, 0]

    def test_what_the_mask_leaves_out_does_not_count(self, tmp_path: Path) -> None:
        arrays = sequence(preds_mask=np.arange(5) < np.full((6, 1), 3))
        arrays["preds"][1, 4] = np.nan
        arrays["preds"][2, 3] = -np.inf
        given_preds = torch.from_numpy(arrays["preds"].copy())
        with Recorder(tmp_path / "x.npz") as record:
            record(given_preds, arrays["target"], arrays["preds_mask"])
        preds = read(tmp_path / "x.npz", SEQUENCE).examples.preds
        np.testing.assert_array_equal(preds[:, :3], arrays["preds"][:, :3])
        assert given_preds.isnan().any()  # the caller's are as they were

    def test_leaves_the_batch_to_the_caller(self, tmp_path: Path) -> None:
        preds, target = torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)
        with Recorder(tmp_path / "x.npz") as record:
            record(preds, target)
            preds += 1
            target += 1
        examples = read(tmp_path / "x.npz", CLASSIFICATION).examples
        assert not examples.preds.any()
        assert not examples.target.any()

    def test_takes_views_that_torch_does_not(self, tmp_path: Path) -> None:
        preds = np.arange(12, dtype=">f8").reshape(4, 3)[::-1]
        preds.flags.writeable = False
        with Recorder(tmp_path / "x.npz") as record:
            record(preds, np.zeros(4, dtype=np.uint16))
        np.testing.assert_array_equal(read(tmp_path / "x.npz", CLASSIFICATION).examples.preds, preds)

    def test_an_existing_file_is_replaced_only_when_asked(self, tmp_path: Path) -> None:
        path = save(tmp_path / "x.npz", classification(3))
        before = path.read_bytes()
        with pytest.raises(OutputsError, match=r"exists already; .*overwrite=True"):
            Recorder(path)
        with pytest.raises(ZeroDivisionError), Recorder(path, overwrite=True):
            raise ZeroDivisionError
        assert path.read_bytes() == before
        with Recorder(path, overwrite=True) as record:
            record(**classification(5))
        assert len(read(path, CLASSIFICATION)) == 5

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("x.pt", "must end in .npz or .safetensors, got '.pt'"),
            ("none/x.npz", "cannot be written"),
            ("d.npz", "cannot"),
        ],
    )
    def test_a_path_that_cannot_be_written_is_found_at_once(self, tmp_path: Path, name: str, message: str) -> None:
        (tmp_path / "d.npz").mkdir()
        with pytest.raises(OutputsError) as error:
            Recorder(tmp_path / name, overwrite=True)
        assert str(error.value).startswith(f"{tmp_path / name}: ")
        assert message in str(error.value)

    @both_formats
    def test_a_write_that_fails_leaves_nothing(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        record = Recorder(path)
        with pytest.raises(OutputsError, match=f"{path}: cannot be written"), record:  # noqa: PT012
            record(**classification())
            path.mkdir()
        assert [found.name for found in tmp_path.iterdir()] == [path.name]

    @both_formats
    def test_a_folder_that_went_away(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / "gone" / f"x{suffix}"
        path.parent.mkdir()
        record = Recorder(path)
        with pytest.raises(OutputsError, match=f"{path}: cannot be written"), record:  # noqa: PT012
            record(**classification())
            path.parent.rmdir()

    @pytest.mark.parametrize("option", [{"max_per_source": 0}, {"dtype": "float64"}])
    def test_refuses_impossible_options(self, tmp_path: Path, option: dict[str, Any]) -> None:
        with pytest.raises(OptionError, match=f"got {next(iter(option.values()))!r}"):
            Recorder(tmp_path / "x.npz", **option)

    def test_is_for_use_within_its_block(self, tmp_path: Path) -> None:
        record = Recorder(tmp_path / "x.npz")
        with pytest.raises(OutputsError, match="outside of its `with` block"):
            record(**classification())
        with record:
            record(**classification())
        with pytest.raises(OutputsError, match="outside of its `with` block"):
            record(**classification())

    def test_a_training_loop(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        inputs, target = torch.randn(256, 5), torch.randint(3, (256,))
        model = torch.nn.Linear(5, 3)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        with Recorder(tmp_path / "x.safetensors", max_per_source=200) as record:
            for epoch in range(3):
                for rows in torch.arange(256).split(64):  # type: ignore[no-untyped-call]
                    with torch.autocast("cpu", dtype=torch.bfloat16):
                        preds = model(inputs[rows])
                    loss = torch.nn.functional.cross_entropy(preds.float(), target[rows])
                    optimiser.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    record(preds, target[rows], source=epoch)
        recorded = read(tmp_path / "x.safetensors", CLASSIFICATION)
        assert recorded.examples.preds.dtype == torch.float16
        assert recorded.source.bincount().tolist() == [200, 200, 200]
        assert recorded.sets(64, torch.Generator()).shape == (9, 64)

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_tensors_on_a_gpu(self, tmp_path: Path) -> None:
        arrays = sequence()
        on_device = {name: torch.from_numpy(array).cuda() for name, array in arrays.items()}
        with Recorder(tmp_path / "x.npz") as record:
            record(on_device["preds"].half().requires_grad_(), on_device["target"], arrays["preds_mask"])
            record(on_device["preds"], arrays["target"], on_device["preds_mask"], torch.arange(6).cuda())
        examples = read(tmp_path / "x.npz", SEQUENCE).examples
        assert len(examples) == 12
        assert examples.extras["preds_mask"].shape == (12, 5)


def kept_counts(
    folder: Path, batch_size: int, call: Callable[[Recorder, tuple[torch.Tensor, torch.Tensor]], None]
) -> np.ndarray:
    """How often each of 40 rows was among the 8 kept, in 400 files."""
    number = torch.arange(40)
    counts = np.zeros(40)
    for seed in range(400):
        path = folder / "x.safetensors"
        with Recorder(path, max_per_source=8, seed=seed, overwrite=True) as record:
            for rows in number.split(batch_size):  # type: ignore[no-untyped-call]
                call(record, (rows[:, None].expand(-1, 2).float(), rows))
        counts[safetensors.numpy.load_file(path)["target"]] += 1
    return counts


def assert_as_likely(counts: np.ndarray) -> None:
    assert scipy.stats.chisquare(counts).pvalue > 1e-3
