"""Region and affinity maps over a picture, for people to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_REGION = np.array([255, 64, 32], np.float32)
_AFFINITY = np.array([32, 160, 255], np.float32)
_LEFT_OUT = 96.0  # grey of what nothing is learned from
_DARKER = 0.55


def draw_maps(image: NDArray[np.uint8], maps: NDArray[Any], confidence: NDArray[Any] | None = None) -> Image.Image:
    """Lay maps over a darkened copy of a picture: regions red, affinities blue, what does not count grey.

    Args:
        image: [H, W, 3] or [H, W, 1] uint8, the input of the network.
        maps: [2, h, w], region and affinity, about 0..1; they are stretched to the picture.
        confidence: [h, w] in 0..1; default: 1.

    Returns:
        An RGB picture of the same size.
    """
    pixels = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32) * _DARKER
    size = (image.shape[1], image.shape[0])
    if confidence is not None:
        doubt = (1 - _stretched(confidence, size))[:, :, None]
        pixels += (_LEFT_OUT - pixels) * 0.8 * doubt
    for values, colour in zip(maps, (_REGION, _AFFINITY), strict=True):
        pixels += (colour - pixels) * 0.85 * _stretched(values, size)[:, :, None]
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def _stretched(values: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    cells = Image.fromarray(np.nan_to_num(np.asarray(values, np.float32)).clip(0, 1))
    return np.asarray(cells.resize(size, Image.Resampling.BILINEAR), np.float32)
