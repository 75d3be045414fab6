from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import optuna
import pytest

from autosurrogate import surrogates, tasks
from autosurrogate.errors import SpaceError
from autosurrogate.rank_correlation.soft_ranks import METHODS
from autosurrogate.search.search_space import load, parse
from autosurrogate.search.space import Choice, Range, Suggestion
from autosurrogate.training.loop import Settings

CLASSIFICATION = tasks.get("classification")
TRAINING = """
[training]
n_steps = 100
batch_points = 32
learning_rate = { low = 1e-3, high = 1e-2, log = true }
weight_decay = 0.0
penalty = [0.1, 1.0, 10.0]
random_share = { low = 0.2, high = 0.8 }
"""
NETWORK = """
[networks.margin]
temperatures = [[1.0, 0.1], [0.3, 0.03]]
n_competitors = { low = 2, high = 5 }
width = 8
"""


def with_training(line: str) -> str:
    """A space with one line of its training table replaced."""
    key = line.split(" =")[0]
    changed, n_changed = re.subn(rf"(?m)^{key} = .*$", lambda _: line, TRAINING)
    assert n_changed == 1
    return changed + NETWORK


def fixed(**params: Any) -> optuna.trial.FixedTrial:
    return optuna.trial.FixedTrial(params)


@pytest.mark.parametrize("task", tasks.names())
def test_the_space_of_each_task_is_read_and_holds_networks_that_there_are(task: str) -> None:
    space = load(tasks.get(task))
    assert set() < set(space.networks) <= set(surrogates.networks(tasks.get(task)))
    assert set() < set(space.soft_ranks) <= set(METHODS)


@pytest.mark.parametrize("task", tasks.names())
def test_whatever_is_suggested_can_be_built_and_trained_with(task: str) -> None:
    space = load(tasks.get(task))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for i in range(30):
        chosen = space.suggest(study.ask(), recorded=bool(i % 2))
        loss = surrogates.build(tasks.get(task), "set", chosen.network, **chosen.network_settings)
        assert Settings(**{"random_share": 1.0, **chosen.training_settings}).n_steps > 0
        widest = space.widest(tasks.get(task), chosen.network)
        wide = surrogates.build(tasks.get(task), "set", chosen.network, **widest)
        assert set(loss.network.feature_names()) <= set(wide.network.feature_names())


def test_a_suggestion_takes_what_the_trial_says() -> None:
    space = parse(TRAINING + NETWORK, CLASSIFICATION, "space.toml")
    trial = fixed(
        **{
            "learning_rate": 0.005,
            "penalty": "1.0",
            "random_share": 0.5,
            "network": '"margin"',
            "margin.temperatures": "[0.3, 0.03]",
            "margin.n_competitors": 3,
            "soft_rank": '"pairwise"',
        }
    )
    assert space.suggest(trial, recorded=True) == Suggestion(  # type: ignore[arg-type]  # it is one for all that matters
        "margin",
        {"temperatures": [0.3, 0.03], "n_competitors": 3, "width": 8},
        {
            "n_steps": 100,
            "batch_points": 32,
            "learning_rate": 0.005,
            "weight_decay": 0.0,
            "penalty": 1.0,
            "random_share": 0.5,
            "soft_rank": "pairwise",
            "steepness": 8.0,
        },
    )


def test_a_value_is_fixed_a_choice_or_a_range() -> None:
    space = parse(TRAINING + NETWORK, CLASSIFICATION, "space.toml")
    assert space.training["n_steps"] == 100
    assert space.training["penalty"] == Choice((0.1, 1.0, 10.0))
    assert space.training["learning_rate"] == Range(1e-3, 1e-2, log=True)
    assert space.networks["margin"]["temperatures"] == Choice(([1.0, 0.1], [0.3, 0.03]))
    assert space.networks["margin"]["n_competitors"] == Range(2, 5)


def test_a_network_may_have_a_penalty_of_its_own() -> None:
    own = NETWORK + "penalty = 3\n[networks.target_probability]\nwidth = 8\n"
    space = parse(TRAINING + own, CLASSIFICATION, "space.toml")
    assert "penalty" not in space.networks["margin"]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    penalties: dict[str, set[float]] = {"margin": set(), "target_probability": set()}
    for _ in range(40):
        chosen = space.suggest(study.ask(), recorded=False)
        penalties[chosen.network].add(chosen.training_settings["penalty"])
    assert penalties == {"margin": {3}, "target_probability": {0.1, 1.0, 10.0}}
    with pytest.raises(SpaceError, match=r"\[networks.margin\] penalty must be at least 0, got -1"):
        parse(TRAINING + NETWORK + "penalty = -1\n", CLASSIFICATION, "space.toml")


