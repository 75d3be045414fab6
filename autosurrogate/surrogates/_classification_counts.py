"""Networks for metrics of how often which class is predicted: F1, MCC, kappa, weighted kappa."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates._classification_margins import margins_to_strongest, relative_to_mean, ties_broken
from autosurrogate.surrogates._layers import bounded, matmul
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.tasks._perturbations import WHICH_CLASS


class Confusion(nn.Module):
    """Soft counts of each class over the set: what F1, balanced accuracy, MCC and kappa are made of.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        relative_temperatures: the same of logits relative to the mean margin of the set, which see the order at any
            scale of the logits.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")
    relative_temperatures: list[float]  # which may be empty
    QUALITIES = ("accuracy", "recall", "precision", "f1", "mcc", "kappa")
    CONTEXT = ("chance", "spread")

    def __init__(
        self,
        temperatures: list[float],
        width: int = 32,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        n_temperatures = len(temperatures) + len(relative_temperatures)
        n_context = len(self.CONTEXT) * n_temperatures + 2
        self.layers = MonotoneMLP(len(self.QUALITIES) * n_temperatures, n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        temperatures = names_of(self.temperatures, self.relative_temperatures)
        names = [f"{name} {t}" for t in temperatures for name in self.QUALITIES]
        names += [f"{name} {t}" for t in temperatures for name in self.CONTEXT]
        return [*names, "classes", "balance"]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        logits, n_classes = bounded(logits), logits.size(1)
        classes, weight = target.view(-1, set_size), valid.view(-1, set_size)
        actual = _counts(classes, weight, n_classes)
        n = actual.sum(1).clamp_min(1)
        present = (actual > 0).to(logits.dtype)
        n_present = present.sum(1).clamp_min(1)
        balance = actual.square().sum(1) / n.square()
        features: list[Tensor] = []
        context: list[Tensor] = []
        for sharpened in _at_temperatures(
            logits, target, valid, set_size, self.temperatures, self.relative_temperatures
        ):
            probability = sharpened.softmax(1)
            hits = _counts(classes, probability.gather(1, target.unsqueeze(1)).view(-1, set_size) * weight, n_classes)
            predicted = matmul(weight.unsqueeze(1), probability.view(-1, set_size, n_classes)).squeeze(1)
            accuracy = hits.sum(1) / n
            recall = (hits / actual.clamp_min(1)).sum(1) / n_present
            precision = (present * hits / (predicted + 0.1)).sum(1) / n_present
            f1 = (2 * hits / (predicted + actual + 1e-6)).sum(1) / n_present
            chance = (predicted * actual).sum(1) / n.square()
            spread = predicted.square().sum(1) / n.square()
            agreement = accuracy - chance
            mcc = agreement / ((1 - spread) * (1 - balance) + 0.01).sqrt()
            kappa = agreement / (1 - chance + 0.01)
            features += [accuracy, recall, precision, f1, mcc, kappa]
            context += [chance, spread]
        context += [1 / n_present, balance]
        return torch.stack(features + context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Ordinal(nn.Module):
    """How far the predicted class is from the target's: for classes in an order, as those of a weighted kappa.

    Distances are differences of class indices, in standard deviations of the targets' indices, expected under the
    softmax. A kappa compares them with the distances of predictions from targets that are paired at random.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        relative_temperatures: the same of logits relative to the mean margin of the set, which see the order at any
            scale of the logits.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures", "relative_temperatures")
    relative_temperatures: list[float]  # which may be empty
    NEEDED_FOR = WHICH_CLASS
    QUALITIES = ("accuracy", "nearness", "squared nearness", "linear kappa", "quadratic kappa", "correlation")

    def __init__(
        self,
        temperatures: list[float],
        width: int = 32,
        n_hidden: int = 2,
        relative_temperatures: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        n_temperatures = len(temperatures) + len(relative_temperatures)
        self.layers = MonotoneMLP(len(self.QUALITIES) * n_temperatures, 2, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return [
            *(
                f"{name} {t}"
                for t in names_of(self.temperatures, self.relative_temperatures)
                for name in self.QUALITIES
            ),
            "1 / classes",
            "1 / (1 + spread)",
        ]

    def features(self, logits: Tensor, target: Tensor, valid: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        logits, n_classes = bounded(logits), logits.size(1)
        truth = (
            torch.zeros_like(logits).scatter(1, target.unsqueeze(1), valid.unsqueeze(1)).view(-1, set_size, n_classes)
        )
        n = valid.view(-1, set_size).sum(1, keepdim=True).clamp_min(1)
        actual = truth.sum(1) / n
        place = torch.arange(n_classes, dtype=logits.dtype, device=logits.device)
        index = (truth * place).sum(2)  # of the target's class, (n_points, set_size)
        weight = valid.view(-1, set_size)
        mean = (index * weight).sum(1, keepdim=True) / n
        spread = (((index - mean).square() * weight).sum(1, keepdim=True) / n + 0.01).sqrt()
        to_target = (place - index.unsqueeze(2)).abs() / spread.unsqueeze(2)  # (n_points, set_size, C)
        of_classes = (place.unsqueeze(1) - place).abs().unsqueeze(0) / spread.unsqueeze(2)  # (n_points, C, C)
        features: list[Tensor] = []
        for sharpened in _at_temperatures(
            logits, target, valid, set_size, self.temperatures, self.relative_temperatures
        ):
            probability = sharpened.softmax(1) * valid.unsqueeze(1)
            probability = probability.view(-1, set_size, n_classes)
            predicted = probability.sum(1) / n
            distance, square = ((probability * d).sum(2).sum(1) / n.squeeze(1) for d in (to_target, to_target.square()))
            by_chance, square_by_chance = (
                matmul(matmul(predicted.unsqueeze(1), d), actual.unsqueeze(2)).view(-1)
                for d in (of_classes, of_classes.square())
            )
            centre = (predicted * place).sum(1, keepdim=True)
            predicted_spread = ((predicted * (place - centre).square()).sum(1) + 0.01).sqrt()
            products = (probability * (place - centre).unsqueeze(1)).sum(2) * (index - mean)
            features += [
                (probability * truth).sum(2).sum(1) / n.squeeze(1),
                1 / (1 + distance),
                1 / (1 + square),
                1 - distance / (by_chance + 0.02),
                1 - square / (square_by_chance + 0.02),
                products.sum(1) / n.squeeze(1) / (predicted_spread * spread.squeeze(1)),
            ]
        features += [1 / (actual > 0).to(logits.dtype).sum(1).clamp_min(1), 1 / (1 + spread.squeeze(1))]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def names_of(temperatures: Sequence[float], relative_temperatures: Sequence[float]) -> list[str]:
    """A name for each temperature: of the logits as they are, then relative."""
    return [*(f"at {t:g}" for t in temperatures), *(f"relative {t:g}" for t in relative_temperatures)]


def _at_temperatures(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    set_size: int,
    temperatures: list[float],
    relative_temperatures: list[float],
) -> list[Tensor]:
    """Logits divided by each temperature: as they are, then relative to the mean margin of the set."""
    sharpened = [logits / temperature for temperature in temperatures]
    if len(relative_temperatures) > 0:
        margins = margins_to_strongest(logits, target, 5)
        relative = relative_to_mean(ties_broken(logits), margins, valid, set_size)
        sharpened += [relative / temperature for temperature in relative_temperatures]
    return sharpened


def _counts(classes: Tensor, weight: Tensor, n_classes: int) -> Tensor:
    """The weight of each class in each set: classes and weight (n_points, set_size) to (n_points, n_classes)."""
    return torch.zeros((classes.size(0), n_classes), dtype=weight.dtype, device=weight.device).scatter_add(
        1, classes, weight
    )
