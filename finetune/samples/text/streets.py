"""Streets without words: the scenes of the sample set with nothing written in them, each drawn once by a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from finetune.samples import furniture
from finetune.samples.backdrop import Street, choose_street, paint_ground, paint_hills, paint_skyline
from finetune.samples.buildings import paint_end, paint_row
from finetune.samples.camera import Camera
from finetune.samples.painter import SUPERSAMPLE, Painter
from finetune.samples.weather import choose_weather, paint_sky

SCENES = 24  # different ones; a picture shows a part of one
SIZE = (640, 480)


@lru_cache(maxsize=SCENES)
def street_scene(seed: int, number: int) -> NDArray[np.uint8]:
    """[480, 640, 3] u8: scene ``number`` of a seed."""
    rng = Random(f"street {seed} {number}")
    noise = np.random.default_rng([seed, number, 3])
    width, height = SIZE
    camera = Camera(width, height, width * rng.uniform(0.7, 1.3), width * rng.uniform(0.2, 0.8), height * rng.uniform(0.4, 0.75), rng.uniform(1.3, 1.8))
    weather = choose_weather(rng)
    painter = Painter(SIZE, weather.light)
    paint_sky(painter, weather, camera.horizon, rng, noise)
    street = choose_street(rng)
    if rng.random() < 0.6:
        paint_skyline(painter, camera, rng)
    else:
        paint_hills(painter, camera, rng, ((112, 130, 124), (84, 112, 76)))
    paint_ground(painter, camera, street, rng)
    if street.kind != "country":
        end = paint_end(painter, camera, rng) if rng.random() < 0.4 else 75.0
        for side in (-1, 1):
            paint_row(painter, camera, street, side, end, rng)
    for _, paint in sorted(_things(painter, camera, street, rng), key=lambda thing: -thing[0]):
        paint()
    return np.asarray(painter.canvas.reduce(SUPERSAMPLE))


def _things(painter: Painter, camera: Camera, street: Street, rng: Random) -> list[tuple[float, Callable[[], None]]]:
    things: list[tuple[float, Callable[[], None]]] = []
    for side, edge, walk in ((-1, street.road_left, street.walk_left), (1, street.road_right, street.walk_right)):
        z = rng.uniform(4, 9)
        while z < 50:
            make = rng.choice([furniture.tree, furniture.tree, furniture.lamp, furniture.person, furniture.person, furniture.bin_or_box, furniture.bush])
            things.append((z, partial(make, painter, camera, edge + side * walk * rng.uniform(0.2, 1.1), z, Random(rng.random()))))
            z += rng.uniform(3, 9)
    for _ in range(rng.randint(0, 4)):
        z = rng.uniform(6, 40)
        things.append((z, partial(furniture.car, painter, camera, rng.uniform(street.road_left + 1, street.road_right - 1), z, Random(rng.random()))))
    return things
