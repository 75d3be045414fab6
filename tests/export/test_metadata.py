from __future__ import annotations

import json
import math
import subprocess
import sys
import typing
import zipfile
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from loss_metadata import loss_metadata

from autosurrogate.errors import LossFileError
from autosurrogate.export import metadata, ready
from autosurrogate.export.metadata import SCHEMA_VERSION, LossMetadata

UNVERSIONED = {  # of a file that the first versions wrote
    "metric": "f1", "spec": "f1", "task": "scores", "level": "set", "view": "binary", "set_size": 128,
    "higher_is_better": True, "network": {"name": "counts", "thresholds": [0.5], "width": 32},
    "training": {"n_steps": 800, "soft_rank": "pairwise", "objective": "correlation"},
    "search": {"trial": 1, "n_complete": 63, "n_pruned": 1, "validation_spearman": 0.95},
    "seed": 0, "budget_s": 300.0, "outputs": ["a.npz"], "device": "cpu", "made": "2026-11-30T00:45:38+00:00",
    "versions": {"python": "3.11.7"}, "generator": {"coverage": 0.7, "low": 0.0, "high": 1.0},
    "labelled": {"n_points": 1440, "n_dropped": 5, "dropped": {"nan": 5}, "example": "returned nan"},
    "held_out": {
        "loss": {"spearman": 0.9, "spearman_interval": [0.8, 0.95], "kendall": 0.7, "kendall_interval": [0.6, 0.8],
                 "n_points": 287},
        "regular": {"spearman": 0.5, "spearman_interval": [0.4, 0.6], "kendall": 0.3, "kendall_interval": [0.2, 0.4],
                    "n_points": 287},
        "set_sizes": [{"size": 16, "n_points": 47, "loss": 0.94, "regular": math.nan}],
    },
    "gradient_norm": {"loss": 0.1, "regular": 0.2}, "suggested_weight": 0.3,
    "descent": {"gain": 0.15, "gain_error": 0.01, "regular_gain": 0.1, "distance": 6.4, "n_points": 64},
    "n_parameters": 3489,
}  # fmt: skip
OTHER = "is not a loss written by `autosurrogate fit`"


def changed(key: str, value: Any) -> str:
    """The JSON of some metadata with another value at a key such as `search.trial`."""
    content = json.loads(loss_metadata().to_json())
    place = content
    *above, last = key.split(".")
    for name in above:
        place = place[name]
    place[last] = value
    return json.dumps(content)


def records(kind: Any = LossMetadata) -> set[Any]:
    """A dataclass and all that its fields hold."""
    found = {kind}
    for hint in typing.get_type_hints(kind).values():
        for inner in (hint, *typing.get_args(hint)):
            found |= records(inner) if is_dataclass(inner) else set()
    return found


def test_what_is_written_is_read() -> None:
    text = loss_metadata().to_json()
    read = LossMetadata.from_json(text)
    assert read.to_json() == text
    assert math.isnan(read.quality.held_out_generated.by_set_size[0].regular_loss_spearman)
    assert read.recorded_outputs == ("Maß.npz",)
    assert json.loads(text)["schema_version"] == SCHEMA_VERSION


