"""What light and a camera do to a picture: shade, blur, shake, few pixels, colours, noise, compression. Nothing moves by it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
_NOISE_STRENGTH = 20.0
_NOISE_SIDE = 1024


@dataclass(frozen=True)
class Lens:
    """How a picture is taken.

    Args:
        fewer: Share of the pixels per direction that the camera has; the picture is scaled up again.
        blur: Out of focus, standard deviation in pixels.
        shake: Length of a motion in pixels, and its direction in radians.
        gains: Factor per channel.
        gamma: Below 1 is brighter.
        contrast: Factor about the middle.
        noise: Strength (of 255) of fine and of coarse noise.
        quality: Of the JPEG file.
    """

    fewer: float = 1.0
    blur: float = 0.0
    shake: tuple[float, float] = (0.0, 0.0)
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0
    contrast: float = 1.0
    noise: tuple[float, float] = (0.0, 0.0)
    quality: int = 95

    @staticmethod
    def choose(rng: Random) -> Lens:
        """Mostly a telephone in a hurry: some blur, some noise, much compression."""
        kind = rng.random()
        warm, bright = rng.gauss(0, 0.06), 2 ** rng.gauss(0, 0.25)
        return Lens(
            fewer=rng.uniform(0.4, 0.85) if rng.random() < 0.3 else 1.0,
            blur=0.0 if kind < 0.3 else rng.uniform(0.4, 1.1) if kind < 0.85 else rng.uniform(1.1, 2.4),
            shake=(rng.uniform(2.5, 9.0), rng.uniform(0, pi)) if rng.random() < 0.17 else (0.0, 0.0),
            gains=(bright * (1 + warm), bright * (1 + rng.gauss(0, 0.02)), bright * (1 - warm)),
            gamma=2 ** rng.gauss(0, 0.22),
            contrast=rng.uniform(0.6, 1.15),
            noise=(rng.uniform(0.5, 5.0) + (rng.uniform(0, 9) if rng.random() < 0.2 else 0.0), rng.uniform(0.0, 5.0)),
            quality=rng.randint(35, 95),
        )


def take(picture: Picture, lens: Lens, noise: np.random.Generator) -> Picture:
    """The picture [H, W, 3] u8 as the camera has it, before its file is compressed."""
    height, width = picture.shape[:2]
    if lens.shake[0] > 1:
        picture = np.asarray(cv2.filter2D(picture, -1, _motion(*lens.shake), borderType=cv2.BORDER_REPLICATE), np.uint8)
    small = (max(8, round(width * lens.fewer)), max(8, round(height * lens.fewer)))
    if lens.fewer < 1:
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
    if lens.blur:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), lens.blur), np.uint8)
    picture = np.asarray(cv2.LUT(picture, _tones(lens)), np.uint8)
    for coarse, level in enumerate(lens.noise):
        if level > 0.3:
            picture = _noisy(picture, level, bool(coarse), noise)
    if lens.fewer < 1:
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    return picture


def _tones(lens: Lens) -> Picture:
    values = (np.arange(256) / 255) ** lens.gamma
    values = 0.5 + (values - 0.5) * lens.contrast
    table = values[:, None] * np.array(lens.gains) * 255
    return np.clip(np.rint(table), 0, 255).astype(np.uint8)[None]


def _motion(length: float, angle: float) -> NDArray[np.float32]:
    """A kernel along a line, the same in both directions: nothing is shifted."""
    side = int(np.ceil(length)) // 2 * 2 + 1
    kernel = np.zeros((side, side), np.float32)
    middle, reach = side // 2, (length - 1) / 2
    for share in np.linspace(-1, 1, 4 * side):
        x, y = middle + share * reach * cos(angle), middle + share * reach * sin(angle)
        left, top = int(np.floor(x)), int(np.floor(y))
        for row in (top, top + 1):
            for column in (left, left + 1):
                if 0 <= row < side and 0 <= column < side:
                    kernel[row, column] += (1 - abs(x - column)) * (1 - abs(y - row))
    kernel += kernel[::-1, ::-1]
    return kernel / kernel.sum()


def _noisy(picture: Picture, level: float, coarse: bool, noise: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    bank = _noise_bank(coarse)
    if height > _NOISE_SIDE or width > _NOISE_SIDE:
        bank = np.tile(bank, (-(-height // _NOISE_SIDE), -(-width // _NOISE_SIDE), 1))
    top, left = int(noise.integers(0, bank.shape[0] - height + 1)), int(noise.integers(0, bank.shape[1] - width + 1))
    grain = np.ascontiguousarray(bank[top : top + height, left : left + width])
    share = level / _NOISE_STRENGTH
    return np.asarray(cv2.addWeighted(picture, 1.0, grain, share, -128.0 * share), np.uint8)


@lru_cache(maxsize=2)
def _noise_bank(coarse: bool) -> Picture:
    """[side, side, 3] u8 about 128; every picture takes its own window of it, which is ten times faster than drawing it."""
    generator = np.random.default_rng(2 if coarse else 1)
    values = generator.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), dtype=np.float32)
    if coarse:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), 1.1), np.float32)
        values /= values.std()
    return np.clip(128 + values * _NOISE_STRENGTH, 0, 255).astype(np.uint8)


def cast_light(picture: Picture, rng: Random) -> Picture:
    """Uneven light over the whole picture: a gradient, the dark corners of a lens, a shadow with an edge."""
    height, width = picture.shape[:2]
    small = (width // 8 + 1, height // 8 + 1)
    across, down = np.linspace(-1, 1, small[0], dtype=np.float32)[None], np.linspace(-1, 1, small[1], dtype=np.float32)[:, None]
    angle, strength = rng.uniform(0, 2 * pi), rng.uniform(0, 0.35)
    factor = 1 + strength * (across * cos(angle) + down * sin(angle)) - rng.uniform(0, 0.2) * (across**2 + down**2)
    layer = np.clip(factor * 128, 0, 255).astype(np.uint8)
    layer = np.asarray(cv2.resize(layer, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.3:
        layer = _shadow(layer, rng)
    return np.asarray(cv2.multiply(picture, cv2.cvtColor(layer, cv2.COLOR_GRAY2RGB), scale=1 / 128), np.uint8)


def _shadow(layer: NDArray[np.uint8], rng: Random) -> NDArray[np.uint8]:
    height, width = layer.shape
    mask = np.full((height, width), 255, np.uint8)
    depth = round(255 * rng.uniform(0.35, 0.8))
    middle, angle, wide = (rng.uniform(0, width), rng.uniform(0, height)), rng.uniform(0, pi), rng.uniform(0.05, 0.6) * width
    along, aside = np.array([cos(angle), sin(angle)]) * 2 * max(width, height), np.array([-sin(angle), cos(angle)]) * wide / 2
    corners = np.array([middle + along + aside, middle - along + aside, middle - along - aside, middle + along - aside])
    cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), depth, cv2.LINE_AA)
    if rng.random() < 0.5:
        mask = np.asarray(cv2.blur(mask, (rng.randint(3, 40),) * 2), np.uint8)
    return np.asarray(cv2.multiply(layer, mask, scale=1 / 255), np.uint8)
