"""Which candidates no other one beats in both accuracy and cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pareto_front(costs: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] candidates that are worth their cost: none costs at most as much and scores at least as much, with one of the two truly better.

    Args:
        costs: [N] the less the better; NaN where unknown, which is never on the front.
        scores: [N] the more the better; NaN where unknown.
    """
    known = np.isfinite(costs) & np.isfinite(scores)
    no_worse = (costs[:, None] <= costs) & (scores[:, None] >= scores)  # [by, of]
    better = (costs[:, None] < costs) | (scores[:, None] > scores)
    return known & ~(no_worse & better & known[:, None]).any(axis=0)
