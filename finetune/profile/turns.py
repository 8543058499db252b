"""Several things measured in turns, so that a noisy machine slows all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Measured = TypeVar("Measured")

LEAST_ROUNDS = 5


def measure_in_turns(sides: Sequence[Callable[[], Measured]], rounds: int, seconds: float, warmup: int = 2) -> list[list[Measured]]:
    """Call every side once a round; the order turns round from one round to the next.

    The garbage collector rests meanwhile, as in ``timeit``.

    Args:
        sides: Each measures itself.
        rounds: At most; fewer when time runs out, but not fewer than five (or than ``rounds``).
        seconds: Time for all sides together, warm-up not counted.
        warmup: Rounds whose results are thrown away.

    Returns:
        For each side what it measured in every round.
    """
    results: list[list[Measured]] = [[] for _ in sides]
    collected = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        for number in range(-warmup, rounds):
            if number == 0:
                start = time.perf_counter()
            if number >= min(rounds, LEAST_ROUNDS) and time.perf_counter() - start > seconds:
                break
            order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
            for index in order:
                measured = sides[index]()
                if number >= 0:
                    results[index].append(measured)
    finally:
        if collected:
            gc.enable()
    return results


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of all values lies, with straight lines between them."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def spread(values: Sequence[float]) -> float:
    """Distance between the quartiles."""
    return percentile(values, 0.75) - percentile(values, 0.25)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)
