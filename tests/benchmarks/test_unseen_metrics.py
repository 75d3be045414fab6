from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from autosurrogate import __version__, tasks
from autosurrogate.examples import Examples
from autosurrogate.points import metric_calls
from autosurrogate.registry.lookup import find
from benchmarks.unseen_metrics import __main__ as command
from benchmarks.unseen_metrics.page import section, summary
from benchmarks.unseen_metrics.sources import SAMPLE, SOURCES, Source
from benchmarks.unseen_metrics.specs import HALVES, SPECS, of_half
from studies import rows

TASKS = {
    "classification",
    "scores",
    "sequence",
    "span",
    "heatmap",
    "segmentation",
    "detection",
    "ranking",
    "values",
}
OURS = {"nltk", "sacrebleu", "scipy"}  # libraries that the package builds on, too
N_POINTS = 3
SEVERITY = 0.4
MAX_SET_SIZE = 32


def test_the_sample_is_as_large_as_it_is_said_to_be() -> None:
    assert len({spec.name for spec in SPECS}) == len(SPECS) >= 80
    assert len({source.library for source in SOURCES if source.package} - OURS) >= 8
    counts = Counter(spec.task for spec in SPECS)
    assert counts.keys() == TASKS
    assert min(counts.values()) >= 6


def test_every_metric_of_the_files_is_listed_once_and_no_other() -> None:
    assert sorted(source.file for source in SOURCES) == sorted(SAMPLE.glob("*.py"))
    for source in SOURCES:
        declared = re.findall(r"^@metric\(.*\)\ndef (\w+)", source.file.read_text(encoding="utf-8"), re.MULTILINE)
        listed = [name for names in source.functions.values() for name in names.split()]
        assert sorted(declared) == sorted(listed), source.stem


def test_the_halves_are_disjoint_and_follow_from_the_names_alone() -> None:
    development, final = ([spec.name for spec in of_half(half)] for half in HALVES)
    assert {*development, *final} == {spec.name for spec in SPECS}
    assert not {*development} & {*final}
    for name in development:
        assert hashlib.sha256(name.encode()).digest()[-1] % 2 == 0
    for name in final:
        assert hashlib.sha256(name.encode()).digest()[-1] % 2 == 1
    assert 0.4 < len(development) / len(SPECS) < 0.6


@functools.cache
def generated(task: str, view: str, set_size: int) -> Examples:
    generator = torch.Generator().manual_seed(0)
    return tasks.get(task).generate(torch.full((N_POINTS,), SEVERITY), generator, set_size, view)


@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_every_metric_is_declared_for_its_task_and_gives_numbers(source: Source) -> None:
    if not source.is_installed:
        pytest.skip(f"{source.library} is not installed")
    for task, names in source.functions.items():
        for name in names.split():
            metric = find(f"{source.file}:{name}")
            assert metric.task == task
            set_size = min(metric_calls.set_size_of(metric), MAX_SET_SIZE)
            examples = generated(task, metric.view, set_size)
            points = metric_calls.points_of(tasks.get(task), metric, examples, set_size)
            values = [float(metric.function(*point)) for point in points]
            again = [float(metric.function(*point)) for point in points]
            assert np.isfinite(values).any(), name
            np.testing.assert_array_equal(values, again, name)


def test_a_library_that_is_missing_is_said_and_nothing_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.unseen_metrics.sources.importlib.util.find_spec", lambda package: None)
    spec = next(spec for spec in of_half("development") if spec.source.package)
    results = tmp_path / "rows.jsonl"
    command.main(["--half", "development", "--only", spec.name, "--results", str(results)])
    assert capsys.readouterr().out == f"{spec.name}: left out, {spec.source.library} is not installed\n"
    assert not results.exists()


def test_a_metric_of_the_other_half_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    name = of_half("development")[0].name
    with pytest.raises(SystemExit):
        command.main(["--half", "final", "--only", name])
    assert f"--only: not in the half final: {name}" in capsys.readouterr().err


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = list[str]()

    def fitted_instead(spec: str, budget: str, *options: str, file: Path) -> dict[str, object]:
        fitted.append(spec)
        assert options == ("--workers", "1", "--seed", "0")
        assert spec.startswith(f"{file.name}:")
        return {"budget": budget, "loss": 0.95, "regular": 0.5}

    monkeypatch.setattr(command, "fitted", fitted_instead)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first, second = [spec for spec in of_half("development") if not spec.source.package][:2]
    results = tmp_path / "rows.jsonl"
    arguments = ["--half", "development", "--results", str(results), "--only"]
    command.main([*arguments, first.name])
    command.main([*arguments, first.name, second.name])
    assert [spec.rpartition(":")[2] for spec in fitted] == [first.name, second.name]
    row = next(rows.read(results))
    assert (row["metric"], row["task"], row["library"]) == (first.name, first.task, "papers")
    assert row["half"] == "development"
    assert row["version"].startswith(__version__)


def test_the_section_has_the_halves_apart() -> None:
    shared = {"budget": "60s", "task": "scores", "library": "papers"}
    measured = [
        {**shared, "metric": "a", "half": "final", "loss": 0.96, "regular": 0.5},
        {**shared, "metric": "b", "half": "development", "loss": 0.8, "regular": 0.5},
        {**shared, "metric": "c", "half": "development", "loss": 0.94, "regular": 0.5},
        {**shared, "metric": "d", "half": "development", "reason": "depends on the weather"},
    ]
    said = "Of 3: 1 (33 %) at 90 or more, the median of those with a loss 87.0; 1 without a loss."
    assert summary(measured[1:]) == said
    development, final = section(measured).split("\n### ")[1:]
    assert "| `b` | scores | papers | 80.0 | 50.0 | |\n" in development
    assert "| `d` | scores | papers | | | depends on the weather |\n" in development
    assert "| `a` |" in final
    assert "Of 1: 1 (100 %) at 90 or more, the median of those with a loss 96.0; 0 without a loss.\n" in final
    assert section([]) == ""


@pytest.mark.slow
def test_a_metric_is_fitted_from_the_command_line() -> None:
    spec = next(spec for spec in of_half("development") if not spec.source.package)
    row = command.fitted_row(spec, "5s")
    assert row["code"] in (0, 3)  # with a loss, or with one that is too bad
    assert row["metric"] == spec.name
    assert ("reason" in row) == (row["code"] == 3)
