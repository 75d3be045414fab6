from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from autosurrogate.errors import OptionError
from autosurrogate.run.options import SCHEMA_VERSION, Options

OPTIONS = Options(
    metric="accuracy",
    metric_digest="a1",
    out="/tmp/accuracy.pt",
    budget_s=300.0,
    trials=None,
    outputs=("a.npz", "b.npz"),
    outputs_digests=("b2", "c3"),
    random_share=0.5,
    device="cpu",
    workers=2,
    seed=0,
    objective="correlation",
    space=None,
    tokenizer=None,
    tokenizer_digest=None,
    force=False,
    overwrite=True,
)


def config(**changed: Any) -> dict[str, Any]:
    """What a file holds."""
    content: dict[str, Any] = json.loads(json.dumps(OPTIONS.to_config()))
    return {**content, **changed}


def test_options_are_read_as_they_were_written() -> None:
    assert Options.from_config(config()) == OPTIONS
    assert config()["schema_version"] == SCHEMA_VERSION


def test_files_of_before_are_read_if_they_have_all_keys() -> None:
    former = config()
    del former["schema_version"]
    assert Options.from_config(former) == OPTIONS


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": "x"}, "config.json: key 'seed': expected an integer, got 'x'; correct the file, or start a new run"),
        ({"trials": 2.5}, "config.json: key 'trials': expected an integer, got 2.5; correct the file, or start "
                          "a new run"),
        ({"outputs": ["a", 3]}, "config.json: key 'outputs[1]': expected a string, got 3; correct the file, or start "
                                "a new run"),
        ({"objective": "both"}, "config.json: key 'objective': expected 'correlation' or 'approximation', got 'both'; "
                                "correct the file, or start a new run"),
        ({"fource": True}, "config.json: key 'fource' is unknown: expected one of metric, "),
        ({"seed": -1}, "--seed -1: must be 0 or more, and below 2**62"),
        ({"schema_version": 2}, "was made by another version of autosurrogate (schema version 2 of its config.json, "
                                "expected 1); start a new run"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        Options.from_config(config(**changed))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_missing_key_is_named() -> None:
    content = config()
    del content["seed"]
    with pytest.raises(
        OptionError, match=r"^config\.json: key 'seed' is missing: expected an integer; correct the file"
    ):
        Options.from_config(content)


def test_files_of_before_that_lack_a_key_are_of_another_version() -> None:
    former = config()
    del former["schema_version"], former["tokenizer"]
    with pytest.raises(
        OptionError,
        match=r"^was made by another version of autosurrogate \(config\.json: key 'tokenizer' is missing: expected a "
        r"string or null\); start a new run$",
    ):
        Options.from_config(former)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"budget_s": 4.0}, "--budget 4s: is too short; a fit needs 5s or more"),
        ({"trials": 0}, "--trials 0: must be 1 or more"),
        ({"workers": 0}, "--workers 0: must be 1 or more"),
        ({"random_share": 1.5}, "--random-share 1.5: is a probability, from 0 to 1"),
        ({"outputs": ()}, "--random-share: needs recorded outputs; add --outputs FILE"),
    ],
)
def test_values_out_of_range_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        replace(OPTIONS, **changed).check()
    assert str(raised.value) == message
