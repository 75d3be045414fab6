"""The recipe of the paper's published script for accuracy, rewritten from its description.

A perceptron of four layers, 128 wide, sees the probability of the target class; a set's loss is the mean over its
examples. One forward and one double backward pass for each set, in a loop; ranks by diffsort's matrices with a
steepness of 5, of losses that are not standardised; λ = 10, Adam with 0.01 and a weight decay of 1e-4 (Huang et al.,
ICLR 2022).
"""

from __future__ import annotations

import torch
from diffsort import DiffSortNet
from torch import Tensor, nn

N_SETS, SET_SIZE, N_CLASSES = 256, 128, 10
PENALTY, LEARNING_RATE, WEIGHT_DECAY, STEEPNESS = 10.0, 0.01, 1e-4, 5.0


class Recipe:
    """A network in training.

    Args:
        seed: of its start.
        device: where it is trained.
        n_sets: sets a step.
    """

    def __init__(self, seed: int, device: str, n_sets: int = N_SETS) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            hidden = [layer for _ in range(2) for layer in (nn.Linear(128, 128), nn.ELU())]
            network = nn.Sequential(nn.Linear(1, 128), nn.ELU(), *hidden, nn.Linear(128, 1))
        self.network = network.to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self.sorter = DiffSortNet("bitonic", n_sets, device, steepness=STEEPNESS, distribution="logistic_phi")

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Scalar, of one set: logits (set_size, n_classes), target (set_size,)."""
        probability = logits.softmax(1).gather(1, target[:, None])
        mean: Tensor = self.network(probability).mean()
        return mean

    def objective(self, logits: Tensor, target: Tensor, accuracy: Tensor) -> Tensor:
        """Scalar, of sets: logits (n_sets, set_size, n_classes), target (n_sets, set_size), accuracy (n_sets,)."""
        losses, penalties = [], []
        for set_logits, set_target in zip(logits, target, strict=True):
            set_logits = set_logits.detach().requires_grad_()
            loss = self.loss(set_logits, set_target)
            (gradient,) = torch.autograd.grad(loss, set_logits, create_graph=True)
            losses.append(loss)
            penalties.append((gradient.norm() - 1) ** 2)
        return spearman(self.ranks(torch.stack(losses)), self.ranks(accuracy)) + PENALTY * torch.stack(penalties).mean()

    def ranks(self, values: Tensor) -> Tensor:
        """Soft ranks of a vector."""
        places = torch.arange(1.0, len(values) + 1, device=values.device)
        soft: Tensor = self.sorter(values[None])[1][0] @ places
        return soft

    def step(self, logits: Tensor, target: Tensor, accuracy: Tensor) -> None:
        """One step of the optimiser on a batch of sets."""
        self.optimiser.zero_grad()
        self.objective(logits, target, accuracy).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()


def spearman(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of two vectors of ranks."""
    a, b = a - a.mean(), b - b.mean()
    correlation: Tensor = (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-12)
    return correlation


def random_sets(generator: torch.Generator, n_sets: int = N_SETS, set_size: int = SET_SIZE) -> tuple[Tensor, Tensor]:
    """Uniformly random logits, of which a fraction, random for each set, is corrected.

    Returns:
        Logits (n_sets, set_size, N_CLASSES) and target (n_sets, set_size).
    """
    probability = torch.rand(n_sets, set_size, N_CLASSES, generator=generator)
    target = torch.randint(N_CLASSES, (n_sets, set_size), generator=generator)
    right = torch.rand(n_sets, set_size, generator=generator) < torch.rand(n_sets, 1, generator=generator)
    best = probability.argmax(2)
    swapped = probability.clone()
    swapped.scatter_(2, target[:, :, None], probability.gather(2, best[:, :, None]))
    swapped.scatter_(2, best[:, :, None], probability.gather(2, target[:, :, None]))
    probability = torch.where(right[:, :, None], swapped, probability)
    return probability.clamp(1e-4, 1 - 1e-4).log(), target


def accuracies(logits: Tensor, target: Tensor) -> Tensor:
    """Of each set, shape (n_sets,)."""
    return (logits.argmax(2) == target).float().mean(1)
