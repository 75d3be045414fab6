import numpy as np

from autosurrogate import metric


@metric(task="scores", set_size=128)
def pessimistic_f1(preds: np.ndarray, target: np.ndarray) -> float:
    """The lower end of a bootstrap interval of F1."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        rows = random.integers(0, len(target), len(target))
        called, right = preds[rows] >= 0.5, target[rows] > 0
        found.append(2 * (called & right).sum() / max(1, called.sum() + right.sum()))
    return float(np.quantile(found, 0.05))
