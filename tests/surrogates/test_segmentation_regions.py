"""What the features of the network `regions` are, compared with what SciPy and scikit-learn find in the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor

from autosurrogate import surrogates, tasks

TASK = tasks.get("segmentation")
KINDS = ["areas", "distances", "objects", "certainty"]
CROSS, SQUARE = scipy.ndimage.generate_binary_structure(2, 1), np.ones((3, 3))


def network(temperature: float = 1e-3, head: str = "monotone") -> Any:
    return surrogates.build(TASK, "sample", "regions", kinds=KINDS, temperature=temperature, head=head)


def features(labels: Tensor, target: Tensor, n_classes: int = 3) -> dict[str, float]:
    """Of one image whose argmax is `labels`."""
    preds = 4.0 * F.one_hot(labels, n_classes).movedim(-1, 0)[None].float()
    loss = network()
    values = loss.features(preds, target[None], 1)[0].tolist()
    return dict(zip(loss.network.feature_names(), values, strict=True))


def disc(row: float, column: float, radius: float, side: int = 24) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def labels_of(*shapes: tuple[Tensor, int]) -> Tensor:
    labels = torch.zeros(shapes[0][0].shape, dtype=torch.int64)
    for mask, label in shapes:
        labels[mask] = label
    return labels


def pair() -> tuple[Tensor, Tensor]:
    """A prediction and a target of two shapes; in the prediction one is moved, and there is a third."""
    target = labels_of((disc(7, 7, 4), 1), (disc(17, 16, 3), 2))
    return labels_of((disc(8, 7, 4), 1), (disc(17, 16, 3), 2), (disc(4, 19, 2), 1)), target


def approx(value: float, tolerance: float = 0.01) -> Any:
    return pytest.approx(value, abs=tolerance)


def test_areas_are_those_of_the_labels() -> None:
    predicted, target = pair()
    found = features(predicted, target)
    p, t = predicted.flatten().numpy(), target.flatten().numpy()
    assert found["IoU of foreground"] == approx(sklearn.metrics.jaccard_score(t > 0, p > 0))
    assert found["mean IoU"] == approx(sklearn.metrics.jaccard_score(t, p, average="macro"))
    assert found["worst recall"] == approx(min(sklearn.metrics.recall_score(t, p, average=None)))
    assert found["accuracy of the set"] == approx(sklearn.metrics.accuracy_score(t, p))
    assert found["kappa"] == approx(sklearn.metrics.cohen_kappa_score(t, p), 0.03)
    pairs = sklearn.metrics.cluster.contingency_matrix(t, p)
    assert found["pairs found"] == approx((pairs**2).sum() / (pairs.sum(1) ** 2).sum())


def test_information_is_what_the_labels_leave_open() -> None:
    predicted, target = pair()
    found = features(predicted, target)
    t, p = target.flatten(), predicted.flatten()
    mutual = sklearn.metrics.mutual_info_score(t, p)
    assert found["information found"] == approx(mutual - sklearn.metrics.mutual_info_score(t, t))
    assert found["information right"] == approx(mutual - sklearn.metrics.mutual_info_score(p, p))


def test_distances_are_nearly_those_between_the_boundaries() -> None:
    predicted, target = pair()
    found = features(predicted, target)
    masks = [(labels > 0).numpy() for labels in (predicted, target)]
    edges = [mask & ~scipy.ndimage.binary_erosion(mask, CROSS) for mask in masks]
    distances = [scipy.ndimage.distance_transform_edt(~edge) for edge in edges]
    for way, edge, other in (("found", edges[0], distances[1]), ("true", edges[1], distances[0])):
        assert found[f"{way} within 1"] == approx((other[edge] <= 1.5).mean(), 0.12)
        assert np.expm1(-4 * found[f"mean distance {way}"]) == approx(other[edge].mean(), 0.35)
        assert np.expm1(-4 * found[f"farthest {way}"]) == pytest.approx(other[edge].max(), rel=0.25, abs=0.3)


def test_a_boundary_is_as_far_as_can_be_where_there_is_none() -> None:
    target = labels_of((disc(7, 7, 4), 1))
    none = features(torch.zeros_like(target), target)
    far = features(labels_of((disc(20, 20, 3), 1)), target)
    near = features(labels_of((disc(8, 8, 4), 1)), target)
    for name in ("larger 95 %", "mean distance of both", "farthest found"):
        assert none[name] < far[name] < near[name]


def test_objects_are_compared_one_by_one() -> None:
    predicted, target = pair()
    found = features(predicted, target)
    assert found["objects found"] == approx(1)
    assert found["objects right"] == approx(2 / 3)
    first = sklearn.metrics.jaccard_score(disc(7, 7, 4).flatten(), disc(8, 7, 4).flatten())
    assert found["IoU of objects"] * 2.1 / 2 == approx((first + 1) / 2, 0.03)
    assert found["ratio of objects"] == approx(np.log(3.5 / 2.5) / 3)


@pytest.mark.parametrize("seed", range(4))
def test_objects_and_holes_are_as_many_as_scipy_finds(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, 1, 8, 8, generator=generator)
    labels = (F.interpolate(coarse, (24, 24), mode="bilinear")[:, 0] > 0.2).long()
    found = features(labels[0], labels[1], 2)
    n_objects, n_holes = [], []
    for mask in labels.bool().numpy():
        n_objects.append(scipy.ndimage.label(mask, CROSS)[1])
        n_holes.append(scipy.ndimage.label(np.pad(~mask, 1, constant_values=True), SQUARE)[1] - 1)
    assert np.exp(3 * found["ratio of objects"]) == approx((n_objects[0] + 0.5) / (n_objects[1] + 0.5))
    assert np.expm1(3 * found["holes"]) == approx(n_holes[0])
    assert np.expm1(3 * found["true holes"]) == approx(n_holes[1])
    euler = (n_objects[0] - n_holes[0]) - (n_objects[1] - n_holes[1])
    assert np.exp(-4 * found["near Euler number"]) == approx(np.sqrt(euler**2 + 0.01), 0.05)


def test_a_long_object_is_one_object() -> None:
    spiral = torch.zeros(24, 24, dtype=torch.int64)
    for k in range(0, 24, 4):
        spiral[k] = 1
        spiral[k : k + 5, -1 if k % 8 == 0 else 0] = 1
    assert scipy.ndimage.label(spiral.numpy(), CROSS)[1] == 1
    found = features(spiral, spiral, 2)
    assert np.expm1(3 * found["true objects"]) == approx(1)


def test_certainty_is_that_of_the_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    preds, target = torch.randn(1, 3, 8, 8, generator=generator), torch.randint(3, (1, 8, 8), generator=generator)
    loss = network()
    found = dict(zip(loss.network.feature_names(), loss.features(preds, target, 1)[0].tolist(), strict=True))
    probability, truth = preds.softmax(1), F.one_hot(target, 3).movedim(-1, 1)
    assert found["Brier score"] == approx(-float((probability - truth).square().sum(1).mean()))
    assert found["probability of target"] == approx(float((probability * truth).sum(1).mean()))
    accuracy = float((preds.argmax(1) == target).float().mean())
    assert found["confidence beyond accuracy"] == approx(float(probability.amax(1).mean()) - accuracy)


@pytest.mark.parametrize("what", ["equal logits", "saturated", "all background", "nothing but foreground"])
def test_gradients_and_second_derivatives_are_finite(what: str) -> None:
    _, target = pair()
    preds = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    if what == "equal logits":
        preds = torch.zeros_like(preds)
    elif what == "saturated":
        preds = 9e3 * preds.sign()
    else:
        preds[:, 0] += 30 if what == "all background" else -30
    preds.requires_grad_()
    (gradient,) = torch.autograd.grad(network(0.02, "free")(preds, target[None]), preds, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), preds)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_the_monotone_loss_falls_as_any_quality_rises() -> None:
    torch.manual_seed(0)
    built = network().network
    inputs = torch.randn(50, len(built.feature_names()), requires_grad=True)
    (gradient,) = torch.autograd.grad(built.score(inputs, 1).sum(), inputs)
    n_qualities = built.layers.n_qualities
    assert built.feature_names()[n_qualities] == "ratio of areas"  # the first that may have any effect
    assert (gradient[:, :n_qualities] <= 0).all()
    assert (gradient[:, n_qualities:] > 0).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "other"}, "head must be 'monotone' or 'free', got 'other'"),
        ({"kinds": ["areas", "other"]}, "kinds must be some of areas, distances, objects, certainty, got 'other'"),
    ],
)
def test_unknown_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        surrogates.build(TASK, "set", "regions", **{"kinds": KINDS, **settings})
