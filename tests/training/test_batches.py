from __future__ import annotations

import numpy as np
import pytest
import torch

from autosurrogate.training.batches import draw_batch


@pytest.mark.parametrize("window", [0.02, 0.3, 1.0])
def test_a_batch_comes_from_a_window_of_the_points_in_the_order_of_the_metric(window: float) -> None:
    order, generator = torch.randperm(200, generator=torch.Generator().manual_seed(1)), torch.Generator().manual_seed(0)
    place = order.argsort()
    spans, seen = [], set[int]()
    for _ in range(300):
        batch = draw_batch(order, 20, window, generator)
        assert len(set(batch.tolist())) == 20
        spans.append(int(place[batch].max() - place[batch].min()) + 1)
        seen |= set(batch.tolist())
    assert max(spans) <= max(20, 200 * window)
    assert np.mean(spans) > 0.8 * max(20, 200 * window)
    assert len(seen) > 190
