"""A random network in place of a metric: does a small loss that ranks as it lead better than one that approximates it?

    python -m studies.paper.toy

As figure 2 of ReLoss (Huang et al., ICLR 2022): both losses are the same network, trained on the same inputs with the
same optimiser and gradient penalty. Then inputs are moved along each loss's gradient, by the same distance, and the
random network is evaluated again. Appends a row for each random network to `--results`; those that have a row are not
trained again.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autosurrogate.rank_correlation.statistics import spearman
from autosurrogate.training.objective import approximation, correlation, hard_rank
from studies import rows
from studies.figures import save

RESULTS = Path(__file__).parents[1] / "results" / "toy.jsonl"
N_INPUTS, N_TRAIN, N_HELD_OUT = 16, 4096, 1024
N_STEPS, BATCH, EVERY = 600, 256, 50
PENALTY = 0.1
STEP, N_DESCENT = 0.1, 40  # L2, along the normalised gradient of each input
OBJECTIVES = ("correlation", "approximation")
HEAD = """
### Figure 2: a random network as the metric

`python -m studies.paper.toy`: two networks of {n_parameters} parameters each, one trained to rank inputs as the
random network does, one to approximate its values; mean and standard deviation over {n} random networks. *Gained*: how
much the random network rises, in standard deviations of its values, as inputs are moved along the loss by an L2
distance of 1 and of 4.

| trained for | rank correlation, in per cent | gained at 1 | gained at 4 |
| --- | --- | --- | --- |
"""


def random_network(seed: int) -> nn.Module:
    """Inputs (n, N_INPUTS) to one number each, rough enough that a small network cannot follow it everywhere."""
    torch.manual_seed(seed)
    layers = [nn.Linear(N_INPUTS, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1), nn.Flatten(0)]
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=1.5 * layer.in_features**-0.5)
    return nn.Sequential(*layers).requires_grad_(False)


def surrogate() -> nn.Module:
    """The network of both losses."""
    hidden = [nn.Linear(N_INPUTS, 16), nn.ELU(), nn.Linear(16, 16), nn.ELU()]
    return nn.Sequential(*hidden, nn.Linear(16, 1), nn.Flatten(0))


def measure(seed: int, n_steps: int = N_STEPS) -> dict[str, Any]:
    """Train both losses for one random network, higher of which is better.

    Args:
        seed: of everything random.
        n_steps: of training.

    Returns:
        For each objective, the rank correlations on held-out inputs during training, by step, and what the random
        network gains during descent, by distance, in standard deviations of its values.
    """
    metric = random_network(seed)
    inputs = torch.randn(N_TRAIN + N_HELD_OUT, N_INPUTS)
    values = metric(inputs)
    train, held_out = inputs[:N_TRAIN], inputs[N_TRAIN:]
    row: dict[str, Any] = {"seed": seed}
    for objective in OBJECTIVES:
        torch.manual_seed(seed)
        loss = surrogate()
        curve = _trained(loss, train, values[:N_TRAIN], objective, (held_out, values[N_TRAIN:]), n_steps)
        gains = _descended(loss, held_out, metric, float(values.std()))
        row[objective] = {"rank": curve, "gained": gains}
    return row


def _trained(
    loss: nn.Module, inputs: Tensor, values: Tensor, objective: str, held_out: tuple[Tensor, Tensor], n_steps: int
) -> dict[int, float]:
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.01, weight_decay=1e-4)
    badness = (values.max() - values) / (values.max() - values.min())
    curve = {}
    for step in range(1, n_steps + 1):
        index = torch.randperm(len(inputs))[:BATCH]
        batch = inputs[index].requires_grad_(True)
        losses = loss(batch)
        if objective == "correlation":
            value = -correlation(losses, hard_rank(badness[index]), method="pairwise", steepness=8.0)
        else:
            value = approximation(losses, badness[index])
        (gradient,) = torch.autograd.grad(losses.sum(), batch, create_graph=True)
        unit = 1.0 if objective == "correlation" else float(badness.std())  # the slope that suits the values' range
        penalty = (gradient.norm(dim=1) - unit).square().mean()
        optimiser.zero_grad()
        (value + PENALTY * penalty).backward()
        optimiser.step()
        if step % EVERY == 0:
            curve[step] = _rank(loss, *held_out)
    return curve


@torch.no_grad()
def _rank(loss: nn.Module, inputs: Tensor, values: Tensor) -> float:
    return -spearman(loss(inputs).double().numpy(), values.double().numpy())


def _descended(loss: nn.Module, inputs: Tensor, metric: nn.Module, unit: float) -> dict[float, float]:
    before, descended, gains = metric(inputs), inputs.clone(), {}
    for k in range(1, N_DESCENT + 1):
        descended.requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(descended).sum(), descended)
        descended = (descended - STEP * nn.functional.normalize(gradient, dim=1)).detach()
        gains[round(k * STEP, 1)] = float((metric(descended) - before).mean()) / unit
    return gains


def section(measured: Sequence[Mapping[str, Any]]) -> str:
    """The section of docs/measurements/results.md; empty if nothing is measured."""
    if not measured:
        return ""
    text = HEAD.format(n_parameters=sum(p.numel() for p in surrogate().parameters()), n=len(measured))
    for objective in OBJECTIVES:
        last = str(max(map(int, measured[0][objective]["rank"])))
        figures = [[100 * row[objective]["rank"][last] for row in measured]]
        figures += [[row[objective]["gained"][distance] for row in measured] for distance in ("1.0", "4.0")]
        shown = [f"{statistics.fmean(column):.2f} ± {np.std(column, ddof=1):.2f}" for column in figures]
        text += f"| {objective} | {' | '.join(shown)} |\n"
    return text


def plot(measured: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Rank correlation during training, and what is gained during descent, mean over the random networks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = {"rank": ("step of training", "rank correlation"), "gained": ("distance moved", "gained")}
    for axes, (name, labels) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for objective in OBJECTIVES:
            keys = [*measured[0][objective][name]]
            means = [statistics.fmean(row[objective][name][key] for row in measured) for key in keys]
            axes.plot([float(key) for key in keys], means, label=objective)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        axes.legend(fontsize="small")
    save(figure, path)


def main() -> None:
    """Measure the networks that have no row yet."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.paper.toy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=10, help="random networks (10)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    measured = {row["seed"] for row in rows.read(options.results)}
    for seed in sorted(set(range(options.seeds)) - measured):
        rows.append(options.results, measure(seed))
    print(section([*rows.read(options.results)]))


if __name__ == "__main__":
    main()
