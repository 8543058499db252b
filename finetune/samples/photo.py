"""From the canvas to a photograph: halos, grain of the surfaces, blur, noise, colour cast."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter

from finetune.samples.painter import SUPERSAMPLE, Painter
from finetune.samples.weather import Weather, clouds, rain_streaks

GRAIN_SIDE = 960


def develop(painter: Painter, weather: Weather, rng: Random, noise: np.random.Generator) -> Image.Image:
    """The finished picture, RGB uint8, at its final size."""
    image = painter.canvas.reduce(SUPERSAMPLE)
    image = _halos(painter, image)
    image = _texture(image, noise, rng)
    if weather.rain:
        image = rain_streaks(image, noise, weather.rain)
    if weather.name == "fog":
        image = Image.blend(image, Image.new("RGB", image.size, tuple(int(value) for value in weather.light.air)), 0.12)
    image = _grade(image, rng)
    blur = rng.random()
    if blur < 0.16:
        image = motion_blur(image, rng.randint(2, 4), rng.random() < 0.75)
    elif blur < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    level = rng.uniform(1.0, 4.0) + (rng.uniform(2.0, 6.0) if weather.light.lamps else 0.0)
    return _noise(image, noise, level)


def _halos(painter: Painter, image: Image.Image) -> Image.Image:
    if not painter.glows:
        return image
    small = Image.new("RGB", (image.width // 4, image.height // 4))
    draw = ImageDraw.Draw(small)
    for x, y, radius, (red, green, blue) in painter.glows:
        size = max(0.6, min(radius, 60) / 4 * 0.45)
        draw.ellipse([x / 4 - size, y / 4 - size, x / 4 + size, y / 4 + size], fill=(round(red), round(green), round(blue)))
    wide = small.filter(ImageFilter.GaussianBlur(9))
    close = small.filter(ImageFilter.GaussianBlur(2.5))
    halo = ImageChops.add(close.point(lambda value: value * 0.6), wide.point(lambda value: value * 0.9))
    return ImageChops.screen(image, halo.resize(image.size, Image.Resampling.BICUBIC))


def _texture(image: Image.Image, noise: np.random.Generator, rng: Random) -> Image.Image:
    soft = clouds(noise, (image.width // 4, image.height // 4), (10, 40, 160), 1.0)
    layer = Image.fromarray(np.clip(128 + soft * rng.uniform(16, 34), 0, 255).astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.overlay(image, Image.merge("RGB", [layer] * 3))


def _grade(image: Image.Image, rng: Random) -> Image.Image:
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.75, 1.2))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.85, 1.15))
    tables: list[int] = []
    for _ in range(3):
        gain, lift = rng.uniform(0.94, 1.06), rng.uniform(-6, 8)
        tables += [max(0, min(255, round(value * gain + lift))) for value in range(256)]
    return image.point(tables)


def motion_blur(image: Image.Image, reach: int, sideways: bool) -> Image.Image:
    """Average of shifted copies, ``reach`` pixels in each direction, so that boxes stay where they are."""
    pixels = np.asarray(image)
    axis, total = (1 if sideways else 0), np.zeros(pixels.shape, np.uint16)
    padded = np.pad(pixels, [(reach, reach) if k == axis else (0, 0) for k in range(3)], mode="edge")
    count = 2 * reach + 1
    for shift in range(count):
        total += padded[:, shift : shift + pixels.shape[1]] if sideways else padded[shift : shift + pixels.shape[0]]
    return Image.fromarray((total // count).astype(np.uint8))


def _noise(image: Image.Image, noise: np.random.Generator, level: float) -> Image.Image:
    width, height = image.size
    left, top = noise.integers(0, GRAIN_SIDE - 640, 2)
    grain = _grain()[top : top + height, left : left + width]
    return Image.fromarray(np.clip(np.asarray(image) + grain * np.float32(level) + np.float32(0.5), 0, 255).astype(np.uint8))


@lru_cache(maxsize=1)
def _grain() -> NDArray[np.float32]:
    """Sensor noise of unit strength; every picture takes its own window of it, which is ten times faster than drawing it."""
    return np.random.default_rng(1).standard_normal((GRAIN_SIDE, GRAIN_SIDE, 3), dtype=np.float32)
