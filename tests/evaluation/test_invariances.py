from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import program
import pytest
import torch

from autosurrogate import tasks
from autosurrogate.evaluation import invariances
from autosurrogate.evaluation.invariances import Dependence
from autosurrogate.examples import Examples
from autosurrogate.registry.lookup import find
from autosurrogate.registry.metric_type import Metric
from autosurrogate.registry.store import builtins
from autosurrogate.search import search_space

METRICS = """
import numpy as np

from autosurrogate import metric


@metric("distance", task="classification", set_size=32, higher_is_better=False)
def distance(preds: np.ndarray, target: np.ndarray) -> float:
    return float(np.abs(preds - target).mean() / (1 + max(preds.max(), target.max())))


@metric("recall_of_thirds", task="classification", set_size=64)
def recall_of_thirds(preds: np.ndarray, target: np.ndarray) -> float:
    third = target % 3 == 2
    return float((preds == target)[third].mean()) if third.any() else float("nan")


@metric("class_costs", task="segmentation", set_size=4)
def class_costs(preds: np.ndarray, target: np.ndarray) -> float:
    return float((((preds == target) & (target >= 0)) * (target == 1)).sum() / max(1, (target == 1).sum()))


@metric("shared_letters", task="sequence", level="sample")
def shared_letters(preds: str, target: str) -> float:
    return len(set(preds) & set(target)) / max(1, len(set(preds) | set(target)))


@metric("noisy", task="classification", set_size=32)
def noisy(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target).mean() + np.random.default_rng().normal(0, 0.01))


@metric("first_half", task="classification", set_size=32)
def first_half(preds: np.ndarray, target: np.ndarray) -> float:
    n = len(target) // 2
    return float((preds[:n] == target[:n]).mean())


@metric("first_label", task="scores", view="multilabel", set_size=32)
def first_label(preds: np.ndarray, target: np.ndarray) -> float:
    return float(((preds >= 0.5) == target)[:, 0].mean())


@metric("late_f1", task="scores", set_size=64)
def late_f1(preds: np.ndarray, target: np.ndarray) -> float:
    called = preds >= 0.9
    return float(2 * (called & (target == 1)).sum() / max(1, called.sum() + target.sum()))
"""
# Of sets so small that a fit is quick.
SMALL_METRICS = """
import numpy as np

from autosurrogate import metric


@metric("hits", task="classification", set_size=16)
def hits(preds: np.ndarray, target: np.ndarray) -> float:
    return float((preds == target).mean())


@metric("first_example", task="classification", set_size=16)
def first_example(preds: np.ndarray, target: np.ndarray) -> float:
    return float(preds[0] == target[0])
"""
# Both networks, with few steps and features.
SPACE_OF_TWO = (
    program.SPACE.replace("n_steps = 60", "n_steps = 150")
    + """
[networks.ordinal]
temperatures = [[1.0, 0.1]]
relative_temperatures = [[1.0, 0.1, 0.03]]
width = 16
"""
)
CLASSIFICATION, SCORES = tasks.get("classification"), tasks.get("scores")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program.write(tmp_path_factory.mktemp("invariances") / "mine.py", METRICS)


def dependences(spec: str | Metric) -> dict[str, Dependence]:
    metric = find(spec)

    def label(points: Sequence[tuple[Any, Any]]) -> np.ndarray:
        return np.array([float(metric.function(*point)) for point in points])

    task = tasks.get(metric.task)
    found = invariances.find_dependences(task, metric, search_space.load(task).widest_networks(task), label)
    return {one.what: one for one in found}


@pytest.mark.parametrize(
    ("name", "what", "agreement"),
    [
        ("recall_of_thirds", "which class is which", (0.0, 0.99)),
        ("class_costs", "which class is which", (0.5, 0.99)),
        ("shared_letters", "how tokens are spelled", (0.3, 0.99)),
        ("first_half", "the order of the examples", (0.5, 0.999)),
        ("first_label", "which label is which", (0.0, 0.99)),
    ],
)
def test_what_a_metric_depends_on_and_no_network_sees_is_found(
    file: Path, name: str, what: str, agreement: tuple[float, float]
) -> None:
    found = dependences(f"{file}:{name}")
    low, high = agreement
    assert found[what].missed
    assert low < found[what].agreement < high
    assert [one for one in found if found[one].missed] == [what]
    reason = invariances.refusal(list(found.values()), tasks.get(find(f"{file}:{name}").task))
    assert reason is not None
    assert reason.startswith(f"depends on {what} (")
    example = found[what].example
    assert example is not None
    before, after = example
    assert before.returned != after.returned
    assert (before.preds, before.target) != (after.preds, after.target)  # what differs is shown
    assert f"it returns {before.returned} for preds {before.preds} and target {before.target}, and" in reason
    assert ("--tokenizer FILE" in reason) == (name == "shared_letters")


