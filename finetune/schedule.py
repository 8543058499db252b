"""The learning rate over a run: a pure function of the optimiser step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

ScheduleKind = Literal["cosine", "step"]


def rate_factor(step: int, total: int, kind: ScheduleKind, warmup: float = 0.0, milestones: Sequence[float] = ()) -> float:
    """Share of the full rate at an optimiser step.

    Args:
        step: Steps taken so far.
        total: Steps of the whole run.
        kind: "cosine" (to zero at ``total``) or "step" (a tenth at each milestone).
        warmup: Share of ``total`` with linearly rising rate; it never starts at zero.
        milestones: Shares of ``total``.

    Returns:
        A factor in 0..1.
    """
    rising = round(warmup * total)
    if step < rising:
        return (step + 1) / (rising + 1)
    if kind == "step":
        return 0.1 ** sum(step >= milestone * total for milestone in milestones)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1, total - rising))))
