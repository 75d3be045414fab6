"""Networks for sequences.

Every network is given, for n examples of which each `set_size` make a point:

    logits   (n, T, V), float32, finite
    keep     (n, T), bool: the positions of the hypothesis
    target   (n, S), int64, the tokens of the reference first, 0 where there is no token
    real     (n, S), bool: the tokens of the reference

No parameter depends on T, S, V or n.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autosurrogate.surrogates._layers import Linear, Perceptron, bounded, has_target, matmul


class TargetAttention(nn.Module):
    """The paper's network for translation: self-attention over the probabilities of the target's tokens.

    Token t of the hypothesis is compared with token t of the reference, as cross-entropy does.

    Args:
        width: size of the description of a token.
        n_layers: layers of self-attention.
    """

    FEATURE_SETTINGS = ()

    def __init__(self, width: int = 32, n_layers: int = 1) -> None:
        super().__init__()
        self.embed = Linear(1, width)
        self.layers = nn.ModuleList([_SelfAttention(width) for _ in range(n_layers)])
        self.head = Linear(width, 1)

    def rows(self, set_size: int) -> int:
        """Rows of `features` a point."""
        return set_size

    def columns(self) -> list[str]:
        """Names of the columns of `features`: none, as their number is that of the positions."""
        return []

    def features(self, logits: Tensor, keep: Tensor, target: Tensor, real: Tensor, set_size: int) -> Tensor:
        """Shape (n, 2T): by position, the probability of its target and whether there is one."""
        n_positions = logits.size(1)
        place = (keep.cumsum(1) - 1).clamp_min(0)  # of a position among those of the hypothesis
        target = F.pad(target, (0, n_positions)).gather(1, place)
        both = (keep & F.pad(real, (0, n_positions)).gather(1, place)).to(logits.dtype)
        probability = logits.softmax(2).gather(2, target.unsqueeze(2)).squeeze(2)
        return torch.stack([probability * both, both], 2).flatten(1)

    def score(self, features: Tensor, rows: int) -> Tensor:
        """One number a point, shape (n // rows,)."""
        tokens = features.view(features.size(0), -1, 2)
        here = tokens[:, :, 1:]
        hidden = self.embed(tokens[:, :, :1])
        for layer in self.layers:
            hidden = layer(hidden, here)
        mean = (hidden * here).sum(1) / here.sum(1).clamp_min(1)
        return self.head(mean).view(-1, rows).mean(1)


class _SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = Linear(width, width), Linear(width, width), Linear(width, width)
        self.forward_layers = Perceptron(width, width, 1, width)
        self.temperature = width**0.5

    def forward(self, hidden: Tensor, here: Tensor) -> Tensor:
        # Written out: the fused kernels of scaled_dot_product_attention have no second derivative.
        weights = matmul(self.query(hidden), self.key(hidden).transpose(1, 2)) / self.temperature
        weights = (weights - 1e4 * (1 - here.transpose(1, 2))).softmax(2)
        hidden = hidden + matmul(weights, self.value(hidden))
        return hidden + self.forward_layers(hidden)


class Match(nn.Module):
    """Soft n-gram matches, and lengths, at several temperatures.

    The match matrix A[t, s] = p_t(reference token s) at each temperature; products along its diagonals are soft
    matches of n-grams. Counted from the reference, from the hypothesis, and clipped as BLEU clips (Papineni et al.,
    ACL 2002): no n-gram counts more often than the reference has it.

    Args:
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        width: hidden units.
        n_hidden: hidden layers.
    """

    FEATURE_SETTINGS = ("temperatures",)

    def __init__(self, temperatures: list[float], width: int = 96, n_hidden: int = 2) -> None:
        super().__init__()
        self.temperatures = [float(t) for t in temperatures]
        self.layers = Perceptron(len(self.columns()), width, n_hidden, 1)

    def rows(self, set_size: int) -> int:
        """Rows of `features` a point: the examples of a point are summed before any ratio is taken."""
        return 1

    def columns(self) -> list[str]:
        """Names of the columns of `features`."""
        names = ["diagonal below", "diagonal", "diagonal above"]
        names += [f"{kind} {order}" for kind in ("precision", "recalled", "covered") for order in (1, 2, 3, 4)]
        names += ["geometric mean", "of hypothesis", "of reference", "of longer"]
        lengths = ["brevity", "length ratio", "1 / length", "1 / reference length"]
        return [f"{name} at {t:g}" for t in self.temperatures for name in names] + lengths

    def features(self, logits: Tensor, keep: Tensor, target: Tensor, real: Tensor, set_size: int) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters."""
        # The hypothesis's positions first, so that its n-grams lie on diagonals.
        order = torch.argsort((~keep).to(torch.uint8), dim=1, stable=True)
        reference_logits = logits.gather(2, target.unsqueeze(1).expand(-1, logits.size(1), -1))
        reference_logits = reference_logits.gather(1, order.unsqueeze(2).expand(-1, -1, target.size(1)))
        keep = keep.gather(1, order)
        both = (keep.unsqueeze(2) & real.unsqueeze(1)).to(logits.dtype)
        same = (target.unsqueeze(2) == target.unsqueeze(1)) & real.unsqueeze(2) & real.unsqueeze(1)
        same_token = same.to(logits.dtype)
        same_grams, repeats = same_token, [same_token.sum(2).clamp_min(1)]
        for n in range(1, 4):
            same_grams = same_grams * _shifted(same_token, n)
            repeats.append(same_grams.sum(2).clamp_min(1))  # how often the reference has the n-gram

        matches: list[Tensor] = []
        for temperature in self.temperatures:
            normaliser = torch.logsumexp(logits / temperature, 2).gather(1, order)
            match = torch.exp(reference_logits / temperature - normaliser.unsqueeze(2)) * both
            padded = F.pad(match, (0, 2, 0, 2))  # an exported program does not serve diagonals of length 1
            for shift in (-1, 0, 1):
                matches.append(torch.diagonal(padded, shift, 1, 2).sum(1))
            grams = match
            for n in range(4):
                if n > 0:
                    grams = grams * _shifted(match, n)
                matches.append((torch.minimum(grams.sum(1), repeats[n]) / repeats[n]).sum(1))
                matches.append(grams.amax(1).sum(1))
                matches.append(grams.amax(2).sum(1))
        counts = torch.stack([keep.sum(1), real.sum(1)], 1).to(logits.dtype).unsqueeze(2)
        counts = (counts - torch.arange(4, dtype=logits.dtype, device=logits.device)).clamp_min(0)
        return self._ratios(
            torch.stack(matches, 1).view(-1, set_size, len(matches)).sum(1), counts.view(-1, set_size, 2, 4).sum(1)
        )

    def _ratios(self, matches: Tensor, counts: Tensor) -> Tensor:
        """Shares of n-grams that match: matches (n_points, 15 · n_temperatures), counts (n_points, 2, 4)."""
        matched = matches.view(-1, len(self.temperatures), 15)
        grams = matched[:, :, 3:].reshape(-1, len(self.temperatures), 4, 3)
        clipped = grams[:, :, :, 0]
        hypothesis, reference = counts[:, :1], counts[:, 1:]  # numbers of n-grams, (n_points, 1, 4)
        length, reference_length = hypothesis[:, :, :1], reference[:, :, :1]
        brevity = (1 - reference_length / length.clamp_min(1)).clamp(min=-4.0, max=0.0)
        n_orders = (hypothesis > 0).to(matches.dtype).sum(2, keepdim=True).clamp_min(1)
        precision = torch.log((clipped + 0.25) / (hypothesis + 0.25))
        total = clipped.sum(2, keepdim=True)
        all_hypothesis, all_reference = hypothesis.sum(2, keepdim=True), reference.sum(2, keepdim=True)
        shares = [
            matched[:, :, :3] / reference_length.clamp_min(1),
            precision / 2,
            grams[:, :, :, 1] / reference.clamp_min(1),
            grams[:, :, :, 2] / hypothesis.clamp_min(1),
            (precision.sum(2, keepdim=True) / n_orders + brevity) / 2,
            total / all_hypothesis.clamp_min(1),
            total / all_reference.clamp_min(1),
            total / torch.maximum(all_hypothesis, all_reference).clamp_min(1),
        ]
        ratio = (length / reference_length.clamp_min(1)).clamp(max=4.0)
        lengths = [brevity, ratio, 1 / length.clamp_min(1), 1 / reference_length.clamp_min(1)]
        return torch.cat([torch.cat(shares, 2).flatten(1), torch.cat(lengths, 2).flatten(1)], 1)

    def score(self, features: Tensor, rows: int) -> Tensor:
        """One number a point, shape (n_points,)."""
        return self.layers(features).squeeze(1)


def _shifted(match: Tensor, by: int) -> Tensor:
    """match[:, t + by, s + by], 0 beyond the end; the same shape."""
    return F.pad(match, (0, by, 0, by))[:, by:, by:]  # in this order an exported program serves the shortest, too


NETWORKS = {"match": Match, "target_attention": TargetAttention}


def _before_end(tokens: Tensor, eos_id: int) -> Tensor:
    """Which positions come before the first `eos_id`, (n, T) bool."""
    return (tokens == eos_id).cumsum(1) == 0


def _hypothesis(logits: Tensor, target: Tensor, preds_mask: Tensor | None, eos_id: int, blank_id: int) -> Tensor:
    """The positions of the hypothesis, (n, T) bool."""
    if preds_mask is not None:
        keep = preds_mask.to(torch.bool)
    elif eos_id < 0 and blank_id < 0 and logits.size(1) == target.size(1):
        keep = has_target(target)
    else:
        keep = torch.ones(logits.size(0), logits.size(1), dtype=torch.bool, device=logits.device)
    if blank_id >= 0:  # CTC (Graves et al., ICML 2006): the first position of each run that is not blank
        best = logits.argmax(2)
        previous = torch.cat([torch.full_like(best[:, :1], -1), best[:, :-1]], 1)
        keep = keep & (best != blank_id) & (best != previous)
    elif eos_id >= 0 and preds_mask is None:
        keep = keep & _before_end(logits.argmax(2), eos_id)
    return keep


class SetLoss(nn.Module):
    """The loss of a whole batch as one set.

    Args:
        network: see `NETWORKS`.

    Attributes:
        eos_id: the token that ends a sequence; -1: none.
        blank_id: the blank of CTC; -1: none.
    """

    scale: Tensor
    eos_id: int
    blank_id: int

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eos_id = -1
        self.blank_id = -1
        self.register_buffer("scale", torch.ones(()))

    def features(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None, set_size: int) -> Tensor:
        """The network's features of examples of which each `set_size` make a point."""
        logits = bounded(preds)
        keep = _hypothesis(logits, target, preds_mask, self.eos_id, self.blank_id)
        real = has_target(target)
        if self.eos_id >= 0:
            real = real & _before_end(target.long(), self.eos_id)
        order = torch.argsort((~real).to(torch.uint8), dim=1, stable=True)  # the tokens first, where -100 is not last
        real = real.gather(1, order)
        return self.network.features(logits, keep, target.long().gather(1, order) * real, real, set_size)

    def points(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None, set_size: int) -> Tensor:
        """The loss of each point, shape (n // set_size,)."""
        features = self.features(preds, target, preds_mask, set_size)
        return self.network.score(features, self.network.rows(set_size)) * self.scale

    def forward(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """Scalar, lower is better.

        Args:
            preds: logits, shape (n, T, V).
            target: token, shape (n, S), any integer dtype; -100 pads.
            preds_mask: bool, shape (n, T), the positions of the hypothesis. Without it a hypothesis ends at its first
                `eos_id`; without `eos_id` and `blank_id`, and where T = S, positions whose target is -100 are left out.
        """
        return self.points(preds, target, preds_mask, preds.size(0))[0]


class SampleLoss(SetLoss):
    """The mean loss of the examples of a batch."""

    def forward(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """Scalar, lower is better: the mean of `per_sample`."""
        return self.per_sample(preds, target, preds_mask).mean()

    @torch.jit.export
    def per_sample(self, preds: Tensor, target: Tensor, preds_mask: Tensor | None = None) -> Tensor:
        """The loss of each example, shape (n,)."""
        return self.points(preds, target, preds_mask, 1)
