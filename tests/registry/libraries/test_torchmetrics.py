from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch

from autosurrogate.errors import MetricError
from autosurrogate.metrics.map import map as average_precision
from autosurrogate.metrics.miou import miou
from autosurrogate.metrics.ndcg import ndcg
from autosurrogate.metrics.rougeL import rougeL
from autosurrogate.metrics.wer import wer
from autosurrogate.registry.lookup import find
from autosurrogate.testing.metrics import metric_checks

RNG = np.random.default_rng(0)
TARGET = RNG.integers(0, 4, 50)
PROBABILITIES = RNG.dirichlet(np.ones(4), 50).astype(np.float32)
CALLED = PROBABILITIES.argmax(1)
POSITIVE, CHANCE = (RNG.random(50) < 0.3).astype(np.int64), RNG.random(50).astype(np.float32)
LABELS, CHANCES = (RNG.random((50, 3)) < 0.4).astype(np.int64), RNG.random((50, 3)).astype(np.float32)
VALUES = RNG.normal(size=(50, 2)).astype(np.float32)
PREDICTED = VALUES + RNG.normal(size=(50, 2)).astype(np.float32)
RELEVANCE, SCORES = RNG.integers(0, 4, 20), RNG.normal(size=20).astype(np.float32)
TEXTS = ["1 2 3 4 5", "7 8", "9 9 4 1"], ["1 2 3 5 4", "7 8 8", "9 4 1"]
PIXELS = RNG.integers(0, 3, (6, 8, 9))
MASKS = RNG.normal(size=(6, 3, 8, 9)).astype(np.float32) + 2 * np.moveaxis(np.eye(3)[PIXELS], -1, 1).astype(np.float32)

