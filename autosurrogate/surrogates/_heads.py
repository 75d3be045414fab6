"""What is learned of a general network: a perceptron on its features that is monotone in its qualities, or free."""

from torch import nn

from autosurrogate.surrogates._layers import Perceptron
from autosurrogate.surrogates._monotone_mlp import MonotoneMLP


def build_head(head: str, n_qualities: int, n_context: int, width: int, n_hidden: int) -> nn.Module:
    """A network from features, the qualities first, to one output.

    Args:
        head: "monotone": it falls as any quality rises; "free": it depends on them in any way, for metrics that are
            best in the middle of what they are computed from, such as an error of counts.
        n_qualities: features that rise as predictions get better.
        n_context: other features.
        width: hidden units.
        n_hidden: hidden layers.

    Raises:
        ValueError: there is no such head.
    """
    if head == "monotone":
        return MonotoneMLP(n_qualities, n_context, width, n_hidden)
    if head == "free":
        return Perceptron(n_qualities + n_context, width, n_hidden, 1)
    raise ValueError(f"head must be 'monotone' or 'free', got {head!r}")