# Each of these takes ten seconds.
@pytest.mark.parametrize(
    "spec", [m.name for m in builtins() if m.name not in ("oks_ap", "coco_ap", "coco_ap50", "chrf")]
)
@pytest.mark.slow
def test_no_built_in_metric_depends_on_what_is_not_seen(spec: str) -> None:
    assert invariances.refusal(list(dependences(spec).values()), tasks.get(find(spec).task)) is None


def test_what_a_network_sees_may_matter() -> None:
    # Calibration changes with how sure the probabilities are; networks with several thresholds see that.
    found = dependences("sklearn:brier_score_loss?task=binary")["how sure the probabilities are"]
    assert found.matters
    assert "sweep" in found.seen_by
    assert "order" not in found.seen_by


def test_what_changes_all_values_alike_does_not_matter() -> None:
    found = dependences("median_absolute_error")["the unit of the values"]
    assert found.changed > 0.5  # changes of small values are within rounding of the large ones
    assert not found.matters


@pytest.mark.slow
def test_only_networks_that_see_what_matters_are_searched_and_those_built_for_it_only_then(file: Path) -> None:
    space = search_space.load(CLASSIFICATION)
    for spec, expected in {
        f"{file}:distance": {"ordinal", "general_ordinal"},
        "sklearn:cohen_kappa_score?weights=quadratic": {"ordinal", "general_ordinal"},
        "accuracy": {"margin", "confusion", "general", "target_probability"},
    }.items():
        found = list(dependences(spec).values())
        assert invariances.refusal(found, CLASSIFICATION) is None
        assert (
            set(space.networks)
            - set(invariances.excluded_networks(list(space.networks), tasks.get(find(spec).task), found))
            == expected
        )


@pytest.mark.slow
def test_many_thresholds_are_searched_only_for_what_depends_on_where_between_them_a_probability_lies(
    file: Path,
) -> None:
    space = search_space.load(SCORES)

    def kept(spec: str) -> set[str]:
        return set(space.networks) - set(
            invariances.excluded_networks(
                list(space.networks), tasks.get(find(spec).task), list(dependences(spec).values())
            )
        )

    calibration = kept("sklearn:brier_score_loss?task=binary")
    assert "sweep" in calibration
    assert "order" not in calibration
    assert "sweep" in kept(f"{file}:late_f1")
    assert kept("f1") == kept("roc_auc") == {"operating_curve", "label_sets", "order", "counts", "top"}


def test_no_network_is_excluded_where_none_would_remain() -> None:
    each = [Dependence(what, 0.5, 0.5, (what,)) for what in ("margin", "target_probability")]
    assert invariances.excluded_networks(["margin", "target_probability"], CLASSIFICATION, each) == {}


