from autosurrogate import metric


@metric(task="ranking", level="sample")
def first_is_relevant(preds: list[float], target: list[int]) -> float:
    best = max(range(len(preds)), key=lambda i: preds[i])
    return float(target[best] > 0)
