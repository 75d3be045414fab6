"""The suite finds what is wrong with a task or one of its networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from autosurrogate import surrogates, tasks
from autosurrogate.examples import Examples
from autosurrogate.surrogates.classification import NETWORKS, TargetProbability
from autosurrogate.testing import ConformanceError, check_task, task_checks
from autosurrogate.testing._export_checks import ExportCase
from autosurrogate.testing.exports import exported
from autosurrogate.testing.generated import padded

CLASSIFICATION = type(tasks.get("classification"))


def run(name: str, task: str = "classification") -> None:
    """The checks of that name: of the task, or of its network "target_probability"."""
    found = [check for check in task_checks(task) if str(check).removeprefix("target_probability, labels: ") == name]
    assert found, name
    for check in found:
        check()


def changed_examples(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    plain = CLASSIFICATION.generate

    def generate(self: Any, *arguments: Any) -> Examples:
        made: Examples = change(plain(self, *arguments))
        return made

    monkeypatch.setattr(CLASSIFICATION, "generate", generate)


@pytest.mark.parametrize(
    ("change", "check", "message"),
    [
        (lambda e: e[slice(0, 5)], "generates as many examples as asked for", "5 examples"),
        (lambda e: e.with_preds(e.preds.long()), "generates as many examples as asked for", r"preds are torch\.int64"),
        (lambda e: e.with_preds(e.preds * float("nan")), "generates as many examples as asked for", "preds hold NaN"),
        (lambda e: e.with_preds(e.preds[:, :2]), "generates as many examples as asked for", "the same sizes"),
        (lambda e: e.with_preds(e.preds + torch.rand(())), "generates the same again", "preds differ"),
        (lambda e: e.with_preds(-e.preds), "has a regular loss that falls with the quality", "of the best"),
    ],
)
def test_a_generator_that_is_wrong(monkeypatch: pytest.MonkeyPatch, change: Any, check: str, message: str) -> None:
    run(check)
    changed_examples(monkeypatch, change)
    with pytest.raises(ConformanceError, match=message):
        run(check)


def test_other_types_than_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CLASSIFICATION, "views", {"labels": {"set": (list[int], list[int])}})
    with pytest.raises(ConformanceError, match="gives ndarray, declares list"):
        run("decodes to the types that it declares")


@pytest.mark.parametrize("unit", [torch.zeros(()), torch.ones(3, 1, 1), torch.ones((), requires_grad=True)])
def test_a_unit_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, unit: Tensor) -> None:
    monkeypatch.setattr(CLASSIFICATION, "unit", lambda self, examples: unit)
    with pytest.raises((ConformanceError, RuntimeError)):
        run("has a positive unit")


class SeesTheOrder(TargetProbability):
    def score(self, features: Tensor, n_rows: int) -> Tensor:
        return features[:, 0].view(-1, n_rows)[:, 0]


class SeesItsBatch(TargetProbability):
    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        probability = logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
        return torch.stack([probability - probability.mean(), kept], 1)


class HasNoGradientAtTies(TargetProbability):
    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        return torch.stack([logits.var(1).sqrt() * kept, kept], 1)


class CannotBeScripted(TargetProbability):
    def score(self, features: Tensor, n_rows: int) -> Tensor:
        return features[:, 0].view(-1, n_rows).mean(1) * float(f"{1:d}".encode().hex())


class HasOneSize(TargetProbability):
    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        return torch.stack([(logits @ torch.ones(10, 1)).squeeze(1), kept], 1)


class HasTwoFeaturesOfOneName(TargetProbability):
    def feature_names(self) -> list[str]:
        return ["probability", "probability"]


class SeesOtherPoints(TargetProbability):
    def score(self, features: Tensor, rows: int) -> Tensor:
        score = super().score(features, rows)
        return score - score.mean()


@pytest.mark.parametrize(
    ("network", "check"),
    [
        (HasTwoFeaturesOfOneName, "has features of the shape and the names it declares"),
        (SeesOtherPoints, "trains on the loss that it returns"),
        (SeesTheOrder, "does not depend on the order of a set"),
        (SeesItsBatch, "evaluates an example alone as among others"),
        (HasNoGradientAtTies, "has finite gradients, however extreme the predictions"),
        (CannotBeScripted, "is the same when scripted"),
        (HasOneSize, "serves every size with the same parameters"),
    ],
)
def test_a_network_that_is_wrong(monkeypatch: pytest.MonkeyPatch, network: type[Any], check: str) -> None:
    run(check)
    monkeypatch.setitem(NETWORKS, "target_probability", network)
    with pytest.raises(Exception):  # noqa: B017, PT011, whatever torch says
        run(check)


@pytest.mark.slow
def test_an_exported_file_that_gives_other_values_or_gradients() -> None:
    checks = ExportCase("classification", "target_probability", "set", 1).checks()
    (check,) = (check for check in checks if str(check).endswith("at all sizes"))
    check()
    loss = exported("classification", "target_probability", "set", seed=1)

    def doubles_the_gradient(*arguments: Tensor) -> Tensor:
        value = loss.loss(*arguments)
        return 2 * value - value.detach()

    program = loss.program
    loss.program = doubles_the_gradient  # type: ignore[assignment]
    with pytest.raises(ConformanceError, match=r"torch\.export program: the gradient for preds of shape \(2, "):
        check()
    loss.program = program
    loss.loss.calibration.stretch(1.001)
    with pytest.raises(ConformanceError, match=r"TorchScript file: the value for preds of shape \(1, "):
        check()


@pytest.mark.slow
def test_a_network_is_exported_once_until_its_class_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = exported("classification", "target_probability", "set")
    assert exported("classification", "target_probability", "set") is first
    monkeypatch.setitem(NETWORKS, "target_probability", type("Other", (TargetProbability,), {}))
    assert exported("classification", "target_probability", "set") is not first


def test_padding_that_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sequence = type(tasks.get("sequence"))
    monkeypatch.setattr(sequence, "padding", {**sequence.padding, "preds_mask": (True, (0,))})
    with pytest.raises(ConformanceError, match="padding changes what a metric is given"):
        run("decodes padded examples alike", "sequence")


def test_examples_are_padded_along_the_axes_that_the_task_tells() -> None:
    task = tasks.get("sequence")
    examples = task.generate(torch.rand(3), torch.Generator().manual_seed(0))
    longer = padded(task, examples)
    n, n_positions, vocabulary = examples.preds.shape
    assert longer.preds.shape == (n, n_positions + 2, vocabulary)
    assert (longer.target[:, -2:] == -100).all()
    assert not longer.extras["preds_mask"][:, -2:].any()


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(NETWORKS):
        monkeypatch.delitem(NETWORKS, name)
    monkeypatch.setattr(surrogates, "networks", lambda task: NETWORKS)
    changed_examples(monkeypatch, lambda e: e.with_preds(-e.preds * torch.rand(())))
    with pytest.raises(ConformanceError, match=r"generates the same again: .*; it has a regular loss that falls"):
        check_task("classification")
