"""Times of day and weathers: the light, the sky, and what they do to the finished picture."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from finetune.samples.painter import Light, Painter
from finetune.samples.truth import Rgb


@dataclass(frozen=True)
class Weather:
    """A light with its sky: colours at the top and at the horizon, cloud cover 0..1 and cloud colour, and rain 0..1."""

    name: str
    light: Light
    zenith: Rgb
    haze: Rgb
    cover: float
    cloud: Rgb
    rain: float = 0.0


def choose_weather(rng: Random) -> Weather:
    """One of six weathers, the common ones more often."""
    name = rng.choices(("sun", "overcast", "golden", "dusk", "night", "rain", "fog"), (30, 18, 13, 10, 13, 9, 7))[0]
    wobble = rng.uniform(0.92, 1.08)

    def bright(*values: float) -> Rgb:
        red, green, blue = (value * wobble for value in values)
        return red, green, blue

    if name == "sun":
        zenith = rng.choice([(52, 116, 204), (84, 148, 222), (40, 96, 180)])
        return Weather(name, Light(bright(1.06, 1.03, 0.98), (190, 212, 236), 0.004, False, 0.42), zenith, (196, 220, 240), rng.uniform(0.1, 0.5), (250, 250, 252))
    if name == "overcast":
        return Weather(name, Light(bright(0.86, 0.88, 0.92), (192, 198, 206), 0.007, False, 0.1), (150, 160, 172), (214, 218, 222), 0.9, (186, 192, 200))
    if name == "golden":
        return Weather(name, Light(bright(1.1, 0.93, 0.74), (246, 204, 150), 0.008, False, 0.4), (92, 132, 190), (255, 206, 142), rng.uniform(0.2, 0.6), (255, 222, 186))
    if name == "dusk":
        return Weather(name, Light(bright(0.58, 0.5, 0.58), (150, 110, 130), 0.008, True, 0.0), (46, 52, 104), (242, 142, 98), rng.uniform(0.3, 0.7), (170, 104, 120))
    if name == "night":
        return Weather(name, Light(bright(0.34, 0.36, 0.48), (24, 28, 48), 0.008, True, 0.0), (8, 12, 30), (44, 46, 70), rng.uniform(0.1, 0.5), (30, 34, 52))
    if name == "rain":
        return Weather(name, Light(bright(0.66, 0.7, 0.76), (150, 160, 170), 0.014, rng.random() < 0.6, 0.0), (112, 122, 136), (172, 180, 188), 1.0, (134, 142, 154), 1.0)
    return Weather(name, Light(bright(0.84, 0.85, 0.87), (206, 210, 214), rng.uniform(0.025, 0.045), rng.random() < 0.5, 0.0), (190, 196, 202), (212, 216, 220), 0.3, (214, 218, 222))


def clouds(noise: np.random.Generator, size: tuple[int, int], octaves: tuple[int, ...] = (4, 8, 16, 32), stretch: float = 2.2) -> NDArray[np.float32]:
    """Soft noise [h, w] in about -1..1, wider than high."""
    total = np.zeros((size[1], size[0]), np.float32)
    weight = 0.0
    for cells in octaves:
        grid = noise.random((max(2, int(cells * size[1] / size[0] * stretch)), cells), dtype=np.float32) * 2 - 1
        layer = Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
        total += np.asarray(layer) / cells
        weight += 1.0 / cells
    return total / weight


def paint_sky(painter: Painter, weather: Weather, horizon: float, rng: Random, noise: np.random.Generator) -> None:
    """Gradient, sun or stars, clouds."""
    width, height = painter.canvas.size
    bottom = max(8, min(height, int(horizon * 2) + 8))
    ramp = np.linspace(0, 1, bottom, dtype=np.float32)[:, None, None] ** 1.4
    sky = np.array(weather.zenith, np.float32) * (1 - ramp) + np.array(weather.haze, np.float32) * ramp
    sky = np.repeat(sky[::8], width // 8, axis=1)
    if weather.name in ("sun", "golden", "dusk"):
        sun = rng.uniform(0, width / 8), rng.uniform(0.35, 0.95) * len(sky)
        across, down = np.meshgrid(np.arange(sky.shape[1]), np.arange(sky.shape[0]))
        far = np.hypot(across - sun[0], down - sun[1])[..., None]
        sky += np.exp(-far / 19) * np.array((90, 70, 40), np.float32)
    soft = clouds(noise, (sky.shape[1], sky.shape[0]))
    cover = np.clip((soft + weather.cover - 0.45) * 2.4, 0, 1)[..., None] * min(1.0, 0.4 + weather.cover)
    shade = 1 + 0.12 * np.roll(soft, 3, axis=0)[..., None]
    sky = sky * (1 - cover) + np.array(weather.cloud, np.float32) * shade * cover
    picture = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8)).resize((width, bottom), Image.Resampling.BICUBIC)
    painter.canvas.paste(picture, (0, 0))
    if weather.name == "night":
        for _ in range(rng.randint(10, 70)):
            painter.ellipse(rng.uniform(0, width / 2), rng.uniform(0, horizon), 0.5, 0.5, (190, 196, 214), 0.0, rng.uniform(0.2, 0.9))


def rain_streaks(image: Image.Image, noise: np.random.Generator, strength: float) -> Image.Image:
    """Slanted bright streaks."""
    width, height = image.size
    drops = (noise.random((height, width), dtype=np.float32) > 0.996).astype(np.float32)
    streaks = np.zeros_like(drops)
    for step in range(14):
        streaks += np.roll(drops, (step, step // 4), (0, 1))
    layer = Image.fromarray((np.clip(streaks, 0, 1) * 70 * strength).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    return Image.composite(Image.new("RGB", image.size, (214, 222, 230)), image, layer)
