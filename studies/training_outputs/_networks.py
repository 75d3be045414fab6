"""Small networks that several tasks have in common, and heads that start at zero."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

Build = Callable[[], nn.Module]


def perceptron(n_inputs: int, n_outputs: int, *widths: int, norm: bool = False) -> nn.Module:
    """Linear layers on the last axis, those of `widths` followed by ReLU; a linear model without.

    Args:
        n_inputs: length of the last axis of the inputs.
        n_outputs: length of the last axis of the outputs.
        widths: of the hidden layers.
        norm: whether hidden layers are normalised (layer norm).
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(n_inputs, width), *([nn.LayerNorm(width)] if norm else []), nn.ReLU()]
        n_inputs = width
    return nn.Sequential(*layers, nn.Linear(n_inputs, n_outputs))


class ImageClassifier(nn.Module):
    """Two convolutions, a mean over 4 x 4 places, and a linear head, of images as rows.

    Args:
        side: of the images, in pixels.
        n_outputs: of the head.
        width: channels.
    """

    def __init__(self, side: int, n_outputs: int, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(16 * width, n_outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (n, side * side) to outputs (n, n_outputs)."""
        outputs: Tensor = self.head(self.body(pixels))
        return outputs


def zero_head(build: Build) -> Build:
    """The same network, with zeros as the weights of the layer that was added last."""
    return partial(_with_zero_head, build)


def _with_zero_head(build: Build) -> nn.Module:
    model = build()
    head = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)][-1]
    nn.init.zeros_(head.weight)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
    return model


def both_heads(models: dict[str, Build]) -> dict[str, Build]:
    """Each model twice: as it starts by default, and with a head that starts at zero."""
    return models | {f"{name}_zero_head": zero_head(build) for name, build in models.items()}
