"""The harness of docs/measurements/performance.md, and the recipe it compares with."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from autosurrogate import tasks
from autosurrogate.training.feature_table import tabulate
from autosurrogate.training.gradients import gradient_penalty, score
from benchmarks import PAGES
from benchmarks.speed import __main__ as speed
from benchmarks.speed import recipe, soft_ranks, step
from benchmarks.speed._page import page
from benchmarks.speed._timing import N_FIRST, Row, side_by_side


def test_its_penalty_and_correlation_have_the_recipe_s_gradient() -> None:
    theirs, ours = recipe.Recipe(0, "cpu", n_sets=8), step.paper_network()
    numbers = [p.detach().clone() for p in theirs.network.parameters()]
    for own, number in zip(ours.network.layers.parameters(), numbers, strict=True):
        own.data.copy_(number)
    logits, target = recipe.random_sets(torch.Generator().manual_seed(1), 8, 16)
    labels = recipe.accuracies(logits, target)
    theirs.objective(logits, target, labels).backward()  # type: ignore[no-untyped-call]
    (table,) = tabulate(ours, tasks.get("classification"), [step.as_chunk(logits, target)], torch.device("cpu"))
    assert table.gram is not None
    features = table.features.requires_grad_()
    losses = score(ours, features)
    ranks, wanted = theirs.ranks(losses), theirs.ranks(labels)
    objective = recipe.spearman(ranks, wanted) + recipe.PENALTY * gradient_penalty(losses, features, table.gram)
    objective.backward()  # type: ignore[no-untyped-call]
    for own, other in zip(ours.network.layers.parameters(), theirs.network.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_the_recipe_learns() -> None:
    model, generator = recipe.Recipe(0, "cpu", n_sets=8), torch.Generator().manual_seed(0)
    logits, target = recipe.random_sets(generator, 8, 16)
    labels = recipe.accuracies(logits, target)
    before = model.objective(logits, target, labels).item()
    for _ in range(5):
        model.step(logits, target, labels)
    assert model.objective(logits, target, labels).item() < before


def test_random_sets_are_of_every_accuracy() -> None:
    logits, target = recipe.random_sets(torch.Generator().manual_seed(0), 64, 128)
    accuracies = recipe.accuracies(logits, target)
    assert accuracies.min() < 0.15
    assert accuracies.max() > 0.9
    assert logits.shape == (64, 128, recipe.N_CLASSES)


def test_variants_are_timed_in_turn() -> None:
    calls: list[str] = []
    rows = list(side_by_side("s", {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, "cpu", n_repeats=3))
    assert calls == ["a", "b"] * (N_FIRST + 3)
    assert [(row.variant, len(row.seconds)) for row in rows] == [("a", 3), ("b", 3)]


def test_the_page_shows_ratios_and_what_was_never_reached(tmp_path: Path) -> None:
    measured = [
        Row("128", "pairwise", [0.002, 0.001, 0.003]),
        Row("128", "diffsort", [0.01]),
        Row("128", "slow", [], more={"best": 71.25}),
    ]
    rows = [speed._row("soft_ranks", vars(row), "cpu") for row in measured]
    text = page(rows, {"soft_ranks": soft_ranks}, tmp_path)
    assert "| 128 | pairwise | 0.002 (0.001 to 0.003) | 1 |" in text
    assert "|  | diffsort | 0.01 | 5 |" in text
    assert "|  | slow | never |  | 71.2 |" in text
    assert "`python -m benchmarks.speed soft_ranks`; " in text


@pytest.mark.slow
def test_it_measures_writes_and_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "speed.json"
    monkeypatch.setattr("benchmarks.speed._timing.SLOW_S", 0.0)  # each is timed once
    monkeypatch.setattr("benchmarks.speed._timing.N_FIRST", 1)
    monkeypatch.setattr(sys, "argv", ["speed", "start_up", "--results", str(results), "--docs", str(tmp_path)])
    for _ in range(2):
        speed.main()
        rows = json.loads(results.read_text(encoding="utf-8"))
        assert [row["variant"] for row in rows].count("python -c pass") == 1
        assert len(rows) == 4
    assert "autosurrogate metrics" in (tmp_path / "performance.md").read_text(encoding="utf-8")


def test_what_it_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "steps"])
    with pytest.raises(SystemExit) as ended:
        speed.main()
    assert ended.value.code == 2
    assert "no measure steps; expected step, time_to" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_is_the_one_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["speed", "--show", "--docs", str(tmp_path)])
    speed.main()
    committed = (PAGES / "performance.md").read_text(encoding="utf-8")
    assert (tmp_path / "performance.md").read_text(encoding="utf-8") == committed
    for plot in (PAGES / "plots" / "speed").iterdir():
        (text, numbers), (committed_text, committed_numbers) = map(
            drawn, (tmp_path / "plots" / "speed" / plot.name, plot)
        )
        assert text == committed_text
        assert numbers == pytest.approx(committed_numbers, abs=1e-3)


def drawn(plot: Path) -> tuple[str, list[float]]:
    """A plot's text and its coordinates; without names of its parts, which hash how a processor rounds."""
    text = re.sub(r'(url\(|href="|id=")#?\w+', r"\1", plot.read_text(encoding="utf-8"))
    coordinate = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    return re.sub(coordinate, "", text), [float(number) for number in re.findall(coordinate, text)]