s = sklearn.metrics
BINARY, CLASSES, MANY = ("scores", "binary"), ("classification", "probabilities"), ("scores", "multilabel")
CASES: dict[str, tuple[tuple[str, str], bool, tuple[Any, Any], float]] = {
    "BinaryF1Score": (BINARY, True, (CHANCE, POSITIVE), s.f1_score(POSITIVE, CHANCE > 0.5)),
    "F1Score?task=binary&threshold=0.2": (BINARY, True, (CHANCE, POSITIVE), s.f1_score(POSITIVE, CHANCE > 0.2)),
    "BinaryFBetaScore?beta=2": (BINARY, True, (CHANCE, POSITIVE), s.fbeta_score(POSITIVE, CHANCE > 0.5, beta=2)),
    "MatthewsCorrCoef?task=multiclass": (CLASSES, True, (PROBABILITIES, TARGET), s.matthews_corrcoef(TARGET, CALLED)),
    "MulticlassHammingDistance?average=micro": (CLASSES, False, (PROBABILITIES, TARGET), (CALLED != TARGET).mean()),
    "Accuracy?task=multiclass&top_k=3&average=micro": (
        CLASSES, True, (PROBABILITIES, TARGET), s.top_k_accuracy_score(TARGET, PROBABILITIES, k=3)
    ),
    "TweedieDevianceScore?higher_is_better=false": (
        ("values", "values"), False, (PREDICTED, VALUES), s.mean_squared_error(VALUES, PREDICTED)
    ),
    "MultilabelF1Score": (MANY, True, (CHANCES, LABELS), s.f1_score(LABELS, CHANCES > 0.5, average="macro")),
    "AUROC?task=multilabel": (MANY, True, (CHANCES, LABELS), s.roc_auc_score(LABELS, CHANCES)),
    "MultilabelCoverageError": (MANY, False, (CHANCES, LABELS), s.coverage_error(LABELS, CHANCES)),
    "BinarySpecificity?higher_is_better=true": (
        BINARY, True, (CHANCE, POSITIVE), s.recall_score(POSITIVE, CHANCE > 0.5, pos_label=0)
    ),
    "MeanAbsoluteError": (("values", "values"), False, (PREDICTED, VALUES), s.mean_absolute_error(VALUES, PREDICTED)),
    "R2Score": (("values", "values"), True, (PREDICTED, VALUES), s.r2_score(VALUES, PREDICTED)),
    "R2Score?multioutput=raw_values": (("values", "values"), True, (PREDICTED, VALUES), s.r2_score(VALUES, PREDICTED)),
    "WordErrorRate": (("sequence", "text"), False, TEXTS, wer(*[[text.split() for text in side] for side in TEXTS])),
    "ROUGEScore?rouge_keys=rougeL&key=rougeL_fmeasure": (
        ("sequence", "text"), True, TEXTS, float(np.mean([rougeL(*pair) for pair in zip(*TEXTS, strict=True)]))
    ),
    "RetrievalMAP": (("ranking", "lists"), True, (SCORES, RELEVANCE), average_precision(SCORES, RELEVANCE)),
    "RetrievalNormalizedDCG?top_k=10": (("ranking", "lists"), True, (SCORES, RELEVANCE), ndcg(SCORES, RELEVANCE)),
    "NormalizedMutualInfoScore?higher_is_better=true": (
        ("classification", "labels"), True, (CALLED, TARGET), s.normalized_mutual_info_score(TARGET, CALLED)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_declared_by_its_domain_and_computed_by_the_library(name: str) -> None:
    (task, view), higher_is_better, point, expected = CASES[name]
    found = find(f"torchmetrics:{name}")
    assert (found.task, found.view, found.level) == (task, view, "sample" if task == "ranking" else "set")
    assert found.higher_is_better == higher_is_better
    assert found.source == "torchmetrics"
    again = pickle.loads(pickle.dumps(found))
    for one in (found, found, again):  # it remembers nothing of the point before
        assert float(one.function(*point)) == pytest.approx(expected, abs=1e-5)


def test_n_grams_see_each_reference_as_one() -> None:
    preds, target = ["1 2 3 4 5"], ["1 2 3 4 5"]
    assert float(find("torchmetrics:BLEUScore").function(preds, target)) == 1


def test_pixels_of_the_classes_of_an_image() -> None:
    found = find("torchmetrics:MeanIoU")
    assert (found.task, found.view) == ("segmentation", "probabilities")
    one = float(found.function(MASKS[:1], PIXELS[:1]))
    assert one == pytest.approx(miou(MASKS[:1].argmax(1), PIXELS[:1]), abs=1e-5)
    assert found.function(MASKS, np.where(PIXELS == 2, -100, PIXELS)) > 0


def test_associations_of_classes_whatever_classes_there_are() -> None:
    found = find("torchmetrics:CramersV?bias_correction=false")
    assert float(found.function(TARGET, TARGET)) == pytest.approx(1, abs=1e-5)
    assert float(found.function(TARGET % 2, TARGET % 2)) == pytest.approx(1, abs=1e-5)


def test_it_leaves_its_arguments_alone_and_warns_of_nothing() -> None:
    checks = {check.name: check for check in metric_checks("torchmetrics:SpearmanCorrCoef", bounds=(-1, 1))}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks["is deterministic and leaves its arguments unchanged"].run()
        checks["is better for better predictions"].run()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("F1Scor", "did you mean F1Score"),
        ("F1Score", "its kind must be set: task=binary or task=multiclass or task=multilabel"),
        ("F1Score?task=two", "got task=two"),
        ("BinaryFBetaScore", "missing 1 required positional argument: 'beta'"),
        ("BinaryF1Score?threshold=3", "it cannot be created: ValueError"),
        ("BinaryF1Score?treshold=3", "did you mean 'threshold'"),
        ("BinarySpecificity", "set higher_is_better=true or higher_is_better=false"),
        ("BinaryF1Score?higher_is_better=up", "higher_is_better must be true or false, got 'up'"),
        ("MulticlassF1Score?num_classes=5", "no parameter 'num_classes'"),
        ("bleuscore", "did you mean BLEUScore"),
        ("BinaryFairness?num_groups=2", "but preds: torch.Tensor, target: torch.Tensor, groups: torch.Tensor"),
        ("SQuAD", "it does not take predictions and targets as a task has them, but"),
        ("FleissKappa", "it does not take predictions and targets as a task has them, but"),
        ("PeakSignalNoiseRatio", "no task has the kind of prediction of torchmetrics.image"),
        ("MinMaxMetric", "no task has the kind of prediction of torchmetrics.wrappers"),
    ],
)
def test_wrong_specs_are_refused_with_what_to_do(spec: str, says: str) -> None:
    with pytest.raises(MetricError) as error:
        find(f"torchmetrics:{spec}")
    assert says in str(error.value)
    assert f"torchmetrics:{spec}" in str(error.value)


def test_what_a_class_says_wrongly_of_itself_is_set_right() -> None:
    assert find("torchmetrics:WordInfoPreserved").higher_is_better
    assert not find("torchmetrics:WordInfoLost").higher_is_better
    assert not find("torchmetrics:BinaryF1Score?higher_is_better=no").higher_is_better  # the user has the last word


def test_of_fewer_classes_than_k_all_are_the_first_k() -> None:
    assert float(find("torchmetrics:Accuracy?task=multiclass&top_k=5").function(PROBABILITIES, TARGET)) == 1


def test_a_class_of_several_numbers_asks_which() -> None:
    with pytest.raises(MetricError, match="key=, one of rougeL_fmeasure, rougeL_precision, rougeL_recall"):
        find("torchmetrics:ROUGEScore?rouge_keys=rougeL").function(*TEXTS)


def test_its_state_is_empty_after_a_call_that_failed() -> None:
    found = find("torchmetrics:BinaryF1Score")
    with pytest.raises((ValueError, RuntimeError)):
        found.function(CHANCE, TARGET)
    assert float(found.function(CHANCE, POSITIVE)) == pytest.approx(CASES["BinaryF1Score"][3], abs=1e-6)


def test_gradients_are_not_recorded() -> None:
    value = find("torchmetrics:MeanAbsoluteError").function(PREDICTED, VALUES)
    assert not torch.as_tensor(value).requires_grad
