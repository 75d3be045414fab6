from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

import autosurrogate
from autosurrogate import outputs, tasks
from autosurrogate.cli import main
from autosurrogate.errors import LossFileError, MetricError, OptionError, OutputsError

KEYS = [
    "spearman", "spearman_interval", "kendall", "kendall_interval", "regular_spearman", "regular_spearman_interval",
    "regular_kendall", "regular_kendall_interval", "n_points", "set_size", "n_dropped",
    "strata",
]  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program.record(tmp_path_factory.mktemp("recorded") / "recorded.npz", 700, n_sources=3, seed=4)


@pytest.fixture(scope="module")
def sample_loss(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A loss for single examples, of a lower-is-better metric of a user's file."""
    folder = tmp_path_factory.mktemp("sample")
    program.write(folder / "small.toml", program.SPACE)
    program.write(folder / "my_metrics.py", program.METRICS)
    return autosurrogate.fit(
        f"{folder}/my_metrics.py:rank", out=folder / "rank.pt", trials=1, space=folder / "small.toml",
        run_dir=folder / "run", force=True,
    ).path  # fmt: skip


@pytest.mark.slow
def test_sets_of_one_source_each_as_computed_by_hand(fitted: Path, recorded: Path) -> None:
    loss = program.load(fitted / "accuracy.pt")
    data = np.load(recorded)
    preds, target = torch.from_numpy(data["preds"]), torch.from_numpy(data["target"])
    expected: dict[str, list[float]] = {key: [] for key in KEYS if not key.endswith("interval")}
    for k in range(10):
        sets = outputs.read(recorded, tasks.get("classification")).sets(50, torch.Generator().manual_seed(3 + k))
        assert all(len(np.unique(data["source"][rows])) == 1 for rows in sets.numpy())
        metric = [(preds[rows].argmax(1) == target[rows]).double().mean().item() for rows in sets]
        own = [-loss(preds[rows], target[rows]).item() for rows in sets]
        regular = [-F.cross_entropy(preds[rows], target[rows]).item() for rows in sets]
        expected["spearman"].append(scipy.stats.spearmanr(own, metric).statistic)
        expected["kendall"].append(scipy.stats.kendalltau(own, metric).statistic)
        expected["regular_spearman"].append(scipy.stats.spearmanr(regular, metric).statistic)
        expected["regular_kendall"].append(scipy.stats.kendalltau(regular, metric).statistic)

    done = program.run(
        "evaluate", "accuracy.pt", "--outputs", recorded, "--set-size", 50, "--seed", 3, "--json", cwd=fitted
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    for key in ("spearman", "kendall", "regular_spearman", "regular_kendall"):
        assert found[key] == pytest.approx(np.mean(expected[key]), abs=2e-3)  # losses that nearly tie
        low, high = found[f"{key}_interval"]
        assert -1 <= low < found[key] < high <= 1
    assert (found["n_points"], found["set_size"], found["n_dropped"]) == (3 * 14, 50, 0)


@pytest.mark.slow
def test_single_examples_of_a_lower_is_better_metric_as_computed_by_hand(sample_loss: Path, recorded: Path) -> None:
    data = np.load(recorded)
    preds, target = torch.from_numpy(data["preds"]), torch.from_numpy(data["target"])
    rank = (preds > preds.gather(1, target[:, None])).sum(1)
    own = program.load(sample_loss).per_sample(preds, target)
    regular = F.cross_entropy(preds, target, reduction="none")
    found = autosurrogate.evaluate(sample_loss, [recorded]).as_dict()
    assert found["spearman"] == pytest.approx(scipy.stats.spearmanr(own, rank).statistic, abs=1e-3)
    assert found["kendall"] == pytest.approx(scipy.stats.kendalltau(own, rank).statistic, abs=1e-3)
    assert found["regular_spearman"] == pytest.approx(scipy.stats.spearmanr(regular, rank).statistic, abs=1e-3)
    assert found["regular_kendall"] == pytest.approx(scipy.stats.kendalltau(regular, rank).statistic, abs=1e-3)
    assert found["spearman"] > 0.5
    assert (found["n_points"], found["set_size"]) == (2100, None)


@pytest.mark.slow
def test_several_files_are_one_evaluation(fitted: Path, recorded: Path) -> None:
    assert autosurrogate.evaluate(fitted / "accuracy.pt", recorded).loss.n_points == 3 * 5
    found = autosurrogate.evaluate(fitted / "accuracy.pt", [recorded, recorded])
    assert found.set_size == 128
    assert found.loss.n_points == found.regular.n_points == 2 * 3 * 5


def test_another_metric_of_the_same_task_and_level_and_points_it_fails_on(
    fitted: Path, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.write(
        tmp_path / "mine.py",
        """
        from autosurrogate import metric

        @metric("error", task="classification", higher_is_better=False)
        def error(preds, target):
            if preds[0] == 0 and target[0] == 0:
                raise ValueError("nothing")
            return (preds != target).mean()
        """,
    )
    arguments = ["evaluate", str(fitted / "accuracy.pt"), "--outputs", str(recorded)]
    assert main.main([*arguments, "--metric", f"{tmp_path}/mine.py:error", "--set-size", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"per cent +Spearman +95 % CI +Kendall +95 % CI +points", lines[0])
    assert re.fullmatch(r"accuracy\.pt( +\d+\.\d +\d+\.\d to \d+\.\d){2} +[56]\d", lines[1])  # agreement is positive
    assert lines[2].startswith("regular loss ")
    assert re.fullmatch(r"Somers' D, per cent +loss +regular loss +points *", lines[4])
    assert re.fullmatch(r"all points( +-?\d+\.\d){2} +[56]\d *", lines[5])
    assert lines[-2] == "sets of 30 examples, mean of 10 shuffles"
    failed = re.fullmatch(r"the metric failed on (\d+) points at most in a shuffle, which are left out", lines[-1])
    assert failed is not None
    n_sets = 3 * (700 // 30)  # of three sources
    assert n_sets - int(failed[1]) <= int(lines[1].split()[-1]) < n_sets


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"set_size": 701}, OutputsError, "no source has the 701 rows of a set; .* pass a set size of at most 700"),
        ({"set_size": 1}, OptionError, "--set-size 1: must be 2 or more"),
        ({"seed": -1}, OptionError, "--seed -1: must be 0 or more"),
        ({"metric": "bleu"}, MetricError, "its task is 'sequence', that of .* is 'classification'"),
        ({"metric": "acuracy"}, MetricError, "unknown metric 'acuracy'; did you mean 'accuracy'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, fitted: Path, recorded: Path
) -> None:
    with pytest.raises(error, match=message):
        autosurrogate.evaluate(fitted / "accuracy.pt", [recorded], **options)


def test_a_set_size_is_refused_for_single_examples(sample_loss: Path, recorded: Path) -> None:
    with pytest.raises(OptionError, match="--set-size 5: metric 'rank' is of single examples; leave it out"):
        autosurrogate.evaluate(sample_loss, [recorded], set_size=5)


def test_outputs_of_another_task_or_none_are_refused(fitted: Path, tmp_path: Path) -> None:
    sequences = tmp_path / "sequences.npz"
    with outputs.Recorder(sequences) as record:
        record(torch.randn(8, 5, 7), torch.randint(7, (8, 5)))
    with pytest.raises(OutputsError, match=r"sequences\.npz: preds must have shape \(n, n_classes\), got \(8, 5, 7\)"):
        autosurrogate.evaluate(fitted / "accuracy.pt", [sequences])
    with pytest.raises(LossFileError, match="no such file"):
        autosurrogate.evaluate(tmp_path / "nothing.pt", [sequences])


@pytest.mark.slow
def test_a_metric_that_moved_is_told_with_what_to_do(sample_loss: Path, recorded: Path, tmp_path: Path) -> None:
    moved = sample_loss.parent / "my_metrics.py"
    text = moved.read_text()
    moved.rename(tmp_path / "elsewhere.py")
    try:
        with pytest.raises(MetricError, match=r"there is no file .* was fitted to; name another place with --metric\)"):
            autosurrogate.evaluate(sample_loss, [recorded])
        found = autosurrogate.evaluate(sample_loss, [recorded], metric=f"{tmp_path}/elsewhere.py:rank")
        assert found.loss.n_points == 2100
    finally:
        moved.write_text(text)


@pytest.mark.slow
def test_rows_without_a_target_are_left_out_for_single_examples(
    sample_loss: Path, recorded: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(recorded))
    some = np.arange(len(arrays["target"])) % 3 == 0
    without = np.where(some, -100, arrays["target"])
    np.savez(tmp_path / "without.npz", **{**arrays, "target": without})
    np.savez(tmp_path / "fewer.npz", **{name: array[~some] for name, array in arrays.items()})
    found = autosurrogate.evaluate(sample_loss, [tmp_path / "without.npz"])
    assert found == autosurrogate.evaluate(sample_loss, [tmp_path / "fewer.npz"])
    assert found.loss.n_points == (~some).sum()

    np.savez(tmp_path / "none.npz", **{**arrays, "target": np.full_like(without, -100)})
    with pytest.raises(OutputsError, match=r"none\.npz: no row has a target"):
        autosurrogate.evaluate(sample_loss, [tmp_path / "none.npz"])


@pytest.mark.slow
def test_what_is_not_defined_is_null_in_json(fitted: Path, recorded: Path, tmp_path: Path) -> None:
    arrays = {name: array[:50] for name, array in np.load(recorded).items()}
    np.savez(tmp_path / "one_set.npz", **{**arrays, "source": np.zeros(50, dtype=np.int64)})
    done = program.run(
        "evaluate",
        fitted / "accuracy.pt",
        "--outputs",
        tmp_path / "one_set.npz",
        "--set-size",
        50,
        "--json",
        cwd=fitted,
    )
    found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["spearman"] is None
    assert found["n_points"] == 1
