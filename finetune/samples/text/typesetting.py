"""Lines of words on a flat sheet: straight, or bent along a circle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, sin
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.glyphs import Glyph, GlyphStore, joins, split_characters

Corners = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FlatWord:
    """A word on a sheet: quad [4, 2] and character quads [K, 4, 2] in sheet pixels (pixel-edge), clockwise from the top-left of the text.

    K is 0 for scripts whose letters join.
    """

    text: str
    quad: Corners
    characters: Corners


@dataclass(frozen=True, eq=False)
class Line:
    """Glyphs with their pens (whole pixels from the start of the line); word k owns glyphs ``starts[k]:starts[k + 1]``."""

    texts: tuple[str, ...]
    glyphs: tuple[Glyph, ...]
    pens: tuple[int, ...]
    starts: tuple[int, ...]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The rectangle of all ink, relative to the start on the baseline."""
        lefts, tops, rights, bottoms = zip(*((pen + g.ink[0], g.ink[1], pen + g.ink[2], g.ink[3]) for g, pen in zip(self.glyphs, self.pens, strict=True)), strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


def lay_line(store: GlyphStore, font: Path, size: int, words: Sequence[str], spacing: float = 0.0, gap: float = 0.3) -> Line | None:
    """Set words beside each other.

    Args:
        store: Where glyphs come from.
        font: A font that has all their characters.
        size: In pixels.
        words: Without blanks.
        spacing: Added between characters, a share of the size.
        gap: Between words, a share of the size.

    Returns:
        None where the font draws nothing for one of the characters.
    """
    glyphs: list[Glyph] = []
    pens: list[int] = []
    starts = [0]
    x = 0.0
    for word in words:
        for piece in split_characters(word):
            glyph = store.get(font, size, piece)
            if not glyph.mask.size:
                return None
            glyphs.append(glyph)
            pens.append(round(x))
            x += glyph.advance + spacing * size
        starts.append(len(glyphs))
        x += (gap - spacing) * size
    return Line(tuple(words), tuple(glyphs), tuple(pens), tuple(starts))


def ink_line(ink: NDArray[np.uint8], line: Line, x: int, baseline: int) -> list[FlatWord]:
    """Draw a straight line into the coverage ``ink`` [h, w]; all of it must lie inside."""
    rects = np.empty((len(line.glyphs), 4))
    for k, (glyph, pen) in enumerate(zip(line.glyphs, line.pens, strict=True)):
        left, top = x + pen + glyph.left, baseline + glyph.top
        height, width = glyph.mask.shape
        place = ink[top : top + height, left : left + width]
        np.maximum(place, glyph.mask, out=place)
        rects[k] = glyph.ink
        rects[k, [0, 2]] += x + pen
    rects[:, [1, 3]] += baseline
    quads = _quads(rects)
    return [_word(text, quads[a:b], _around(rects[a:b])) for text, (a, b) in zip(line.texts, pairwise(line.starts), strict=True)]


def ink_arc(ink: NDArray[np.uint8], line: Line, x: float, baseline: float, radius: float) -> list[FlatWord]:
    """Draw a line along a circle: every glyph is turned as a whole, so that its quad stays exact.

    Args:
        ink: Coverage [h, w].
        line: The line.
        x: Start of the unbent line.
        baseline: Height of the baseline at the middle of the line.
        radius: Of the circle of the baseline in pixels; the middle bulges up where it is positive, down where it is negative.
    """
    left, _, right, _ = line.extent
    middle = (left + right) / 2
    centre = np.array([x + middle, baseline + radius])
    quads = np.empty((len(line.glyphs), 4, 2))
    angles = np.empty(len(line.glyphs))
    for k, (glyph, pen) in enumerate(zip(line.glyphs, line.pens, strict=True)):
        half = (glyph.ink[0] + glyph.ink[2]) / 2
        angle = (pen + half - middle) / radius
        turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        shift = centre + turn @ np.array([-half, -radius])  # of a point relative to the pen
        quads[k] = _quads(np.array([glyph.ink]))[0] @ turn.T + shift
        angles[k] = angle
        _turned(ink, glyph, turn, shift)
    words = []
    for text, (a, b) in zip(line.texts, pairwise(line.starts), strict=True):
        angle = float((angles[a] + angles[b - 1]) / 2)
        turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        upright = quads[a:b].reshape(-1, 2) @ turn
        rect = np.concatenate([upright.min(0), upright.max(0)])
        words.append(_word(text, quads[a:b], _quads(rect[None])[0] @ turn.T))
    return words


def _turned(ink: NDArray[np.uint8], glyph: Glyph, turn: Corners, shift: Corners) -> None:
    height, width = glyph.mask.shape
    frame = _quads(np.array([[glyph.left - 1, glyph.top - 1, glyph.left + width + 1, glyph.top + height + 1]], float))[0] @ turn.T + shift
    low = np.maximum(np.floor(frame.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(frame.max(0)).astype(int), ink.shape[::-1])
    if (high <= low).any():
        return
    offset = turn @ np.array([glyph.left + 0.5, glyph.top + 0.5]) + shift - low - 0.5  # of the centre of the first pixel
    warped = cv2.warpAffine(glyph.mask, np.column_stack([turn, offset]), (int(high[0] - low[0]), int(high[1] - low[1])), flags=cv2.INTER_LINEAR)
    place = ink[low[1] : high[1], low[0] : high[0]]
    np.maximum(place, warped, out=place)


def _word(text: str, characters: Corners, quad: Corners) -> FlatWord:
    return FlatWord(text, quad, characters[:0] if joins(text) else characters)


def _around(rects: Corners) -> Corners:
    return _quads(np.array([[*rects[:, :2].min(0), *rects[:, 2:].max(0)]]))[0]


def _quads(rects: Corners) -> Corners:
    """[N, 4, 2] corners of rectangles [N, 4] (left, top, right, bottom), clockwise from top-left."""
    return rects[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