def test_ranges_of_whole_numbers_give_whole_numbers() -> None:
    space = parse(TRAINING + NETWORK, CLASSIFICATION, "space.toml")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.suggest(study.ask(), recorded=True) for _ in range(40)]
    assert {each.network_settings["n_competitors"] for each in drawn} == {2, 3, 4, 5}
    assert all(1e-3 <= each.training_settings["learning_rate"] <= 1e-2 for each in drawn)


def test_the_widest_network_has_every_feature() -> None:
    space = parse(TRAINING + NETWORK, CLASSIFICATION, "space.toml")
    assert space.widest(CLASSIFICATION, "margin") == {
        "temperatures": [1.0, 0.3, 0.1, 0.03],
        "n_competitors": 5,
        "width": 8,  # which does not matter to the features, but the constructor may ask for it
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training", "is not valid TOML"),
        ("", "needs a table [training] that is not empty"),
        ("training = 3", "needs a table [training] that is not empty"),
        ("[training]\n" + NETWORK, "needs a table [training] that is not empty"),
        (TRAINING, "needs a table [networks.NAME] that is not empty"),
        (TRAINING + "[networks]", "needs a table [networks.NAME] that is not empty"),
        (TRAINING + NETWORK + "[extra]\n", "unknown key extra: expected one of "),
        (TRAINING + "stesp = 3\n" + NETWORK, "unknown key training.stesp: expected one of "),
        (TRAINING + "[networks.magin]\nwidth = 3", "unknown key networks.magin: expected one of "),
        (TRAINING + NETWORK + "widht = 3", "unknown key networks.margin.widht: expected one of "),
        (TRAINING + "[networks]\nmargin = 3", "networks.margin must be a table, got 3"),
        (TRAINING + NETWORK + "[soft_ranks.neural]\nsteepness = 1", "unknown key soft_ranks.neural: expected one of "),
        (
            TRAINING + NETWORK + "[soft_ranks.pairwise]\nslope = 1",
            "unknown key soft_ranks.pairwise.slope: expected one",
        ),
        (TRAINING + NETWORK + "[soft_ranks.pairwise]\n", "[soft_ranks.pairwise] lacks steepness"),
        (TRAINING + NETWORK + "[soft_ranks]\n", "[soft_ranks] is empty; name pairwise or diffsort in it"),
        ("soft_ranks = 3\n" + TRAINING + NETWORK, "soft_ranks must be a table, got 3"),
        (
            TRAINING + NETWORK + "[soft_ranks.pairwise]\nsteepness = 0",
            "[soft_ranks.pairwise] steepness must be above 0, got 0",
        ),
        (
            TRAINING + NETWORK + "[soft_ranks.pairwise]\nsteepness = [8.0, inf]",
            "[soft_ranks.pairwise] steepness must be finite, got inf",
        ),
        (
            TRAINING + NETWORK + "[soft_ranks.diffsort]\nsteepness = 30\nbatch_points = 2.5",
            "[soft_ranks.diffsort] batch_points must be a whole number, got 2.5",
        ),
        ("[training]\nn_steps = 1\n" + NETWORK, "[training] lacks batch_points, learning_rate, penalty, weight_decay"),
        (with_training("penalty = []"), "[training] penalty is an empty choice"),
        (with_training("penalty = { low = 2, high = 1 }"), "empty range: low = 2 is not below high = 1"),
        (with_training("penalty = { low = 1, high = 1 }"), "empty range: low = 1 is not below high = 1"),
        (with_training("penalty = { low = nan, high = 1 }"), "empty range: low = nan is not below high = 1"),
        (with_training("penalty = { low = 1 }"), "must be { low = …, high = … }, perhaps with log = true"),
        (with_training("penalty = { low = 1, high = 2, step = 1 }"), "must be { low = …, high = … }"),
        (with_training('penalty = { low = "1", high = 2 }'), "needs numbers for low and high"),
        (with_training("penalty = { low = true, high = 2 }"), "needs numbers for low and high"),
        (with_training("penalty = { low = 1, high = 2, log = 1 }"), "needs true or false for log; got 1"),
        (
            with_training("penalty = { low = 0, high = 2, log = true }"),
            "has log = true, so low must be above 0; got low = 0",
        ),
        (with_training("penalty = { low = 0.1, high = inf }"), "[training] penalty must be finite, got inf"),
        (with_training("penalty = nan"), "[training] penalty must be finite, got nan"),
        (with_training("penalty = -1"), "[training] penalty must be at least 0, got -1"),
        (with_training('penalty = "much"'), "[training] penalty must be a number, got 'much'"),
        (with_training("penalty = true"), "[training] penalty must be a number, got True"),
        (with_training("n_steps = 0"), "[training] n_steps must be at least 1, got 0"),
        (with_training("n_steps = 10.5"), "[training] n_steps must be a whole number, got 10.5"),
        (with_training("n_steps = [10, 20.0]"), "[training] n_steps must be a whole number, got 20.0"),
        (with_training("batch_points = 3"), "[training] batch_points must be at least 4, got 3"),
        (with_training("learning_rate = 0"), "[training] learning_rate must be above 0, got 0"),
        (with_training("weight_decay = -0.1"), "[training] weight_decay must be at least 0, got -0.1"),
        (with_training("random_share = 1.5"), "[training] random_share must be at most 1, got 1.5"),
        (with_training("penalty = 1\nwindow = 2"), "[training] window must be at most 1, got 2"),
        (with_training("penalty = 1\nwindow = 0"), "[training] window must be above 0, got 0"),
        (with_training("random_share = -0.5"), "[training] random_share must be at least 0, got -0.5"),
        (TRAINING + "[networks.margin]\nwidth = 8", "[networks.margin] cannot be built with {'width': 8}: "),
        (TRAINING + NETWORK.replace("width = 8", "width = 2.5"), "[networks.margin] cannot be built with "),
        (TRAINING + NETWORK.replace("width = 8", 'width = [8, "wide"]'), "cannot be built with width = 'wide': "),
        (TRAINING + NETWORK.replace("width = 8", "width = 0"), "[networks.margin] width must be above 0, got 0"),
        (TRAINING + NETWORK.replace("width = 8", "width = true"), "[networks.margin] width must be above 0, got True"),
        (TRAINING + NETWORK.replace("low = 2", "low = -1"), "[networks.margin] n_competitors must be above 0, got -1"),
        (TRAINING + NETWORK.replace("low = 2", "low = 2.5"), "[networks.margin] cannot be built with "),
        (TRAINING + NETWORK.replace("0.03", "0.0"), "[networks.margin] temperatures must be above 0, got [0.3, 0.0]"),
        (TRAINING + NETWORK.replace("0.03", '"cold"'), "cannot be built with temperatures = [0.3, 'cold']: "),
        (TRAINING + NETWORK.replace("[0.3, 0.03]", "[]"), "[networks.margin] temperatures must not be an empty list"),
        (TRAINING + "[networks.margin]\ntemperatures = [1.0, 0.1]", "[networks.margin] cannot be built with "),
    ],
)
def test_each_mistake_has_its_message(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)) as raised:
        parse(text, CLASSIFICATION, "my space.toml")
    assert str(raised.value).startswith("my space.toml: ")


