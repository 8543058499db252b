"""Random crops of pictures with text: scale, turn and place as one affine. Words are not mirrored, and cut as seldom as can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.data.preprocess import Affine
from finetune.data.text.quads import Quads, map_points

_TRIES = 12  # places of the crop that are compared
_WHOLE = 0.95  # share of a word's surrounding rectangle that must be seen for it to be whole


@dataclass(frozen=True)
class TextLimits:
    """How far a level goes.

    Args:
        zoom: Range of the scale, on top of the scale at which evaluation sees the picture; log-uniform.
        angle: Largest turn in degrees, either way.
        turn_chance: Chance of turning at all.
        stretch: Largest ratio between the horizontal and the vertical scale.
        background: Share of crops that are placed without regard to words.
    """

    zoom: tuple[float, float]
    angle: float
    turn_chance: float
    stretch: float
    background: float = 0.1


LEVELS = {
    "light": TextLimits((0.7, 1.5), 4.0, 0.5, 1.1),
    "medium": TextLimits((0.5, 2.0), 10.0, 0.6, 1.2),
    "strong": TextLimits((0.5, 2.5), 20.0, 0.7, 1.35),
}


def random_linear(rng: np.random.Generator, limits: TextLimits, scale: float) -> NDArray[np.float64]:
    """A random scale and turn: [2, 2], to be multiplied from the left."""
    zoom = scale * np.exp(rng.uniform(*np.log(limits.zoom)))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(limits.stretch))
    angle = np.radians(rng.uniform(-limits.angle, limits.angle)) * (rng.random() < limits.turn_chance)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]]) @ np.diag([zoom * stretch, zoom / stretch])


def random_crop(rng: np.random.Generator, limits: TextLimits, linear: NDArray[np.float64], picture_hw: tuple[int, int], crop_hw: tuple[int, int], quads: Quads, ignore: NDArray[np.bool_]) -> Affine:
    """Choose where the crop lies.

    Args:
        rng: Source of every choice.
        limits: Strength.
        linear: [2, 2] scale and turn.
        picture_hw: Height and width of the picture.
        crop_hw: Height and width of the crop.
        quads: [N, 4, 2] words in picture pixels.
        ignore: [N].

    Returns:
        The affine from picture to crop: of a dozen places around words (or anywhere, for the share of background) the one that
        cuts the fewest words. A crop smaller than the turned picture lies in its bounds, a larger one holds it.
    """
    crop = np.array(crop_hw[::-1], np.float64)
    height, width = picture_hw
    bounds = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) @ linear.T
    first, last = bounds.min(0), bounds.max(0) - crop
    least, most = np.minimum(first, last), np.maximum(first, last)
    origins = rng.uniform(least, most, (_TRIES, 2))
    to_text = rng.random() >= limits.background
    if len(quads):
        moved = quads @ linear.T
        low, high = moved.min(1), moved.max(1)
        readable = np.flatnonzero(~ignore)
        if to_text and len(readable):
            chosen = rng.choice(readable, _TRIES)
            inner, outer = np.minimum(high[chosen] - crop, low[chosen]), np.maximum(high[chosen] - crop, low[chosen])
            origins = np.clip(rng.uniform(inner, outer), least, most)
        origins = origins[[_best(origins, crop, low, high, ignore, to_text)]]
    left, top = origins[0].tolist()
    (a, b), (c, d) = linear.tolist()
    return a, b, -left, c, d, -top


def seen(quads: Quads, crop_hw: tuple[int, int]) -> NDArray[np.float64]:
    """[N] share of the rectangle around each quad that lies in the crop."""
    low, high = quads.min(1), quads.max(1)
    shared = np.maximum(np.minimum(high, np.array(crop_hw[::-1])) - np.maximum(low, 0), 0).prod(1)
    share: NDArray[np.float64] = shared / np.maximum((high - low).prod(1), 1e-9)
    return share


def is_whole(share: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] whether a word of which so much is seen counts as not cut."""
    return share >= _WHOLE


def _best(origins: NDArray[np.float64], crop: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], ignore: NDArray[np.bool_], to_text: bool) -> int:
    """The place that cuts the fewest words, ignored ones counting a quarter; of text crops one that shows a whole word, of the others one that shows few."""
    start = origins[:, None]
    shared = np.maximum(np.minimum(high, start + crop) - np.maximum(low, start), 0).prod(2)
    share = shared / np.maximum((high - low).prod(1), 1e-9)
    cut = ((share > 0) & ~is_whole(share)) @ np.where(ignore, 0.25, 1.0)
    whole = (is_whole(share) & ~ignore).sum(1)
    return int(np.argmin(cut - 0.5 * (whole > 0) if to_text else cut + whole))


__all__ = ["LEVELS", "TextLimits", "is_whole", "map_points", "random_crop", "random_linear", "seen"]