@pytest.mark.slow
def test_fit_says_which_networks_of_the_user_s_space_are_not_searched(tmp_path: Path) -> None:
    own = "[networks.ordinal]\ntemperatures = [[0.3, 0.03]]\nwidth = 8\n"
    program.write(tmp_path / "own.toml", program.SPACE + own)
    program.write(tmp_path / "mine.py", SMALL_METRICS)
    options = "--metric mine.py:hits --space own.toml --trials 1 --budget 10s --force".split()
    done = program.run("fit", *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    message = "network 'ordinal' of --space is not searched: the metric does not depend on which class is which"
    assert message in " ".join(done.stdout.split())


def test_a_metric_that_is_random_is_not_taken_for_one_that_depends_on_something(file: Path) -> None:
    found = dependences(f"{file}:noisy")
    assert invariances.refusal(list(found.values()), CLASSIFICATION) is None
    assert all(one.changed < 0.05 for one in found.values())


def test_a_metric_without_values_is_left_to_other_checks() -> None:
    metric = find("accuracy")
    found = invariances.find_dependences(
        tasks.get(metric.task),
        metric,
        search_space.load(CLASSIFICATION).widest_networks(CLASSIFICATION),
        lambda points: np.full(len(points), np.nan),
    )
    assert invariances.refusal(found, CLASSIFICATION) is None


@pytest.mark.parametrize(("fitted", "refused"), [(0.5, True), (0.89, True), (0.9, False), (0.99, False)])
def test_a_short_fit_decides_about_what_no_network_sees(fitted: float, refused: bool) -> None:
    unseen = Dependence("this", 0.5, 0.5, (), fitted_spearman=fitted)
    reason = invariances.refusal([unseen], CLASSIFICATION)
    assert (reason is not None) == refused
    if reason is not None:
        assert f"a short fit ranks at {100 * fitted:.0f} there, 90 would do" in reason


def test_what_no_network_sees_excludes_none_of_them() -> None:
    unseen, seen = Dependence("this", 0.5, 0.5, ()), Dependence("that", 0.5, 0.5, ("margin",))
    excluded = invariances.excluded_networks(["margin", "target_probability"], CLASSIFICATION, [unseen, seen])
    assert list(excluded) == ["target_probability"]
    assert "this" not in excluded["target_probability"]


@pytest.mark.parametrize("name", tasks.names())
def test_changes_leave_the_regular_loss_s_order_of_quality(name: str) -> None:
    # What is changed says nothing of the quality: the best examples stay better than the worst ones.
    task = tasks.get(name)
    for seed in range(3):
        severity = torch.tensor([0.0] * 8 + [1.0] * 8)
        examples = task.generate(severity, torch.Generator().manual_seed(seed), 4)
        for changed in task.perturbations(examples, torch.Generator().manual_seed(seed)).values():
            each = (
                task.regular_loss(Examples(changed.preds.float(), changed.target, changed.extras)).view(16, 4).mean(1)
            )
            assert each[:8].median() < each[8:].median()


def test_a_metric_that_takes_the_first_of_equal_scores_does_not_depend_on_the_order_of_labels() -> None:
    def one_error(preds: np.ndarray, target: np.ndarray) -> float:
        return float((target[np.arange(len(target)), preds.argmax(1)] == 0).mean())

    declared = Metric("one_error", one_error, "scores", "set", "multilabel", False, 64, "test", None)
    assert not any(dependence.matters for dependence in dependences(declared).values())


@pytest.mark.slow
def test_fit_refuses_with_the_reason_and_force_fits_all_the_same(tmp_path: Path) -> None:
    options = ("--metric", "mine.py:first_example", "--space", "small.toml", "--trials", 1, "--budget", "10s")
    program.write(tmp_path / "small.toml", program.SPACE)
    program.write(tmp_path / "mine.py", SMALL_METRICS)
    done = program.run("fit", *options, cwd=tmp_path)
    assert done.returncode == 3
    assert "no loss was fitted: metric 'first_example' depends on the order of the examples" in done.stderr
    assert "a short fit ranks at" in done.stderr
    assert "For example, it returns" in done.stderr
    assert "--force" in done.stderr
    assert not (tmp_path / "first_example.pt").exists()
    forced = program.run("fit", *options, "--force", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert (tmp_path / "first_example.pt").exists()


@pytest.mark.slow
def test_classes_in_an_order_are_fitted_by_a_network_that_sees_them(file: Path) -> None:
    # Of so short a fit a descent check of a few points may say anything: it is not the point.
    options = ("--space", "two.toml", "--trials", 2, "--budget", "15s", "--force")
    program.write(file.parent / "two.toml", SPACE_OF_TWO)
    done = program.run("fit", "--metric", "mine.py:distance", *options, cwd=file.parent)
    assert done.returncode == 0, done.stderr
    metadata = json.loads(program.run("inspect", "distance.pt", "--json", cwd=file.parent).stdout)
    assert metadata["network"]["name"] == "ordinal"
    held_out = metadata["quality"]["held_out_generated"]
    assert held_out["loss"]["spearman"] > 0.9 > 0.6 > held_out["regular_loss"]["spearman"]  # of untrained models, too
