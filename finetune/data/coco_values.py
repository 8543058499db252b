"""Values of COCO files, checked: what tools write is often text where a number should be, or a number that nothing can hold."""

from __future__ import annotations

import math
import re
import reprlib
from typing import Any

MOST_PIXELS = 1e9  # coordinates beyond are no pixels
MOST_LETTERS = 100  # of a class name or an id
_NUMBERS = {int, float}
_INTEGER = re.compile(r"\s*-?[0-9]{1,18}\s*")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 2, 60, 60, 30


def as_id(value: Any) -> int | str | None:
    """An image id as it is written, 3.0 as 3; None where it can be no id."""
    if not isinstance(value, str):
        return whole_number(value)
    return value if value.strip() and len(value) <= MOST_LETTERS and is_writable(value) else None


def as_category_id(value: Any) -> int | None:
    """A category id; tables and scripts write "3" and 3.0 for 3."""
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return whole_number(value)


def whole_number(value: Any) -> int | None:
    """An integer that fits into 64 bits, or None."""
    if type(value) is not int:
        if type(value) is not float or not value.is_integer():
            return None
        value = int(value)
    return value if -(2**63) <= value < 2**63 else None


def as_class_name(value: Any) -> str | None:
    """A class name without blanks around it and without line breaks, or None."""
    if type(value) not in (str, int) or not is_writable(str(value)):
        return None
    name = _BREAKS.sub(" ", str(value)).strip()
    return name if name and len(name) <= MOST_LETTERS else None


def as_box(value: Any) -> tuple[float, float, float, float] | None:
    """x, y, width, height as x1, y1, x2, y2, or None."""
    if not isinstance(value, list) or len(value) != 4 or not {*map(type, value)} <= _NUMBERS:
        return None
    x, y, w, h = value
    if not (abs(x) < MOST_PIXELS and abs(y) < MOST_PIXELS and abs(w) < MOST_PIXELS and abs(h) < MOST_PIXELS):  # false for NaN, too
        return None
    return float(x), float(y), float(x) + float(w), float(y) + float(h)


def box_of_polygons(value: Any) -> tuple[float, float, float, float] | None:
    """The box around COCO polygons [[x1, y1, x2, y2, ...], ...], or None."""
    if not isinstance(value, list) or not value:
        return None
    rings = value if isinstance(value[0], list) else [value]
    points = [number for ring in rings if isinstance(ring, list) and len(ring) % 2 == 0 for number in ring]
    if len(points) < 6 or not all(type(number) in _NUMBERS and abs(number) < MOST_PIXELS for number in points):
        return None
    if any(not isinstance(ring, list) or len(ring) % 2 for ring in rings):
        return None
    xs, ys = points[::2], points[1::2]
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))


def as_side(value: Any) -> int:
    """A declared width or height; 0 where it says nothing."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if type(value) not in _NUMBERS or not 0 < value < 2**31:
        return 0
    return int(value)


def as_area(value: Any) -> float | None:
    """A mask's area, or None."""
    return float(value) if type(value) in _NUMBERS and 0 <= value < MOST_PIXELS**2 else None


def as_flag(value: Any) -> bool:
    """Whether ``iscrowd`` is set; tools write 1, true, "1"."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "yes")
    return isinstance(value, int | float) and value == value and bool(value)


def is_writable(text: str) -> bool:
    """Whether a text can be written to a file: halves of surrogate pairs, as broken JSON escapes give, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def short(value: Any) -> str:
    """A value for a message, cut where it is long or deep."""
    if type(value) is float and math.isnan(value):
        return "NaN"
    text = _REPR.repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
