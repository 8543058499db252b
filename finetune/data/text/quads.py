"""Quads of words: sizes, and the order of their corners put right for training. Vectorised; truth for evaluation never comes here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.data.preprocess import Affine
from finetune.data.text.raw import signed_area

LEAST_AREA = 1.0  # square pixels: a word of less is a slip of the hand
Quads = NDArray[np.float64]


class Mended(NamedTuple):
    """Quads [N, 4, 2] with clockwise corners whose sides do not cross, and which of them were what: three [N] bool."""

    quads: Quads
    empty: NDArray[np.bool_]
    crossed: NDArray[np.bool_]
    anticlockwise: NDArray[np.bool_]


def mend(quads: Quads) -> Mended:
    """Put corners in order: clockwise on the screen, first corner kept; what has no area even then is ``empty`` and stays as it is."""
    crossed = _cross(quads[:, 0], quads[:, 1], quads[:, 2], quads[:, 3]) | _cross(quads[:, 1], quads[:, 2], quads[:, 3], quads[:, 0])
    area = signed_area(quads)
    anticlockwise = ~crossed & (area < -LEAST_AREA)
    mended = quads
    if crossed.any() or anticlockwise.any():
        mended = quads.copy()
        mended[anticlockwise] = quads[anticlockwise][:, [0, 3, 2, 1]]
        mended[crossed] = _around(quads[crossed])
    empty = np.abs(signed_area(mended)) < LEAST_AREA
    return Mended(mended, empty, crossed & ~empty, anticlockwise & ~empty)


def sizes(quads: Quads) -> NDArray[np.float64]:
    """[N, 2] mean width (upper and lower side) and mean height (left and right side)."""
    sides = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=2)
    return np.stack([(sides[:, 0] + sides[:, 2]) / 2, (sides[:, 1] + sides[:, 3]) / 2], axis=1)


def letter_sizes(quads: Quads, letters: NDArray[np.int64]) -> NDArray[np.float64]:
    """[N] height of the letters: the height of the word, or its width where that is less and the word has more than two letters (upright lines, or corners from another side)."""
    width, height = sizes(quads).T
    return np.where(letters > 2, np.minimum(width, height), np.where(letters > 0, height, np.minimum(width, height)))


def map_points(points: Quads, affine: Affine) -> Quads:
    """Points [..., 2] by an affine (a, b, tx, c, d, ty), as in ImageMeta."""
    a, b, tx, c, d, ty = affine
    mapped: Quads = points @ np.array([[a, c], [b, d]]) + np.array([tx, ty])
    return mapped


def _cross(p: Quads, q: Quads, r: Quads, s: Quads) -> NDArray[np.bool_]:
    """[N] whether the segments pq and rs cross in their insides."""
    return (_turn(p, q, r) * _turn(p, q, s) < 0) & (_turn(r, s, p) * _turn(r, s, q) < 0)


def _turn(p: Quads, q: Quads, r: Quads) -> NDArray[np.float64]:
    return (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])


def _around(quads: Quads) -> Quads:
    """Corners sorted clockwise around their centre, from the one that was first."""
    rays = quads - quads.mean(1, keepdims=True)
    order = np.argsort(np.arctan2(rays[..., 1], rays[..., 0]), axis=1, kind="stable")
    start = (order == 0).argmax(1)
    order = np.take_along_axis(order, (start[:, None] + np.arange(4)) % 4, axis=1)
    return np.take_along_axis(quads, order[..., None], axis=1)
