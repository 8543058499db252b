"""What a learning-rate range test says: smoothing without lag, and a rule for the suggestion. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WIDTH = 0.15  # decades: standard deviation of the smoothing window
_FIRST = 10  # losses that say where the sweep started
_CLIP = 1.5  # of the starting loss: a single explosion shall not move its neighbours
_RISE = 0.1  # of the fall: when so much is lost again, the loss rises
_DIVERGE = 0.25  # of the fall: when so much is lost again, it diverges
_DEAD = 0.1  # of the starting loss: no detector learns that in a hundred steps; one that finds nothing any more may have such a loss
_MARGIN = 4.0  # a good rate is about a quarter of the one from which the loss rises (docs/finders.md compares rules)
_CLEAR = 4.0  # standard errors: a smaller fall is none
_RUNNING = 9  # losses whose median judges a sweep while it goes on
_LOST = 0.5  # of the fall: when so much is lost again, the sweep has seen enough
_LOST_AT_LEAST = 0.1  # of the starting loss: less may be noise
_NOISE = 4.0  # standard deviations of one loss: medians do not differ so much by chance
_ROUND = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)  # a range test tells no finer steps apart


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a range test says; rates are None where the losses do not show them.

    Args:
        smoothed: The loss at every rate, smoothed.
        suggestion: A rate to train with.
        fastest: Where the loss falls fastest.
        lowest: Where the loss is lowest.
        rises: From where on a tenth of the fall is lost again.
        diverges: From where on a quarter of the fall is lost again.
        dies: From where on the loss is next to nothing: the network has stopped to find anything, and does not pay for it.
    """

    smoothed: NDArray[np.float64]
    suggestion: float | None = None
    fastest: float | None = None
    lowest: float | None = None
    rises: float | None = None
    diverges: float | None = None
    dies: float | None = None


def judge(rates: Sequence[float], losses: Sequence[float]) -> Verdict:
    """Read a range test.

    The suggestion is a quarter of the rate from which the loss rises, or the network dies. Where the loss falls fastest says little
    about a detector: its first and steepest fall is that of the scores of the background, which the smallest rates manage.

    Args:
        rates: Rising exponentially.
        losses: One per rate, finite.
    """
    x = np.log10(np.asarray(rates, np.float64))
    y = np.asarray(losses, np.float64)
    if len(y) < _FIRST:
        return Verdict(y)
    clipped = np.minimum(y, _CLIP * np.median(y[:_FIRST]))
    level, slope = smooth(x, clipped)
    dead = _first(level < _DEAD * level[0])
    bottom = _first_bottom(level[:dead])
    fall = level[0] - level[bottom]
    error = float(np.std(clipped[: bottom + 1] - level[: bottom + 1])) / math.sqrt(_independent(x))
    if fall <= _CLEAR * error or fall <= 0:
        return Verdict(level)

    def lost(share: float) -> float | None:
        """In the middle (of logarithms) between the first rate where so much is lost and the last where it is not: noise can lose and win it once more."""
        above = level[bottom:] > level[bottom] + max(share * fall, 2 * error)
        if not above[-1]:
            return None
        first, last = int(above.argmax()), len(above) - int(above[::-1].argmin())
        return float(rates[bottom + (first + last) // 2])

    dies = None if dead is None else float(rates[dead])
    rises = None if dead is not None else lost(_RISE)
    limit = dies or rises
    suggestion = None if limit is None else round_rate(limit / _MARGIN)
    diverges = None if dead is not None else lost(_DIVERGE)
    return Verdict(level, suggestion, float(rates[int(slope[: bottom + 1].argmin())]), float(rates[bottom]), rises, diverges, dies)


def _first(holds: NDArray[np.bool_]) -> int | None:
    found = np.flatnonzero(holds)
    return int(found[0]) if len(found) else None


def smooth(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value and slope [N] of a straight line through the neighbours of every point: unlike a running mean it lags behind nothing.

    Args:
        x: [N] logarithms of rates.
        y: [N] losses.
    """
    offset = x[None] - x[:, None]
    weight = np.exp(-0.5 * (offset / _WIDTH) ** 2)
    total, first, second = weight.sum(1), (weight * offset).sum(1), (weight * offset**2).sum(1)
    value, tilted = weight @ y, (weight * offset) @ y
    spread = np.maximum(total * second - first**2, 1e-12)
    return (second * value - first * tilted) / spread, (total * tilted - first * value) / spread


def has_seen_enough(losses: Sequence[float]) -> bool:
    """Whether a sweep that goes on has fallen and lost half of it again, or risen to twice its start without falling."""
    if len(losses) < 3 * _RUNNING:
        return False
    values = np.asarray(losses, np.float64)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, _RUNNING), axis=1)
    start, best, now = float(medians[0]), float(medians.min()), float(medians[-1])
    noise = float(np.median(np.abs(np.diff(values))))  # about the standard deviation of one loss
    return now > min(2 * start, best + max(_LOST * (start - best), _LOST_AT_LEAST * start, _NOISE * noise))


def round_rate(rate: float) -> float:
    """The nearest of 1, 1.5, 2, 3, 5, 7 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rate))
    return float(f"{min(_ROUND, key=lambda step: abs(math.log(rate / power / step))) * power:.6g}")


def _first_bottom(level: NDArray[np.float64]) -> int:
    """The lowest point before the loss has climbed back: a network that has died may have a low loss again, at rates beyond."""
    lowest = np.minimum.accumulate(level)
    lost = np.flatnonzero(level - lowest > np.maximum(_LOST * (level[0] - lowest), _LOST_AT_LEAST * abs(level[0])))
    return int(level[: lost[0] if len(lost) else len(level)].argmin())


def _independent(x: NDArray[np.float64]) -> float:
    """How many points a smoothed value averages."""
    return max(1.0, 2 * math.sqrt(math.pi) * _WIDTH / float(np.diff(x).mean()))
