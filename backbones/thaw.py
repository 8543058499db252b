"""When frozen stages thaw. Arithmetic on epochs without torch, so that settings are checked before anything is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_ROUNDING = 1e-9  # 0.7 of 10 epochs is 7, also in floating point


def first_epoch(number: float, epochs: int) -> int:
    """The epoch, counted from 0, in which a thaw number takes effect.

    Args:
        number: Below 1 a share of the budget: the first epoch that starts when that share is used up. From 1 on the
            number of an epoch, counted from 1 as in the log: the stage trains from the start of that epoch on.
        epochs: Epochs of the run.

    Returns:
        0 for the first epoch; ``epochs`` or more lies beyond the budget.
    """
    return math.ceil(number * epochs - _ROUNDING) if number < 1 else round(number) - 1


def even_shares(stages: int) -> tuple[float, ...]:
    """Thaw numbers that spread some stages evenly over the first half of the budget."""
    return tuple(0.5 * (index + 1) / stages for index in range(stages))


def thaw_faults(thaw: Sequence[float], epochs: int) -> list[str]:
    """What is wrong with thaw numbers for a run of so many epochs, one clause each; none for good ones, nor where there are no numbers."""
    faults = [f"{number:g} is neither a share (above 0, below 1) nor the whole number of an epoch" for number in thaw if number <= 0 or (number > 1 and number != round(number))]
    if faults:
        return faults
    starts = [first_epoch(number, epochs) for number in thaw]
    faults = [f"{number:g} lies beyond the budget: {_beyond(number, epochs)}" for number, start in zip(thaw, starts, strict=True) if start >= epochs]
    for (upper, lower), (earlier, later) in zip(pairwise(thaw), pairwise(starts), strict=True):
        if later < earlier:
            faults.append(f"{upper:g} before {lower:g} thaws from epoch {earlier + 1} and then from epoch {later + 1}: stages thaw from the top, so the numbers must rise")
    return faults


def _beyond(number: float, epochs: int) -> str:
    if number < 1:
        return f"none of the {epochs} epochs starts so late; give at most {(epochs - 1) / epochs:.3g}"
    return f"the run has {epochs} epochs"
