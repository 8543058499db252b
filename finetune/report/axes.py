"""Places of things on the axes of a drawing: round ticks, linear or logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LOG_FROM = 8.0  # ratio of the largest to the least value from which an axis is logarithmic


@dataclass(frozen=True)
class Axis:
    """Values to units of the drawing.

    Args:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Place.
        end: Place.
        log: Logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands."""
        share = (math.log(value / self.low) / math.log(self.high / self.low)) if self.log else (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the axis."""
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high, most)


def make_axis(values: list[float], start: float, end: float, may_be_log: bool = False, margin: float = 0.08, least: float | None = None, most: float | None = None) -> Axis:
    """An axis around values, with a margin; ``least`` and ``most`` are never passed."""
    low, high = min(values), max(values)
    if may_be_log and low > 0 and high / low >= _LOG_FROM:
        factor = (high / low) ** margin
        return Axis(low / factor, high * factor, start, end, log=True)
    width = (high - low) or abs(high) * 0.2 or 1.0
    low, high = low - margin * width, high + margin * width
    return Axis(low if least is None else max(low, least), high if most is None else min(high, most), start, end)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    raw = (high - low) / most
    step = next(base * 10 ** math.floor(math.log10(raw)) for base in (1, 2, 2.5, 5, 10) if base * 10 ** math.floor(math.log10(raw)) >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    bases = (1, 2, 5) if high / low < 1000 else (1,)
    return [tick for decade in decades for base in bases if low <= (tick := base * 10.0**decade) <= high]


def tick_label(value: float) -> str:
    """Short, without a tail of zeros."""
    return f"{value:.10g}" if abs(value) < 1e5 else f"{value:.2g}"
