"""A pinhole camera in a street: metres to pixels, and the homography of a flat panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from finetune.samples.truth import Point, Quad


@dataclass(frozen=True)
class Camera:
    """Looks along z (metres ahead); x is to the right, y is above the ground. Focal length, centre and horizon in pixels."""

    width: int
    height: int
    focal: float
    centre_x: float
    horizon: float
    eye: float

    def project(self, x: float, y: float, z: float) -> Point:
        """The pixel (pixel-edge coordinates) of a point in metres."""
        scale = self.focal / z
        return self.centre_x + scale * x, self.horizon - scale * (y - self.eye)

    def panel(self, centre: tuple[float, float, float], size: tuple[float, float], yaw: float, roll: float = 0.0) -> Quad:
        """Corners, clockwise from top-left, of an upright panel of ``size`` metres turned by ``yaw`` and ``roll`` (radians)."""
        corners = []
        for side, up in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5)):
            flat_x, flat_y = side * size[0], up * size[1]
            x, y = flat_x * cos(roll) + flat_y * sin(roll), flat_y * cos(roll) - flat_x * sin(roll)
            corners.append(self.project(centre[0] + x * cos(yaw), centre[1] + y, centre[2] + x * sin(yaw)))
        return tuple(corners)


def solve_homography(source: Sequence[Point], target: Sequence[Point]) -> NDArray[np.float64]:
    """The 3x3 matrix that maps four source points to four target points."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(target, dtype=np.float64).reshape(8))
    return np.append(solution, 1.0).reshape(3, 3)


def map_points(homography: NDArray[np.float64], points: Sequence[Point]) -> tuple[Point, ...]:
    """Points through a homography."""
    mapped = np.column_stack([np.array(points, dtype=np.float64), np.ones(len(points))]) @ homography.T
    return tuple((float(x / w), float(y / w)) for x, y, w in mapped)
