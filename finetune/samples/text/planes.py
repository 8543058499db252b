"""Where a flat sheet lies in front of the camera, and what the picture shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_HALF = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_HALF_BACK = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


@dataclass(frozen=True)
class Pose:
    """How a sheet is turned (radians): about the upright axis, the level axis and the line of sight; its slant and its width by height."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    slant: float = 0.0
    stretch: float = 1.0

    def homography(self, size: tuple[float, float], scale: float, centre: tuple[float, float], distance: float) -> Matrix:
        """The 3x3 matrix from sheet pixels to picture pixels (both pixel-edge).

        Args:
            size: Width and height of the sheet.
            scale: Picture pixels per sheet pixel at the middle of the sheet, before it is turned.
            centre: The picture pixel of the middle of the sheet.
            distance: Of the camera, in picture pixels: the smaller, the stronger the perspective.
        """
        cy, sy, cp, sp, cr, sr = cos(self.yaw), sin(self.yaw), cos(self.pitch), sin(self.pitch), cos(self.roll), sin(self.roll)
        turned = ((cr * cy - sr * sp * sy, -sr * cp), (sr * cy + cr * sp * sy, cr * cp), (-cp * sy / distance, sp / distance))  # by yaw, then pitch, then roll
        rows = []
        for k, (x, y) in enumerate(turned):
            own = [scale * self.stretch * x, scale * (y - self.slant * x)]
            own.append(-(own[0] * size[0] + own[1] * size[1]) / 2 + (k == 2))
            rows.append(own)
        for k in (0, 1):
            rows[k] = [value + centre[k] * deep for value, deep in zip(rows[k], rows[2], strict=True)]
        return np.array(rows)


def map_quads(matrix: Matrix, quads: Matrix) -> Matrix:
    """Points [..., 2] through a homography."""
    mapped = quads @ matrix[:, :2].T + matrix[:, 2]
    return mapped[..., :2] / mapped[..., 2:]


def frame_in_picture(rows: Matrix, size: tuple[float, float]) -> list[tuple[float, float]] | None:
    """The corners of a sheet in the picture, clockwise from its top-left; None where it is turned away too far or comes too near."""
    (a, b, c), (d, e, f), (g, h, i) = rows.tolist()
    corners = []
    for x, y in ((0.0, 0.0), (size[0], 0.0), (size[0], size[1]), (0.0, size[1])):
        deep = g * x + h * y + i
        if deep < 0.35:
            return None
        corners.append(((a * x + b * y + c) / deep, (d * x + e * y + f) / deep))
    return corners


def frame_of(size: tuple[float, float]) -> Matrix:
    """[4, 2] corners of a sheet, clockwise from top-left."""
    return np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], float)


def show(sheet: NDArray[np.uint8], matrix: Matrix, picture_hw: tuple[int, int], finer: int) -> tuple[NDArray[np.uint8], int, int] | None:
    """What the picture shows of a sheet.

    Args:
        sheet: [h, w, C] u8, colours already multiplied by coverage; nothing at its border.
        matrix: From sheet pixels to picture pixels.
        picture_hw: Height and width of the picture.
        finer: Samples per pixel and direction, averaged: small letters need them.

    Returns:
        The part [h, w, C] and its left and top pixel in the picture; None where nothing shows.
    """
    height, width = sheet.shape[:2]
    corners = map_quads(matrix, frame_of((width, height)))
    left, top = (max(0, int(value)) for value in np.floor(corners.min(0)))
    right, bottom = (min(most, int(value)) for value, most in zip(np.ceil(corners.max(0)), picture_hw[::-1], strict=True))
    if right <= left or bottom <= top:
        return None
    part = np.array([[finer, 0, -left * finer], [0, finer, -top * finer], [0, 0, 1.0]])
    size = ((right - left) * finer, (bottom - top) * finer)
    warped = cv2.warpPerspective(sheet, _HALF_BACK @ part @ matrix @ _HALF, size, flags=cv2.INTER_LINEAR)
    if finer > 1:
        warped = cv2.resize(warped, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8).reshape(bottom - top, right - left, -1), left, top
