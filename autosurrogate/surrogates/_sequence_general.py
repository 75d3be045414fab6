"""A network for metrics that no other network was built for: what any metric of sequences can be computed from."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autosurrogate.surrogates import _sequence_edits, _sequence_order, _sequence_repetition
from autosurrogate.surrogates._heads import build_head
from autosurrogate.surrogates._sequence_batch import SequenceBatch
from autosurrogate.surrogates._sequence_edits import edits
from autosurrogate.surrogates._sequence_margins import sharpest
from autosurrogate.surrogates._sequence_order import matches_in_place, order_of_matches, token_counts
from autosurrogate.surrogates._sequence_own import own_matches
from autosurrogate.surrogates._sequence_repetition import repetition, runs

#: Kinds of features: names of qualities, and of what else there is, at each temperature.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tokens": (_sequence_order.TOKENS, ()),
    "order": (_sequence_order.ORDER, _sequence_order.CONTEXT_OF_ORDER),
    "places": (_sequence_order.PLACES, ()),
    "edits": (_sequence_edits.EDITS, ()),
    "repetition": (_sequence_repetition.REPETITION, _sequence_repetition.CONTEXT_OF_REPETITION),
    "runs": (_sequence_repetition.RUNS, _sequence_repetition.CONTEXT_OF_RUNS),
}
LENGTHS = ("log ratio", "difference of lengths", "shorter", "longer", "1 / length", "1 / reference length")


class General(nn.Module):
    """What metrics of sequences are computed from; means over the examples of a point.

    Kinds of features: "tokens" that both sequences have, "order" of the matched ones, matches at the same "places" and
    prefixes, "edits" of the best alignment, "repetition" within each sequence, and "runs" of equal tokens.

    Args:
        kinds: of features.
        temperatures: of the softmax; small ones see the argmax, large ones reach competitors with their gradient.
        relative_temperatures: the same of logits relative to the mean margin of the point's positions, which see the
            order at any scale of the logits.
        width: hidden units.
        n_hidden: hidden layers.
        head: "monotone": the loss falls as any of the qualities rises; "free": it depends on them in any way.
    """

    FEATURE_SETTINGS = ("kinds", "temperatures", "relative_temperatures")
    heats: Tensor  # the temperatures, where the logits are
    relative_heats: Tensor
    relative_temperatures: list[float]  # which may be empty

    def __init__(
        self,
        kinds: list[str],
        temperatures: list[float],
        relative_temperatures: Sequence[float] = (),
        width: int = 64,
        n_hidden: int = 2,
        head: str = "monotone",
    ) -> None:
        super().__init__()
        self.kinds = list(kinds)
        self.temperatures = [float(t) for t in temperatures]
        self.relative_temperatures = [float(t) for t in relative_temperatures]
        self.sharpest = sharpest(self.temperatures, self.relative_temperatures)
        self.register_buffer("heats", torch.tensor(self.temperatures), persistent=False)
        self.register_buffer("relative_heats", torch.tensor(self.relative_temperatures), persistent=False)
        n_qualities, n_features = len(self._names(0)), len(self.feature_names())
        self.layers = build_head(head, n_qualities, n_features - n_qualities, width, n_hidden)

    def n_rows(self, set_size: int) -> int:
        """Rows of `features` for each point: the means over its examples."""
        return 1

    def feature_names(self) -> list[str]:
        """A name for each column of `features`, the qualities first."""
        return [*self._names(0), *self._names(1), *LENGTHS]

    def _names(self, which: int) -> list[str]:
        """Names of the qualities (0), or of what else there is (1)."""
        seen = [f"at {t:g}" for t in self.temperatures] + [f"relative {t:g}" for t in self.relative_temperatures]
        of_kinds = [name for kind, both in KINDS.items() if kind in self.kinds for name in both[which]]
        return [f"{name} {t}" for t in seen for name in of_kinds]

    def features(self, batch: SequenceBatch, set_size: int) -> Tensor:
        """What the metric depends on, shape (n_points, n_features), free of parameters."""
        matches = own_matches(
            batch, self.temperatures, self.heats, self.relative_temperatures, self.relative_heats, set_size
        )
        qualities: list[Tensor] = []
        context: list[Tensor] = []
        if "tokens" in self.kinds:
            qualities.append(token_counts(matches))
        if "order" in self.kinds:
            ordered = order_of_matches(matches)
            qualities.append(ordered[0])
            context.append(ordered[1])
        if "places" in self.kinds:
            qualities.append(matches_in_place(matches))
        if "edits" in self.kinds:
            qualities.append(edits(matches, set_size))
        if "repetition" in self.kinds:
            repeated = repetition(matches)
            qualities.append(repeated[0])
            context.append(repeated[1])
        if "runs" in self.kinds:
            of_runs = runs(matches)
            qualities.append(of_runs[0])
            context.append(of_runs[1])
        if batch.blank_id >= 0:
            length = matches.written[:, self.sharpest]  # where a token begins to win it does not jump
        else:
            length = batch.hyp_mask.sum(1).to(matches.match.dtype)
        of_examples = [torch.cat(qualities, 2).flatten(1)]
        if len(context) > 0:
            of_examples.append(torch.cat(context, 2).flatten(1))
        of_examples.append(_lengths(length, matches.tokens.sum(1)))
        features = torch.cat(of_examples, 1)
        return features.view(-1, set_size, features.size(1)).mean(1)

    def score(self, features: Tensor, n_rows: int) -> Tensor:
        """One number for each point, shape (n_points,)."""
        score: Tensor = self.layers(features)
        return score.squeeze(1)


def _lengths(hypothesis: Tensor, reference: Tensor) -> Tensor:
    """`LENGTHS`, shape (n, 6), of lengths of shape (n,)."""
    ratio = torch.log((hypothesis + 0.5) / (reference + 0.5))
    longer = torch.maximum(hypothesis, reference).clamp_min(1)
    features = [
        ratio,
        (hypothesis - reference).abs() / longer,
        ratio.clamp(max=0.0),
        ratio.clamp(min=0.0),
        1 / hypothesis.clamp_min(1),
        1 / reference.clamp_min(1),
    ]
    return torch.stack(features, 1)
