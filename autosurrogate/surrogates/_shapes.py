"""Refusing tensors of wrong shapes, which a loss would otherwise broadcast to some number."""

from torch import Tensor


def expect(fits: bool, preds: Tensor, target: Tensor, shapes: str) -> None:
    """Refuse tensors of other shapes than the task's.

    Args:
        fits: whether the shapes are the task's.
        preds: predictions.
        target: target.
        shapes: what is expected, in words.

    Raises:
        ValueError: they do not fit; `torch.jit.Error` in an exported loss.
    """
    if not fits:
        raise ValueError(f"preds of shape {list(preds.shape)}, target of shape {list(target.shape)}: expected {shapes}")
