"""The learning rate of every group over a run: a pure function of the optimiser step, so that nothing has to be remembered to resume."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def thaw_factor(step: int, start: int | None, rising: int) -> float:
    """Share of the scheduled rate for a group that thaws during the run.

    Args:
        step: Optimiser steps taken so far.
        start: Step at which the group thaws; None for one that stays frozen.
        rising: Steps over which the rate then rises linearly; it never starts at zero, and not at all in a group that trains from the first step on.

    Returns:
        0 while frozen, else a factor in 0..1.
    """
    if start is None or step < start:
        return 0.0
    return min(1.0, (step - start + 1) / (rising + 1)) if start else 1.0


def group_factor(step: int, scheduled: Callable[[int], float], start: int | None, rising: int) -> float:
    """Share of its full rate for one group: the schedule of the run times ``thaw_factor``."""
    return scheduled(step) * thaw_factor(step, start, rising)
