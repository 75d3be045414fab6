"""Features of segmentation: how sure the probabilities of pixels are, and how right."""

from torch import Tensor

from autosurrogate.surrogates._segmentation_overlap import mean_of_images

QUALITIES = (
    "probability of target", "log-probability of target", "Brier score", "soft Dice of foreground",
    "squared Dice of foreground", "soft Dice of classes", "foreground ahead", "sure where right", "unsure where wrong",
    "calibration", "error of foreground",
)  # fmt: skip
CONTEXT = ("confidence", "confidence beyond accuracy", "foreground by probability")


def certainty_features(
    logits: Tensor, truth: Tensor, valid: Tensor, right: Tensor, set_size: int
) -> tuple[list[Tensor], list[Tensor]]:
    """The features `QUALITIES` and `CONTEXT`, shape (n_points,) each; means over images.

    Args:
        logits: shape (n, C, H, W).
        truth: 1 at the target's class, of the same shape; 0 where there is no target.
        valid: 1 where there is a target, shape (n, H, W).
        right: how far each pixel is right, by order alone, shape (n, H, W).
        set_size: images of each point.
    """
    probability = logits.softmax(1) * valid.unsqueeze(1)
    n_pixels = valid.sum((1, 2)).clamp_min(1)
    actual = truth.sum((2, 3))
    of_target = (probability * truth).sum(1)
    confidence = probability.amax(1)
    foreground, true = valid - probability[:, 0], truth.sum(1) - truth[:, 0]
    hits, found, n_true = (foreground * true).sum((1, 2)), foreground.sum((1, 2)), true.sum((1, 2))
    squared = foreground.square().sum((1, 2))
    n_right = right.sum((1, 2))
    wrong = valid - right
    occurs = (actual > 0).to(logits.dtype)
    dice = 2 * (probability * truth).sum((2, 3)) / (probability.sum((2, 3)) + actual).clamp_min(0.1)
    qualities = [
        of_target.sum((1, 2)) / n_pixels,
        ((of_target + 1e-3).log() * valid).sum((1, 2)) / n_pixels / 3,
        -(probability - truth).square().sum((1, 2, 3)) / n_pixels,
        (2 * hits + 0.1) / (found + n_true + 0.1),
        (2 * hits + 0.1) / (squared + n_true + 0.1),
        (dice * occurs).sum(1) / occurs.sum(1).clamp_min(1),
        hits / n_true.clamp_min(1) - (found - hits) / (n_pixels - n_true).clamp_min(1),
        (confidence * right).sum((1, 2)) / n_right.clamp_min(1),
        ((1 - confidence) * wrong).sum((1, 2)) / (n_pixels - n_right).clamp_min(1),
        -(((confidence - right) * valid).sum((1, 2)) / n_pixels).abs(),
        -((found - n_true).abs() / n_pixels + 0.003).log() / 5,
    ]
    mean_confidence = confidence.sum((1, 2)) / n_pixels
    context = [mean_confidence, mean_confidence - n_right / n_pixels, found / n_pixels]
    return (
        [mean_of_images(values, actual, set_size) for values in qualities],
        [mean_of_images(values, actual, set_size) for values in context],
    )
