"""What a camera does to a picture: blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lens:
    """How a picture is taken: blur (pixels), noise (of 255), JPEG quality (0: none)."""

    blur: float = 0.0
    noise: float = 0.0
    quality: int = 0

    @staticmethod
    def choose(rng: Random) -> Lens:
        """Most pictures are a little blurred."""
        return Lens(rng.uniform(0.3, 1.0) if rng.random() < 0.5 else 0.0, rng.uniform(1, 7), rng.randint(40, 95))


def take(image: NDArray[np.uint8], lens: Lens, noise: np.random.Generator) -> NDArray[np.uint8]:
    """The finished picture [H, W, 3] u8."""
    if lens.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), lens.blur), np.uint8)
    return image
