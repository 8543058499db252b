"""What all small pictures of the page share: their size, their colours, and the cut around what is marked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finetune.drawing import Colour

TILE = 400  # longest side in pixels
MARK: Colour = (255, 40, 40)
PALE: Colour = (190, 190, 190)
_LEAST_CROP = 0.25  # of the longer side of the picture: small boxes are shown enlarged, with their surroundings


class Tile(NamedTuple):
    """A small picture, what it shows, and the severity of a finding or ""."""

    image: Image.Image
    caption: str
    severity: str = ""


def cut_around(pixels: NDArray[np.uint8], box: NDArray[np.float64]) -> tuple[NDArray[np.uint8], float, NDArray[np.float64], NDArray[np.float64]]:
    """The surroundings of a box.

    Args:
        pixels: [H, W, C] uint8.
        box: [4] x1, y1, x2, y2, in any order, anywhere.

    Returns:
        The cut, its scale, [2] where its corner lies in the picture, and [4] the box in the picture, grown until it can be seen.
    """
    height, width = pixels.shape[:2]
    x1, x2 = np.clip(sorted(box[0::2]), 0, width)
    y1, y2 = np.clip(sorted(box[1::2]), 0, height)
    side = min(max(1.6 * (x2 - x1), 1.6 * (y2 - y1), _LEAST_CROP * max(width, height), 32.0), float(max(width, height)))
    left, top = (int(np.clip((low + high - side) / 2, 0, max(0, size - side))) for low, high, size in ((x1, x2, width), (y1, y2, height)))
    small, scale = shrink(pixels[top : top + round(side), left : left + round(side)], enlarge=True)
    least = 8 / scale  # a box of nothing becomes a mark of 8 pixels
    grow_x, grow_y = max(0.0, (least - (x2 - x1)) / 2), max(0.0, (least - (y2 - y1)) / 2)
    return small, scale, np.array([left, top], np.float64), np.array([x1 - grow_x, y1 - grow_y, x2 + grow_x, y2 + grow_y])


def shrink(pixels: NDArray[np.uint8], longest: int = TILE, enlarge: bool = False) -> tuple[NDArray[np.uint8], float]:
    """A copy whose longer side is ``longest`` or less, and its scale."""
    scale = longest / max(pixels.shape[:2])
    if scale >= 1 and not enlarge:
        return pixels, 1.0
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)), scale
