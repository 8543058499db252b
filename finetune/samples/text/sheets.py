"""Flat sheets: layers of paint over each other, with coverage."""

from __future__ import annotations

from random import Random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb

Mask = NDArray[np.uint8]
Coverage = NDArray[np.integer[Any] | np.floating[Any]]  # what OpenCV says that it returns; 0..255
BORDER = 2  # transparent pixels around everything, so that warped edges are smooth


class Sheet:
    """A sheet that paint is laid on.

    Attributes:
        rgba: [h, w, 4] f32 in 0..255, colours multiplied by coverage.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.rgba = np.zeros((size[1], size[0], 4), np.float32)

    def lay(self, mask: Coverage, colour: Rgb | NDArray[np.float32], opacity: float = 1.0) -> None:
        """Lay paint on: a colour, or one per pixel [h, w, 3], where ``mask`` [h, w] u8 is not 0."""
        cover = mask.astype(np.float32)
        cover *= opacity / 255
        self.rgba *= (1.0 - cover)[..., None]
        self.rgba[..., 3] += cover * 255
        if isinstance(colour, tuple):
            for channel in range(3):
                self.rgba[..., channel] += cover * np.float32(colour[channel])
        else:
            self.rgba[..., :3] += colour * cover[..., None]

    def light(self, factor: NDArray[np.float32]) -> None:
        """Multiply colours by [h, w] or [h, w, 3]."""
        self.rgba[..., :3] *= factor if factor.ndim == 3 else factor[..., None]

    def pixels(self) -> NDArray[np.uint8]:
        """[h, w, 4] u8."""
        return np.clip(self.rgba + 0.5, 0, 255).astype(np.uint8)


def ramp(size: tuple[int, int], angle_cos: float, angle_sin: float) -> NDArray[np.float32]:
    """[h, w] from 0 to 1 along a direction."""
    width, height = size
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None] * np.float32(angle_cos)
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(angle_sin)
    reach = (abs(angle_cos) + abs(angle_sin)) / 2 or 1.0
    return np.asarray((across + down) / np.float32(2 * reach) + np.float32(0.5), np.float32)


def between(one: Rgb, other: Rgb, share: NDArray[np.float32]) -> NDArray[np.float32]:
    """[h, w, 3]: from ``one`` where ``share`` [h, w] is 0 to ``other`` where it is 1."""
    first, last = np.array(one, np.float32), np.array(other, np.float32)
    return first + share[..., None] * (last - first)


def soft_noise(size: tuple[int, int], cells: int, noise: np.random.Generator) -> NDArray[np.float32]:
    """[h, w] smooth noise in -1..1."""
    width, height = size
    grid = noise.random((max(2, round(cells * height / width)) if width > height else cells, max(2, round(cells * width / height)) if height > width else cells), dtype=np.float32)
    return np.asarray(cv2.resize(grid * 2 - 1, (width, height), interpolation=cv2.INTER_CUBIC if max(size) < 200 else cv2.INTER_LINEAR), np.float32)


def plate(size: tuple[int, int], inset: int, shape: str, rng: Random) -> Mask:
    """Coverage [h, w] of a sign: "box", "round" corners or "oval"."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = inset, inset, width - inset - 1, height - inset - 1
    if shape == "oval":
        cv2.ellipse(mask, ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2), 0, 0, 360, 255, -1, cv2.LINE_AA)
        return mask
    radius = min(right - left, bottom - top) // 2 - 1
    radius = int(radius * rng.uniform(0.15, 1.0)) if shape == "round" else 0
    if radius < 2:
        mask[top : bottom + 1, left : right + 1] = 255
        return mask
    mask[top + radius : bottom - radius + 1, left : right + 1] = 255
    mask[top : bottom + 1, left + radius : right - radius + 1] = 255
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    return mask
