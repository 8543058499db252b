"""Colours of paint and light, and how far they must be apart to be read."""

from __future__ import annotations

import colorsys
from random import Random

Rgb = tuple[float, float, float]


def luma(colour: Rgb) -> float:
    """Brightness, 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def paint(rng: Random) -> Rgb:
    """A colour that something may be painted in: white, black and grey as often as all others."""
    kind = rng.random()
    if kind < 0.24:
        return _tinted(rng, rng.uniform(205, 255))
    if kind < 0.44:
        return _tinted(rng, rng.uniform(5, 60))
    if kind < 0.54:
        return _tinted(rng, rng.uniform(60, 205))
    red, green, blue = colorsys.hsv_to_rgb(rng.random() if rng.random() < 0.55 else rng.choice([0.0, 0.02, 0.1, 0.14, 0.33, 0.58, 0.62, 0.66]), rng.uniform(0.35, 1.0), rng.uniform(0.3, 1.0))
    return red * 255, green * 255, blue * 255


def muted(rng: Random) -> Rgb:
    """A colour that a wall, a floor or a thing may have: mostly near grey."""
    colour = paint(rng)
    grey = luma(colour)
    return mixed(colour, (grey * 1.04, grey, grey * 0.94), rng.uniform(0.2, 0.95))


def against(ground: Rgb, rng: Random, low: float = 0.15) -> Rgb:
    """A colour to be read on ``ground``; a share ``low`` of them hardly."""
    apart = rng.uniform(24, 52) if rng.random() < low else rng.uniform(62, 150)
    for _ in range(10):
        colour = paint(rng)
        if abs(luma(colour) - luma(ground)) >= apart:
            return colour
    return _tinted(rng, rng.uniform(225, 255) if luma(ground) < 128 else rng.uniform(0, 30))


def mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    """Between two colours; 0 is the first."""
    return tuple(a + (b - a) * share for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def _tinted(rng: Random, grey: float) -> Rgb:
    return tuple(max(0.0, min(255.0, grey + rng.uniform(-9, 9))) for _ in range(3))  # type: ignore[return-value]
