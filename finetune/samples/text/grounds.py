"""What words stand on: photographs of the user, or grounds drawn by our own code."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import mixed, paint
from finetune.samples.text.sheets import between, ramp, soft_noise

Picture = NDArray[np.uint8]


class Grounds:
    """Draws or cuts out backgrounds."""

    def __init__(self, size_hw: tuple[int, int], seed: int, folder: str | None) -> None:
        self.size_hw = size_hw

    def draw(self, rng: Random, noise: np.random.Generator) -> Picture:
        """A background [H, W, 3]."""
        height, width = self.size_hw
        colour = paint(rng)
        other = mixed(colour, paint(rng), 0.5)
        image = between(colour, other, ramp((width, height), rng.uniform(-1, 1), rng.uniform(-1, 1)))
        image += soft_noise((width, height), 12, noise)[..., None] * 12
        return np.clip(image, 0, 255).astype(np.uint8)
