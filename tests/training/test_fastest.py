from __future__ import annotations

import time

from autosurrogate.training.fastest import Fastest


def test_the_fastest_is_used_once_each_was_tried() -> None:
    fastest = Fastest("slow", "quick")
    used = []
    for _ in range(4):
        with fastest.timed(10) as alternative:
            used.append(alternative)
            time.sleep(0.02 if alternative == "slow" else 0.001)
    assert used == ["slow", "quick", "quick", "quick"]