def test_what_is_written_is_json_of_every_reader() -> None:
    assert "NaN" not in loss_metadata().to_json()
    assert json.loads(loss_metadata(budget_s=math.inf).to_json())["budget_s"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", f"{OTHER}: metadata: expected an object, got 3"),
        ("{", f"{OTHER}: metadata: expected JSON: Expecting property name"),
        ('{"metric": "mine"}', f"{OTHER}: metadata: key 'created' is missing: expected a string"),
        ('{"network": 3}', f"{OTHER}: metadata: 'int' object is not iterable"),
        (changed("search.trial", "x"), f"{OTHER}: metadata: key 'search.trial': expected an integer, got 'x'"),
        (changed("level", "batch"), f"{OTHER}: metadata: key 'level': expected 'sample' or 'set', got 'batch'"),
        (
            changed("quality.descent_check", {"gain": 1.0}),
            f"{OTHER}: metadata: key 'quality.descent_check.gain_error' is missing: expected a number",
        ),
        (
            changed("schema_version", 99),
            "was written by another version of autosurrogate (metadata schema 99, this one reads up to "
            f"{SCHEMA_VERSION}); "
            "update autosurrogate, or fit the loss again",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_key(text: str, message: str) -> None:
    with pytest.raises(LossFileError) as caught:
        LossMetadata.from_json(text)
    assert str(caught.value).startswith(message)


def test_a_file_without_a_schema_version_is_converted() -> None:
    read = LossMetadata.from_json(json.dumps(UNVERSIONED))
    assert (read.created, read.metric_spec, read.recorded_outputs) == ("2026-11-30T00:45:38+00:00", "f1", ("a.npz",))
    assert (read.mixture, read.tokenizer, read.quality.held_out_recorded) == (None, None, None)
    assert read.network == metadata.Network("counts", {"thresholds": [0.5], "width": 32}, 3489)
    assert read.training == metadata.Training("correlation", {"n_steps": 800, "soft_rank": "pairwise"})
    assert read.generated_points == metadata.GeneratedPoints(0.7, 0.0, 1.0)
    assert read.labelled_points == metadata.LabelledPoints(1440, 5, {"nan": 5}, "returned nan")
    assert read.quality.gradient_norms == metadata.GradientNorms(0.1, 0.2)
    assert read.quality.suggested_weight == 0.3
    assert math.isnan(read.quality.descent_check.weight)  # the first files do not have it
    assert replace(read.quality.descent_check, weight=1.0) == metadata.DescentCheck(0.15, 0.01, 0.1, 1.0, 6.4, 64)
    held_out = read.quality.held_out_generated
    assert (held_out.loss.spearman, held_out.regular_loss.kendall_interval) == (0.9, (0.2, 0.4))
    (row,) = held_out.by_set_size
    assert (row.set_size, row.n_points, row.loss_spearman) == (16, 47, 0.94)
    assert math.isnan(row.regular_loss_spearman)


def test_a_file_without_a_schema_version_keeps_its_mixture_its_tokenizer_and_its_recorded_figures() -> None:
    more = {
        "mixture": "0.5 * f1",
        "tokenizer": {"file": "vocab.txt", "sha256": "ab"},
        "held_out_recorded": {**UNVERSIONED["held_out"], "set_sizes": []},  # type: ignore[dict-item]
        "descent": {**UNVERSIONED["descent"], "weight": 0.1},  # type: ignore[dict-item]
    }
    read = LossMetadata.from_json(json.dumps({**UNVERSIONED, **more}))
    assert (read.mixture, read.tokenizer) == ("0.5 * f1", metadata.Tokenizer("vocab.txt", "ab"))
    assert read.quality.held_out_recorded is not None
    assert read.quality.held_out_recorded.loss == read.quality.held_out_generated.loss
    assert read.quality.descent_check.weight == 0.1


@pytest.mark.parametrize("name", ready.names())
def test_every_ready_loss_has_valid_metadata(name: str) -> None:
    with zipfile.ZipFile(ready.path(name)) as file:
        (entry,) = (entry for entry in file.namelist() if entry.endswith("/extra/metadata.json"))
        read = LossMetadata.from_json(file.read(entry).decode())
    assert read.metric == read.metric_spec == name
    assert LossMetadata.from_json(read.to_json()).to_json() == read.to_json()


@pytest.mark.parametrize("kind", sorted(records(), key=str), ids=lambda kind: kind.__name__)
def test_every_key_is_documented(kind: Any) -> None:
    described = {line.split(":")[0].strip() for line in kind.__doc__.splitlines() if ":" in line}
    assert {field.name for field in fields(kind)} <= described


def test_it_is_read_without_torch_and_numpy() -> None:
    code = "import sys, autosurrogate.export.metadata; raise SystemExit(bool({'torch', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
