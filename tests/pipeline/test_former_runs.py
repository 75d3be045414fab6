"""Runs that an earlier version of the program has made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from autosurrogate import tasks
from autosurrogate.cli import main
from autosurrogate.registry import source_digests
from autosurrogate.registry.lookup import find
from autosurrogate.run.options import Options
from autosurrogate.run.run_dir import RunDir
from autosurrogate.search import search_space

ATTRIBUTES = {
    "correlation": 0.97, "near": 0.4, "mended": 0.3, "mended_error": 0.1, "network": "margin", "settings": {"width": 8},
    "training": {"penalty": 0.1},
}  # fmt: skip


@pytest.fixture
def former(tmp_path: Path) -> RunDir:
    metric = find("accuracy")
    options = Options(
        metric=metric.spec, metric_digest=source_digests.of_metric(metric), out=str(tmp_path / "accuracy.pt"),
        budget_s=300.0, trials=None, outputs=(), outputs_digests=(), random_share=None, device="cpu", workers=1, seed=0,
        objective="correlation", space=None, tokenizer=None, tokenizer_digest=None, force=False, overwrite=False,
    )  # fmt: skip
    config: dict[str, Any] = options.to_config()
    del config["schema_version"]
    run = RunDir(tmp_path / "run")
    run.create(config, search_space.text_of(tasks.get(metric.task)))
    (run.labelled / "train-0000.safetensors").touch()
    storage = JournalStorage(JournalFileBackend(str(run.study)))
    study = optuna.create_study(study_name="accuracy", storage=storage, direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs=ATTRIBUTES))
    return run


def contents(run: RunDir) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file() and path.name != "lock"}


def test_a_run_whose_study_is_of_the_former_version_is_refused_in_one_line_and_loses_nothing(
    former: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(former)
    assert main.main(["fit", "--resume", str(former.path)]) == 2
    message = f"{former.path}: was made by another version of autosurrogate; start a new run"
    assert capsys.readouterr().err.replace("\n", " ").strip() == f"autosurrogate: {message}"
    assert contents(former) == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"tokenizer_file": "a"},
            "was made by another version of autosurrogate (config.json: key 'tokenizer_file' is unknown: expected one",
        ),
        ({"schema_version": 1, "seed": "0"}, "config.json: key 'seed': expected an integer, got '0'; correct the file"),
    ],
)
def test_a_run_whose_options_do_not_fit_is_refused_in_one_line_and_loses_nothing(
    former: RunDir, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], message: str
) -> None:
    file = former.path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    before = contents(former)
    assert main.main(["fit", "--resume", str(former.path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"autosurrogate: --resume {former.path}: {message}")
    assert error.count("\n") == 1
    assert contents(former) == before
