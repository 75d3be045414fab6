from autosurrogate import metric


@metric
def longest_common_run(preds: list[int], target: list[int]) -> float:
    best = 0
    for i in range(len(preds)):
        for j in range(len(target)):
            k = 0
            while i + k < len(preds) and j + k < len(target) and preds[i + k] == target[j + k]:
                k += 1
            best = max(best, k)
    return best / max(len(preds), len(target), 1)
