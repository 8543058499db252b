"""What can be seen of signs and words in the end, read from the owner map."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

import numpy as np
from PIL import Image, ImageDraw

from finetune.samples.painter import SUPERSAMPLE, Painter, Placed
from finetune.samples.truth import CLASS_NAMES, MIN_CHARACTER, MIN_READABLE, Point, SignBox, Word

MIN_SIDE = 4  # pixels: nothing smaller is kept, seen or not


def _share(painter: Painter, points: Sequence[Point], number: int) -> tuple[float, tuple[int, int, int, int] | None]:
    """Visible share of a polygon (parts outside the frame count as hidden) and the extent of its visible canvas pixels."""
    scaled = [(x * SUPERSAMPLE, y * SUPERSAMPLE) for x, y in points]
    left, top = floor(min(p[0] for p in scaled)), floor(min(p[1] for p in scaled))
    right, bottom = ceil(max(p[0] for p in scaled)) + 1, ceil(max(p[1] for p in scaled)) + 1
    shape = Image.new("1", (right - left, bottom - top))
    ImageDraw.Draw(shape).polygon([(x - left, y - top) for x, y in scaled], fill=1)
    inside = np.asarray(shape)
    shown = (np.asarray(painter.owner.crop((left, top, right, bottom))) == number) & inside
    if not shown.any():
        return 0.0, None
    columns, rows = np.flatnonzero(shown.any(0)), np.flatnonzero(shown.any(1))
    extent = (left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)
    return min(1.0, float(shown.sum() / inside.sum())), extent


def read_signs(painter: Painter) -> tuple[SignBox, ...]:
    """The box of every sign of which something shows: the extent of the visible part, in whole pixels."""
    boxes = (_read_sign(painter, placed) for placed in painter.placed if placed.label in CLASS_NAMES)
    return tuple(box for box in boxes if box is not None)


def _read_sign(painter: Painter, placed: Placed) -> SignBox | None:
    visible, extent = _share(painter, placed.outline, placed.number)
    if extent is None:
        return None
    xs, ys = [p[0] for p in placed.outline], [p[1] for p in placed.outline]
    exact = (min(xs), min(ys), max(xs), max(ys))
    width, height = painter.size
    truncated = exact[0] < 0 or exact[1] < 0 or exact[2] > width or exact[3] > height
    slack = 2  # canvas pixels that rounding may cost; more is missing: something hides that side
    seen = [value / SUPERSAMPLE if abs(value - edge * SUPERSAMPLE) > slack else edge for value, edge in zip(extent, exact, strict=True)]
    box = (max(0, floor(seen[0] + 0.25)), max(0, floor(seen[1] + 0.25)), min(width, ceil(seen[2] - 0.25)), min(height, ceil(seen[3] - 0.25)))
    if box[2] - box[0] < MIN_SIDE or box[3] - box[1] < MIN_SIDE:
        return None
    return SignBox(placed.label or "", box, visible, truncated)


def read_words(painter: Painter) -> tuple[Word, ...]:
    """Every word of which something shows; small, hidden or cut ones are not readable."""
    words = []
    for placed in painter.placed:
        for text, quad, characters in placed.words:
            visible, extent = _share(painter, quad, placed.number)
            if extent is None:
                continue
            height = min(np.hypot(c[3][0] - c[0][0], c[3][1] - c[0][1]) for c in characters)
            narrow = np.mean([np.hypot(c[1][0] - c[0][0], c[1][1] - c[0][1]) for c in characters])
            words.append(Word(text, quad, characters, bool(visible >= MIN_READABLE and height >= MIN_CHARACTER and narrow >= MIN_CHARACTER / 3)))
    return tuple(words)
