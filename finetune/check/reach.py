"""How near the best anchor of a regular grid comes to a box. Exact, because overlap falls with the distance of the centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Grid:
    """Anchors of one level.

    Args:
        x: [columns] centres in input pixels, rising.
        y: [rows] centres in input pixels, rising.
        shapes: [k, 2] width and height, the same in every cell.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shapes: NDArray[np.float64]

    @classmethod
    def of(cls, anchors: NDArray[np.float64], size: tuple[int, int]) -> Grid:
        """The grid of anchors [rows * columns * k, 4] xyxy, ordered by row, column, shape."""
        cells = anchors.reshape(size[0], size[1], -1, 4)
        centres = (cells[..., :2] + cells[..., 2:]) / 2
        return cls(centres[0, :, 0, 0], centres[:, 0, 0, 1], cells[0, 0, :, 2:] - cells[0, 0, :, :2])

    def __len__(self) -> int:
        return len(self.x) * len(self.y) * len(self.shapes)


def best_overlap(boxes: NDArray[np.float64], grids: Sequence[Grid]) -> NDArray[np.float32]:
    """Best IoU of each box [M, 4] with any anchor [M]: of the anchors of one shape, the one with the nearest centre has it."""
    x1, y1, x2, y2 = np.ascontiguousarray(boxes.T, dtype=np.float32)
    width, height, x, y = x2 - x1, y2 - y1, (x1 + x2) / 2, (y1 + y2) / 2
    area, best = width * height, np.zeros(len(boxes), np.float32)
    for grid in grids:
        across, down = (np.abs(ticks.astype(np.float32)[nearest(ticks, centre)] - centre) for ticks, centre in ((grid.x, x), (grid.y, y)))
        for w, h in grid.shapes.astype(np.float32):
            shared_x = np.clip((width + w) / 2 - across, 0, np.minimum(width, w))
            shared = shared_x * np.clip((height + h) / 2 - down, 0, np.minimum(height, h))
            np.maximum(best, shared / (area + w * h - shared), out=best)
    return best


def centres_inside(boxes: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """How many cells have their centre strictly inside each box [M]."""
    across = np.searchsorted(grid.x, boxes[:, 2], "left") - np.searchsorted(grid.x, boxes[:, 0], "right")
    down = np.searchsorted(grid.y, boxes[:, 3], "left") - np.searchsorted(grid.y, boxes[:, 1], "right")
    return np.maximum(across, 0) * np.maximum(down, 0)


def nearest_centre(boxes: NDArray[np.float64], grids: Sequence[Grid]) -> NDArray[np.int64]:
    """The number of the anchor whose centre is nearest to that of each box [M]; of several the first."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    best, anchor, before = np.full(len(boxes), np.inf), np.zeros(len(boxes), np.int64), 0
    for grid in grids:
        column, row = nearest(grid.x, centre[:, 0]), nearest(grid.y, centre[:, 1])
        distance = np.hypot(grid.x[column] - centre[:, 0], grid.y[row] - centre[:, 1])
        closer = distance < best
        best = np.where(closer, distance, best)
        anchor = np.where(closer, before + (row * len(grid.x) + column) * len(grid.shapes), anchor)
        before += len(grid)
    return anchor


def nearest(ticks: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index [M] of the rising tick that is nearest to each value [M]; of two the lower."""
    right = np.clip(np.searchsorted(ticks, values), 0, len(ticks) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(values - ticks[left]) <= np.abs(ticks[right] - values), left, right)
