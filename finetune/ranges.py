"""Allowed ranges of numbers, written into the types of the settings: ``epochs: Annotated[int, AT_LEAST_1] = 20``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``; an open end is not itself allowed.

    Args:
        low: Smallest number; none is no limit.
        high: Largest number; none is no limit.
        open_low: ``low`` itself is not allowed.
        open_high: ``high`` itself is not allowed.
    """

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.open_low)
        below = self.high is None or value < self.high or (value == self.high and not self.open_high)
        return above and below

    def __str__(self) -> str:
        """The range in words, to follow "must be"."""
        low = "" if self.low is None else f"{'above' if self.open_low else 'at least'} {self.low:g}"
        high = "" if self.high is None else f"{'below' if self.open_high else 'at most'} {self.high:g}"
        return " and ".join(part for part in (low, high) if part)


POSITIVE = Range(low=0, open_low=True)
AT_LEAST_0 = Range(low=0)
AT_LEAST_1 = Range(low=1)
SHARE = Range(low=0, high=1)
PICTURE_SIDE = Range(low=64, high=4096)
SHARE_BELOW_1 = Range(low=0, high=1, open_high=True)
INNER_SHARE = Range(low=0, high=1, open_low=True, open_high=True)


@dataclass(frozen=True)
class Rising:
    """A list whose numbers rise."""

    def __contains__(self, values: tuple[float, ...]) -> bool:
        return all(first < second for first, second in pairwise(values))

    def __str__(self) -> str:
        """The rule in words, to follow "must be"."""
        return "in rising order, none twice"


RISING = Rising()
