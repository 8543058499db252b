"""Outlines of words with any number of corners, as flat arrays: what the text protocols compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.polygon_area import intersections

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outlines:
    """N closed outlines in pixels of the original picture; outline i has the corners ``points[offsets[i]:offsets[i + 1]]``.

    ``points`` [P, 2] f64 are x, y; ``offsets`` [N + 1] i64. Direction and crossings are the writer's business.
    """

    points: Points
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of_quads(cls, quads: Points) -> Outlines:
        """Outlines of four corners each from an array [N, 4, 2]."""
        flat = np.asarray(quads, np.float64).reshape(-1, 2)
        return cls(flat, np.arange(0, len(flat) + 1, 4, dtype=np.int64))

    @classmethod
    def of_list(cls, shapes: Sequence[Points]) -> Outlines:
        """Outlines from arrays [K_i, 2]."""
        counts = np.array([len(shape) for shape in shapes], np.int64)
        points = np.concatenate(list(shapes)).astype(np.float64) if len(shapes) else np.zeros((0, 2))
        return cls(points.reshape(-1, 2), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    @classmethod
    def joined(cls, parts: Sequence[Outlines]) -> Outlines:
        """All outlines of several collections, in their order."""
        if not parts:
            return cls.of_list([])
        counts = np.concatenate([part.counts for part in parts])
        return cls(np.concatenate([part.points for part in parts]), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    @property
    def counts(self) -> NDArray[np.int64]:
        """[N] how many corners each has."""
        return np.diff(self.offsets)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Outlines:
        """The outlines that an index or mask array chooses."""
        chosen = np.flatnonzero(which) if which.dtype == np.bool_ else which.astype(np.int64)
        counts = self.counts[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        return Outlines(self.points[rows], offsets)

    def truncated(self) -> Outlines:
        """Coordinates without their fractions, towards zero, as ``int()`` in the official scripts."""
        return Outlines(np.trunc(self.points), self.offsets)

    def padded(self, corners: int = 0) -> Points:
        """Corners as one array [N, K, 2], K at least ``corners``: short outlines repeat their last corner, which changes no area."""
        counts = self.counts
        most = max(corners, int(counts.max(initial=1)))
        if len(self) and (counts == most).all():
            return self.points.reshape(-1, most, 2)
        rows = self.offsets[:-1, None] + np.minimum(np.arange(most), counts[:, None] - 1)
        return self.points[rows] if len(self) else np.zeros((0, most, 2))

    def bounds(self) -> Points:
        """Upright rectangles [N, 4] around them: left, top, right, bottom."""
        corners = self.padded()
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def common_areas(one: Outlines, two: Outlines, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """[P] what each pair of outlines, a row of ``one`` and a row of ``two``, covers together; pairs of quads stay quads beside curved words."""
    common = np.zeros(len(first))
    corners = np.maximum(one.counts[first], two.counts[second])
    for most in np.unique(corners):
        part = corners == most
        common[part] = intersections(one.take(first[part]).padded(), two.take(second[part]).padded())
    return common