def test_whole_numbers_are_temperatures_too() -> None:
    space = parse(TRAINING + "[networks.margin]\ntemperatures = [[1, 0.5]]\n", CLASSIFICATION, "space.toml")
    loss: Any = surrogates.build(CLASSIFICATION, "set", "margin", **space.networks["margin"])
    assert all(type(t) is float for t in loss.network.temperatures)  # a scripted list holds one type


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(TRAINING + NETWORK, encoding="utf-8")
    assert load(CLASSIFICATION, path) == parse(TRAINING + NETWORK, CLASSIFICATION, "space.toml")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"none\.toml: cannot read the search space: No such file"):
        load(CLASSIFICATION, tmp_path / "none.toml")
    with pytest.raises(SpaceError, match="cannot read the search space: Is a directory"):
        load(CLASSIFICATION, tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match=r"binary\.toml: is not a text file in UTF-8"):
        load(CLASSIFICATION, tmp_path / "binary.toml")


def test_networks_for_other_views_or_levels_are_left_out_unless_none_would_be_left() -> None:
    space, task = load(tasks.get("scores")), tasks.get("scores")
    assert set(space.networks) - set(space.suited(task, "binary", "set").networks) == {"label_sets"}
    assert set(space.networks) - set(space.suited(task, "multilabel", "sample").networks) == {"label_sets"}
    assert space.suited(task, "multilabel", "set") == space
    alone = parse(TRAINING + "[networks.label_sets]\ntemperatures = [[0.1]]\nwidth = 8\n", task, "space.toml")
    assert set(alone.suited(task, "binary", "set").networks) == {"label_sets"}
