"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.-=+*%#"


def sparkline(values: Sequence[float], encoding: str = "utf-8") -> str:
    """One character a value, from the lowest to the highest; blocks where the encoding has them.

    Args:
        values: Finite numbers.
        encoding: Of the terminal.
    """
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    try:
        _BLOCKS.encode(encoding)
        marks = _BLOCKS
    except (UnicodeEncodeError, LookupError):
        marks = _PLAIN
    return "".join(marks[min(len(marks) - 1, int((value - low) / span * len(marks)))] for value in values)
