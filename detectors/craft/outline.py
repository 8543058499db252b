"""Outlines of curved words: a polygon of ten points around the middle line of a word, and four at its ends (CRAFT, arXiv:1904.01941, figure 5)."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_PIVOTS = 5  # places along the word where its height is measured
_STRAIGHT = 0.7  # a word whose tallest column fills more than this share of its rectangle is straight
_EXPAND = 1.45  # of the height that the maps show to the height of the text
_REACH = np.arange(0.5, 2.0, 0.2)  # how far the ends are moved out to leave the word, in heights
_LAST_TRIES = 2  # so many steps before the end of that the place is taken as it is
_LEAST_SIDE = 10  # of a word in cells; smaller ones are not looked at

Floats = NDArray[np.float32]


def curved_outline(mask: NDArray[np.bool_], quad: Floats) -> Floats | None:
    """The outline of a curved word, as in the published code.

    Args:
        mask: [h, w] cells of the word's component.
        quad: [4, 2] its rectangle, clockwise from the top left of the text, in cells of the mask.

    Returns:
        [14, 2] clockwise: seven points along the top, seven back along the bottom; None where the word is small, straight, or has no clear middle line.
    """
    width, height = int(math.dist(quad[0], quad[1]) + 1), int(math.dist(quad[1], quad[2]) + 1)
    if width < _LEAST_SIDE or height < _LEAST_SIDE:
        return None
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), upright)
    if abs(np.linalg.det(matrix)) < 1e-12:
        return None
    word = cv2.warpPerspective(mask.astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
    columns, tops, bottoms = _column_spans(word)
    if not len(columns) or (bottoms - tops + 1).max() > height * _STRAIGHT:
        return None
    lines = _cross_lines(columns, tops, bottoms, width)
    if lines is None:
        return None
    points, reach = lines
    ends = _move_out(word, points, reach)
    outline = np.concatenate([ends[:1, 0], points[:, 0], ends[1:, 0], ends[1:, 1], points[::-1, 1], ends[:1, 1]])
    return cv2.perspectiveTransform(outline[None], np.linalg.inv(matrix))[0].astype(np.float32)


def _column_spans(word: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Columns that hold at least two cells, with the row of the first and of the last."""
    columns = np.flatnonzero(word.sum(0, dtype=np.int64) >= 2)
    marked = word[:, columns]
    return columns, marked.argmax(0), word.shape[0] - 1 - marked[::-1].argmax(0)


def _cross_lines(columns: NDArray[np.int64], tops: NDArray[np.int64], bottoms: NDArray[np.int64], width: int) -> tuple[NDArray[np.float64], float] | None:
    """Lines across the word, [_PIVOTS, 2 (top, bottom), 2 xy] of an upright word, and half their length.

    The word is cut into eleven sections. In every second one its tallest column is a pivot; the line through it stands on the slope
    between the centres of the sections beside it.
    """
    sections = 2 * _PIVOTS + 1
    section_width = width / sections
    section = np.minimum((columns / section_width).astype(np.int64), sections - 1)
    centre, tall = 0.5 * (tops + bottoms), bottoms - tops + 1
    counts = np.bincount(section, minlength=sections)
    if (counts == 0).any():
        return None
    middle_x, middle_y = np.bincount(section, columns, sections) / counts, np.bincount(section, centre, sections) / counts
    tallest = np.array([np.flatnonzero(section == odd)[tall[section == odd].argmax()] for odd in range(1, sections, 2)])
    if section_width < tall[tallest].max() * 0.25:
        return None
    half = float(np.median(tall[tallest])) * _EXPAND / 2
    pivots = np.stack([columns[tallest], centre[tallest]], axis=1)
    angle = np.arctan2(middle_y[2::2] - middle_y[:-2:2], middle_x[2::2] - middle_x[:-2:2])
    across = half * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    return np.stack([pivots - across, pivots + across], axis=1), half


def _move_out(word: NDArray[Any], lines: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """The first and the last line moved along the word until they no longer touch it, [2 (start, end), 2 (top, bottom), 2 xy]."""
    middle = lines.mean(1)
    slopes = np.diff(middle[:, 1]) / np.diff(middle[:, 0])
    ends = []
    for line, slope, direction in ((lines[0], slopes[:2].sum(), -1.0), (lines[-1], slopes[-2:].sum(), 1.0)):
        for step, reach in enumerate(_REACH):
            shift = direction * 2 * half * reach
            moved = line + shift * np.array([1.0, slope])
            drawn = np.zeros_like(word)
            cv2.line(drawn, (int(moved[0, 0]), int(moved[0, 1])), (int(moved[1, 0]), int(moved[1, 1])), 1)
            if step >= len(_REACH) - _LAST_TRIES or not (drawn & word).any():
                break
        ends.append(moved)
    return np.stack(ends)
