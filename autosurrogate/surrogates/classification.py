"""Networks for classification.

Every network is given, for n examples of which each `set_size` make a point:

    logits   (n, C), as models give them: see `bounded`
    target   (n,), int64, 0 where there is none
    kept     (n,), float32: 1 where there is a target, else 0

No parameter depends on C or n.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates import _losses
from autosurrogate.surrogates._layers import FAR, Perceptron, bounded, has_target, matmul, weighted_means
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP
from autosurrogate.surrogates._shapes import expect
from autosurrogate.tasks._perturbations import WHICH_CLASS


def _counts(classes: Tensor, weight: Tensor, n_classes: int) -> Tensor:
    """The weight of each class in each set: classes and weight (n_points, set_size) to (n_points, n_classes)."""
    return torch.zeros((classes.size(0), n_classes), dtype=weight.dtype, device=weight.device).scatter_add(
        1, classes, weight
    )


class TargetProbability(nn.Module):
    """The paper's network (ReLoss, eq. 10): a perceptron on the probability of the target class, averaged.

    Args:
        width: hidden units; 128 in the paper.
        n_hidden: hidden layers; 3, so four layers of weights, in the paper.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 128, n_hidden: int = 3) -> None:
        super().__init__()
        self.layers = Perceptron(1, width, n_hidden, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return ["probability", "kept"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n, 2)."""
        probability = bounded(logits).softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
        return torch.stack([probability * kept, kept], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n // n_rows,)."""
        return weighted_means(self.layers(features[:, :1]), features[:, 1], n_rows).squeeze(1)


class Margin(nn.Module):
    """Margins to the strongest competitors at several temperatures, a perceptron for each example, one for the mean.

    A competitor is any class but the target; the k-th strongest decides top-k accuracy.

    Args:
        temperatures: margins are seen through tanh(margin / (2 · temperature)); small ones see the order alone,
            large ones reach examples far from the border with their gradient.
        n_competitors: how many of the strongest are seen.
        width: hidden units.
        n_outputs: size of the description of an example.
    """

    FEATURE_SETTINGS = ("temperatures", "n_competitors")

    def __init__(self, temperatures: list[float], n_competitors: int = 5, width: int = 32, n_outputs: int = 8) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.n_competitors = n_competitors
        self.example = MonotoneMLP(len(temperatures) * n_competitors, 0, width, 2, n_outputs)
        self.point = MonotoneMLP(n_outputs, 0, width, 1)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return set_size

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return [*(f"margin {k} at {t:g}" for t in self.temperatures for k in range(self.n_competitors)), "kept"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n, n_temperatures * n_competitors + 1)."""
        margins = _margins(logits, target, self.n_competitors)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            features.append(torch.tanh(margins / (2 * temperature)))
        return torch.cat([torch.cat(features, 1) * kept.unsqueeze(1), kept.unsqueeze(1)], 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n // n_rows,)."""
        return self.point(-weighted_means(self.example(features[:, :-1]), features[:, -1], n_rows)).squeeze(1)


class Confusion(nn.Module):
    """Soft counts of each class over the set: what F1, balanced accuracy, MCC and kappa are made of.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    QUALITIES = ("accuracy", "recall", "precision", "f1", "mcc", "kappa")
    CONTEXT = ("chance", "spread")

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        n_context = len(self.CONTEXT) * len(temperatures) + 2
        self.layers = MonotoneMLP(len(self.QUALITIES) * len(temperatures), n_context, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        names = [f"{name} at {t:g}" for t in self.temperatures for name in self.QUALITIES]
        names += [f"{name} at {t:g}" for t in self.temperatures for name in self.CONTEXT]
        return [*names, "classes", "balance"]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        logits, n_classes = bounded(logits), logits.size(1)
        classes, here = target.view(-1, set_size), kept.view(-1, set_size)
        actual = _counts(classes, here, n_classes)
        n = actual.sum(1).clamp_min(1)
        present = (actual > 0).to(logits.dtype)
        n_present = present.sum(1).clamp_min(1)
        balance = actual.square().sum(1) / n.square()
        features: list[Tensor] = []
        context: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (logits / temperature).softmax(1)
            hits = _counts(classes, probability.gather(1, target.unsqueeze(1)).view(-1, set_size) * here, n_classes)
            called = matmul(here.unsqueeze(1), probability.view(-1, set_size, n_classes)).squeeze(1)
            accuracy = hits.sum(1) / n
            recall = (hits / actual.clamp_min(1)).sum(1) / n_present
            precision = (present * hits / (called + 0.1)).sum(1) / n_present
            f1 = (2 * hits / (called + actual + 1e-6)).sum(1) / n_present
            chance = (called * actual).sum(1) / n.square()
            spread = called.square().sum(1) / n.square()
            agreement = accuracy - chance
            mcc = agreement / ((1 - spread) * (1 - balance) + 0.01).sqrt()
            kappa = agreement / (1 - chance + 0.01)
            features += [accuracy, recall, precision, f1, mcc, kappa]
            context += [chance, spread]
        context += [1 / n_present, balance]
        return torch.stack(features + context, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


class Ordinal(nn.Module):
    """How far the predicted class is from the target's: for classes in an order, as those of a weighted kappa.

    Distances are of the numbers of the classes, in standard deviations of those of the targets, and expected under the
    softmax; so are those of predictions and targets drawn apart, which is what a kappa is measured by.

    Args:
        temperatures: of the softmax; small ones see the argmax.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)
    NEEDED_FOR = WHICH_CLASS
    QUALITIES = ("accuracy", "nearness", "squared nearness", "linear kappa", "quadratic kappa", "correlation")

    def __init__(self, temperatures: list[float], width: int = 32, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.layers = MonotoneMLP(len(self.QUALITIES) * len(temperatures), 2, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`."""
        return [
            *(f"{name} at {t:g}" for t in self.temperatures for name in self.QUALITIES),
            "1 / classes",
            "1 / (1 + spread)",
        ]

    def features(self, logits: Tensor, target: Tensor, kept: Tensor, set_size: int) -> Tensor:
        """Shape (n // set_size, n_features)."""
        logits, n_classes = bounded(logits), logits.size(1)
        truth = (
            torch.zeros_like(logits).scatter(1, target.unsqueeze(1), kept.unsqueeze(1)).view(-1, set_size, n_classes)
        )
        n = kept.view(-1, set_size).sum(1, keepdim=True).clamp_min(1)
        actual = truth.sum(1) / n
        place = torch.arange(n_classes, dtype=logits.dtype, device=logits.device)
        own = (truth * place).sum(2)  # the target's number, (n_points, set_size)
        here = kept.view(-1, set_size)
        middle = (own * here).sum(1, keepdim=True) / n
        spread = (((own - middle).square() * here).sum(1, keepdim=True) / n + 0.01).sqrt()
        away = (place - own.unsqueeze(2)).abs() / spread.unsqueeze(2)  # (n_points, set_size, C)
        apart = (place.unsqueeze(1) - place).abs().unsqueeze(0) / spread.unsqueeze(2)  # (n_points, C, C)
        features: list[Tensor] = []
        for temperature in self.temperatures:
            probability = (logits / temperature).softmax(1) * kept.unsqueeze(1)
            probability = probability.view(-1, set_size, n_classes)
            called = probability.sum(1) / n
            distance, square = ((probability * d).sum(2).sum(1) / n.squeeze(1) for d in (away, away.square()))
            by_chance, square_by_chance = (
                matmul(matmul(called.unsqueeze(1), d), actual.unsqueeze(2)).view(-1) for d in (apart, apart.square())
            )
            centre = (called * place).sum(1, keepdim=True)
            reach = ((called * (place - centre).square()).sum(1) + 0.01).sqrt()
            products = (probability * (place - centre).unsqueeze(1)).sum(2) * (own - middle)
            features += [
                (probability * truth).sum(2).sum(1) / n.squeeze(1),
                1 / (1 + distance),
                1 / (1 + square),
                1 - distance / (by_chance + 0.02),
                1 - square / (square_by_chance + 0.02),
                products.sum(1) / n.squeeze(1) / (reach * spread.squeeze(1)),
            ]
        features += [1 / (actual > 0).to(logits.dtype).sum(1).clamp_min(1), 1 / (1 + spread.squeeze(1))]
        return torch.stack(features, 1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _margins(logits: Tensor, target: Tensor, n_competitors: int, far: float = FAR) -> Tensor:
    """The target's logit less those of the strongest others, shape (n, n_competitors); `far` where there are fewer."""
    n_classes = logits.size(1)
    fixed = logits.detach().to(torch.float32)
    if not torch.jit.is_scripting() or n_classes <= n_competitors:  # type: ignore[attr-defined]
        fixed = F.pad(fixed, (0, n_competitors + 1), value=-float("inf"))  # an exported program serves any number
    best = fixed.topk(n_competitors + 1, 1)[1]
    # The target goes to the end if it is among them, and so does what stands for classes that there are not.
    none = (best == target.unsqueeze(1)) | (best >= n_classes)
    last = torch.argsort(none.to(torch.uint8), dim=1, stable=True)[:, :n_competitors]
    best, none = best.gather(1, last).clamp(max=n_classes - 1), none.gather(1, last)
    both = bounded(logits.gather(1, torch.cat([target.unsqueeze(1), best], 1)))  # only these are copied
    margins = (both[:, :1] - both[:, 1:]).clamp(max=far)
    return torch.where(none, torch.full_like(margins, far), margins)


NETWORKS = {"margin": Margin, "confusion": Confusion, "ordinal": Ordinal, "target_probability": TargetProbability}


class SetLoss(_losses.SetLoss):
    """The loss of a whole batch as one set: preds are logits (n, C), target classes (n,), of which -100 is left out."""

    def features(self, preds: Tensor, target: Tensor, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        fits = preds.dim() == 2 and target.dim() == 1 and preds.size(0) == target.size(0)
        expect(fits, preds, target, "logits (n, C) and classes (n,)")
        kept = has_target(target)
        return self.network.features(preds, target.long() * kept, kept.to(torch.float32), set_size)


class SampleLoss(_losses.TargetedSampleLoss, SetLoss):
    """The mean loss of the examples of a batch that have a target."""

    def valid(self, target: Tensor) -> Tensor:
        """Which examples have a target, bool (n,)."""
        return has_target(target)
