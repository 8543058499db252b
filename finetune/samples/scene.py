"""One street scene: camera, street, houses, furniture, signs, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi
from random import Random

import numpy as np

from finetune.samples import furniture
from finetune.samples.backdrop import Street, choose_street, paint_ground, paint_hills, paint_skyline
from finetune.samples.buildings import paint_end, paint_row
from finetune.samples.camera import Camera
from finetune.samples.clutter import ON_POSTS, poster, shop_board
from finetune.samples.painter import Painter
from finetune.samples.photo import develop
from finetune.samples.placement import Stand, hang, place_signs
from finetune.samples.truth import Picture
from finetune.samples.visibility import read_signs, read_words
from finetune.samples.weather import Weather, choose_weather, paint_sky

SIZES = ((640, 480),) * 7 + ((480, 640),) * 2 + ((640, 400),)
Thing = tuple[float, Callable[[], None]]  # distance, how it is painted


@dataclass(frozen=True, eq=False)
class Scene:
    """A painted canvas and the random streams that go on into its photograph."""

    painter: Painter
    weather: Weather
    rng: Random
    noise: np.random.Generator


def draw_picture(seed: int, index: int) -> Picture:
    """Picture ``index`` of ``seed``; it does not depend on how many pictures are drawn."""
    scene = paint_scene(seed, index)
    image = develop(scene.painter, scene.weather, scene.rng, scene.noise)
    return Picture(image, read_signs(scene.painter), read_words(scene.painter), scene.rng.randint(62, 93))


def paint_scene(seed: int, index: int) -> Scene:
    """The scene of a picture, far things first."""
    rng = Random(f"signs {seed} {index}")
    noise = np.random.default_rng([seed, index])
    width, height = rng.choice(SIZES)
    horizon = height * rng.uniform(0.5, 0.72)
    camera = Camera(width, height, width * rng.uniform(0.85, 1.25), width * rng.uniform(0.32, 0.68), horizon, rng.uniform(1.3, 1.8))
    weather = choose_weather(rng)
    painter = Painter((width, height), weather.light)
    paint_sky(painter, weather, horizon, rng, noise)
    street = choose_street(rng)
    _paint_surroundings(painter, camera, street, rng)
    empty = rng.random() < 0.065
    stands = [] if empty else place_signs(camera, street, rng)
    things: list[Thing] = _furniture(painter, camera, street, stands, rng)
    things += [(stand.z, partial(hang, painter, camera, stand, rng)) for stand in stands]
    for _, paint in sorted(things, key=lambda thing: -thing[0]):
        paint()
    if rng.random() < 0.22:
        _branch(painter, camera, stands, rng)
    return Scene(painter, weather, rng, noise)


def _paint_surroundings(painter: Painter, camera: Camera, street: Street, rng: Random) -> None:
    if street.kind == "country":
        paint_hills(painter, camera, rng, ((104, 128, 118), (88, 122, 76), (74, 108, 60)))
    elif rng.random() < 0.7:
        paint_skyline(painter, camera, rng)
    else:
        paint_hills(painter, camera, rng, ((112, 130, 124), (84, 112, 76)))
    paint_ground(painter, camera, street, rng)
    if painter.light.ambient[1] < 0.45:  # our own headlights
        ends = [camera.project(x, 0, z) for x, z in ((-1.6, 1.2), (1.6, 1.2), (4.0, 17), (-3.4, 17))]
        painter.pool(ends, 0.5, 22)
    if street.kind == "country":
        return
    end = paint_end(painter, camera, rng) if rng.random() < 0.35 else 75.0
    for side in (-1, 1):
        shops = paint_row(painter, camera, street, side, end, rng)
        if street.kind == "town":
            _boards(painter, camera, street, side, shops, rng)


def _boards(painter: Painter, camera: Camera, street: Street, side: int, houses: list[tuple[float, float, bool]], rng: Random) -> None:
    """Shop boards and posters on the facades, turned along the street."""
    x = (street.facade_right if side > 0 else street.facade_left) - side * 0.06
    yaw = pi / 2 if side < 0 else -pi / 2
    for near, far, shop in reversed(houses):
        if near > 30 or far < 3.0:
            continue
        if shop:
            board = shop_board(rng)
            middle = (max(near, 2.0) + far) / 2
            if board.size[0] < far - max(near, 2.0):
                painter.panel(board, camera.panel((x, 2.85, middle), board.size, yaw), middle)
        elif rng.random() < 0.5 and near > 2.0:
            bill, at = poster(rng), near + 0.8
            painter.panel(bill, camera.panel((x, 1.5, at), bill.size, yaw), at)


def _furniture(painter: Painter, camera: Camera, street: Street, stands: list[Stand], rng: Random) -> list[Thing]:
    things: list[Thing] = []

    def add(make: Callable[[Painter, Camera, float, float, Random], None], x: float, z: float) -> None:
        own = Random(rng.random())
        things.append((z, lambda: make(painter, camera, x, z, own)))

    for side, edge, walk in ((-1, street.road_left, street.walk_left), (1, street.road_right, street.walk_right)):
        trees = rng.random() < (0.75 if street.kind != "town" else 0.4)
        z = rng.uniform(5, 9)
        while z < 60:
            if trees and rng.random() < 0.75:
                out = edge + side * (walk * 0.8 if street.kind == "town" else walk + rng.uniform(0.5, 6.0))
                add(furniture.tree, out, z + rng.uniform(0, 2))
            elif street.kind != "country" and rng.random() < 0.4:
                add(furniture.lamp, edge + side * 0.5, z)
            if rng.random() < 0.25:
                add(rng.choice([furniture.person, furniture.bin_or_box]), edge + side * walk * rng.uniform(0.3, 0.8), max(6.0, z))
            if street.kind != "town" and rng.random() < 0.5:
                add(furniture.bush, edge + side * (walk + rng.uniform(0.3, 3)), z)
            z += rng.uniform(5, 9)
        if rng.random() < 0.16:
            add(furniture.traffic_light, edge + side * 0.4, rng.uniform(9, 18))
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        add(furniture.car, rng.uniform(street.road_left + 1, street.road_right - 1), rng.uniform(7, 40))
    for _ in range(rng.choice([0, 1, 1, 2])):
        things += _decoy(painter, camera, street, rng)
    return things


def _decoy(painter: Painter, camera: Camera, street: Street, rng: Random) -> list[Thing]:
    panel, z = rng.choice(ON_POSTS)(rng), rng.uniform(6, 16)
    x = rng.choice([street.road_left - 0.5, street.road_right + 0.5]) + rng.uniform(-0.3, 0.3)
    stand = Stand(x, z, ((panel, rng.uniform(2.0, 2.8)),), rng.uniform(-0.4, 0.4), rng.uniform(-0.03, 0.03))
    return [(z, lambda: hang(painter, camera, stand, rng))]


def _branch(painter: Painter, camera: Camera, stands: list[Stand], rng: Random) -> None:
    """Leaves close to the camera, over an edge of a sign or in a corner."""
    if stands and rng.random() < 0.7:
        stand = rng.choice(stands)
        panel, up = stand.panels[0]
        size = max(panel.size) * camera.focal / stand.z
        u, v = camera.project(stand.x, up, stand.z)
        centre = u + rng.choice([-0.6, 0.6]) * size, v - rng.uniform(0.2, 0.7) * size
        radius = size * rng.uniform(0.3, 0.5)
    else:
        centre, radius = (rng.choice([0.0, 1.0]) * camera.width, rng.uniform(0, 0.25) * camera.height), rng.uniform(40, 90)
    painter.line([centre, (centre[0] + rng.uniform(-60, 60), -10.0)], 3.0, (70, 54, 40))
    furniture.leaves(painter, centre, radius, rng.choice([(70, 110, 48), (96, 120, 50)]), 2.0, rng, 60)
