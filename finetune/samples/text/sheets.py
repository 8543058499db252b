"""Flat sheets: layers of paint over each other, with coverage."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb

Mask = NDArray[np.uint8]
Coverage = NDArray[np.integer[Any] | np.floating[Any]]  # what OpenCV says that it returns; 0..255
Colours = NDArray[np.uint8]  # [h, w, 3]
BORDER = 2  # transparent pixels around everything, so that warped edges are smooth
_STEPS = 17  # points of a gradient; between them it is a line anyway


class Sheet:
    """A sheet that paint is laid on.

    Attributes:
        rgba: [h, w, 4] u8, colours multiplied by coverage; None while nothing is on it.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.rgba: Coverage | None = None

    def lay(self, mask: Coverage, colour: Rgb | Colours, opacity: float = 1.0) -> None:
        """Lay paint on: a colour, or one per pixel [h, w, 3], where ``mask`` [h, w] u8 is not 0."""
        cover = mask if opacity > 0.998 else cv2.convertScaleAbs(mask, alpha=opacity)
        thick = cv2.merge([cover, cover, cover, cover])
        own = np.array((*colour, 255.0)) if isinstance(colour, tuple) else cv2.cvtColor(colour, cv2.COLOR_RGB2RGBA)
        paint = cv2.multiply(thick, own, scale=1 / 255)
        self.rgba = paint if self.rgba is None else cv2.add(cv2.multiply(self.rgba, 255 - thick, scale=1 / 255), paint)

    def light(self, factor: NDArray[np.float32]) -> None:
        """Multiply colours by a few values, [a, b] or [a, b, 3], spread over the sheet."""
        if self.rgba is None:
            return
        few = np.clip(factor * 128, 0, 255).astype(np.uint8)
        layer = cv2.resize(few, self.size, interpolation=cv2.INTER_LINEAR)
        channels = [layer] * 3 if layer.ndim == 2 else list(cv2.split(layer))
        lit = cv2.multiply(self.rgba, cv2.merge([*channels, np.full(layer.shape[:2], 128, np.uint8)]), scale=1 / 128)
        alpha = cv2.extractChannel(self.rgba, 3)
        self.rgba = cv2.min(lit, cv2.merge([alpha] * 4))

    def pixels(self) -> NDArray[np.uint8]:
        """[h, w, 4] u8."""
        return np.zeros((self.size[1], self.size[0], 4), np.uint8) if self.rgba is None else np.asarray(self.rgba, np.uint8)


def ramp(angle_cos: float, angle_sin: float) -> NDArray[np.float32]:
    """A few values [17, 17] from 0 to 1 along a direction."""
    steps = np.linspace(-0.5, 0.5, _STEPS, dtype=np.float32)
    reach = (abs(angle_cos) + abs(angle_sin)) or 1.0
    return np.asarray((steps[None] * angle_cos + steps[:, None] * angle_sin) / reach + 0.5, np.float32)


def between(one: Rgb, other: Rgb, share: NDArray[np.float32], size: tuple[int, int]) -> Colours:
    """[h, w, 3] u8: from ``one`` where ``share`` (a few values, spread over ``size``) is 0 to ``other`` where it is 1."""
    first, last = np.array(one, np.float32), np.array(other, np.float32)
    few = np.clip(first + share[..., None] * (last - first), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(few, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def soft_noise(size: tuple[int, int], cells: int, noise: np.random.Generator) -> NDArray[np.float32]:
    """[h, w] smooth noise in -1..1."""
    width, height = size
    grid = noise.random((max(2, round(cells * height / width)) if width > height else cells, max(2, round(cells * width / height)) if height > width else cells), dtype=np.float32)
    return np.asarray(cv2.resize(grid * 2 - 1, (width, height), interpolation=cv2.INTER_CUBIC if max(size) < 200 else cv2.INTER_LINEAR), np.float32)


def plate(size: tuple[int, int], inset: int, shape: str, roundness: float) -> Mask:
    """Coverage [h, w] of a sign: "box", "round" (corners, by ``roundness`` 0..1) or "oval"."""
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = inset, inset, width - inset - 1, height - inset - 1
    if shape == "oval":
        cv2.ellipse(mask, ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2), 0, 0, 360, 255, -1, cv2.LINE_AA)
        return mask
    radius = int((min(right - left, bottom - top) // 2 - 1) * roundness) if shape == "round" else 0
    if radius < 2:
        mask[top : bottom + 1, left : right + 1] = 255
        return mask
    mask[top + radius : bottom - radius + 1, left : right + 1] = 255
    mask[top : bottom + 1, left + radius : right - radius + 1] = 255
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    return mask
