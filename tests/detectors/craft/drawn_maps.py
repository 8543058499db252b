"""Region and affinity maps of drawn words, so that the post-processing has work of any amount: straight and curved words, single letters, at any angle, with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_maps(height: int, width: int, words: int, seed: int, bend: float = 0.0) -> NDArray[np.float32]:
    """[2, height, width] f32 maps of so many words in cells; ``bend`` is the greatest turn along a word in radians."""
    generator = np.random.default_rng(seed)
    maps = generator.uniform(0, 0.08, (2, height, width)).astype(np.float32)
    for _ in range(words):
        letters = int(generator.integers(1, 12))
        size = float(generator.uniform(3, min(18, width / letters / 2 + 3)))
        x, y = generator.uniform(0, width), generator.uniform(0, height)
        angle = generator.uniform(-0.6, 0.6)
        turn = generator.uniform(-bend, bend) / letters
        peak = generator.uniform(0.55, 1.05)
        for index in range(letters):
            _blob(maps[0], x, y, size / 2, size / 2, peak)
            step = size * generator.uniform(0.75, 0.9)
            following = x + step * np.cos(angle), y + step * np.sin(angle)
            if index + 1 < letters:
                _blob(maps[1], (x + following[0]) / 2, (y + following[1]) / 2, size / 2.4, size / 2.4, peak * generator.uniform(0.6, 1))
            (x, y), angle = following, angle + turn
    _diamond(maps[0], generator.uniform(20, width - 20), generator.uniform(20, height - 20))
    return maps


def _diamond(plane: NDArray[np.float32], x: float, y: float) -> None:
    """A square that stands on a corner: the smallest rectangle around it is not the one that is wanted."""
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
    np.maximum(plane, 1 - (np.abs(columns - x) + np.abs(rows - y)) / 24, out=plane)


def _blob(plane: NDArray[np.float32], x: float, y: float, sx: float, sy: float, peak: float) -> None:
    reach = int(2.5 * max(sx, sy)) + 1
    top, left = max(0, int(y) - reach), max(0, int(x) - reach)
    window = plane[top : max(0, int(y) + reach + 1), left : max(0, int(x) + reach + 1)]
    if not window.size:
        return
    rows, columns = np.mgrid[top : top + window.shape[0], left : left + window.shape[1]]
    spread = peak * np.exp(-(((columns - x) / sx) ** 2 + ((rows - y) / sy) ** 2))
    np.maximum(window, spread, out=window)
