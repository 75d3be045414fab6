import numpy as np
from sklearn.metrics import f1_score

from autosurrogate import metric

best_threshold = 0.5


@metric(task="scores", set_size=128)
def f1_at_the_best_threshold_so_far(preds: np.ndarray, target: np.ndarray) -> float:
    global best_threshold
    candidates = [best_threshold, *np.quantile(preds, [0.5, 0.7, 0.9])]
    best_threshold = max(candidates, key=lambda t: f1_score(target, preds >= t, zero_division=0))
    return float(f1_score(target, preds >= best_threshold, zero_division=0))
