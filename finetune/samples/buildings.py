"""Houses along the street: facades with windows, doors, shops, awnings, roofs."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from finetune.samples.backdrop import NEAR, Street
from finetune.samples.camera import Camera
from finetune.samples.painter import Painter
from finetune.samples.truth import Point, Rgb

WALLS: tuple[Rgb, ...] = (
    (196, 170, 132), (178, 98, 76), (214, 200, 176), (156, 150, 144), (222, 190, 120), (144, 82, 64), (188, 194, 188), (206, 150, 120), (120, 134, 150), (230, 224, 210),
)  # fmt: skip
ROOFS: tuple[Rgb, ...] = ((134, 66, 50), (92, 84, 84), (112, 74, 58), (70, 74, 84))
AWNINGS: tuple[Rgb, ...] = ((176, 44, 44), (40, 92, 70), (40, 70, 128), (214, 160, 52), (120, 60, 110))
Place = Callable[[float, float], Point]  # metres along the wall and above the ground -> pixel


def dim(colour: Rgb, factor: float) -> Rgb:
    """The same paint in less (or more) light."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def rectangle(place: Place, left: float, bottom: float, right: float, top: float) -> list[Point]:
    """Corners of an upright rectangle on a wall."""
    return [place(left, bottom), place(right, bottom), place(right, top), place(left, top)]


def paint_wall(painter: Painter, place: Place, length: float, height: float, depth: float, wall: Rgb, rng: Random, shop: bool) -> None:
    """A wall with rows of windows and, on the ground floor, a shop front or a door."""
    painter.polygon(rectangle(place, 0, 0, length, height), wall, depth)
    painter.polygon(rectangle(place, 0, 0, length, 0.5), dim(wall, 0.72), depth)
    bay = rng.uniform(1.9, 2.8)
    count = max(1, int(length / bay))
    bay = length / count
    wide, high, frame = bay * rng.uniform(0.4, 0.58), rng.uniform(1.3, 1.8), rng.choice([(236, 234, 228), (70, 56, 46), (200, 196, 188)])
    floor = 3.4 if shop else 1.0
    if shop:
        _shop_front(painter, place, length, depth, wall, rng)
    elif length > 2.5:
        painter.polygon(rectangle(place, length * 0.45, 0, length * 0.45 + 1.0, 2.1), rng.choice(AWNINGS), depth)
        floor = 3.0 if height > 4.6 else 1.1
    shutters = dim(rng.choice(AWNINGS), 0.8) if rng.random() < 0.3 else None
    while floor + high + 0.4 < height:
        for k in range(count):
            left = bay * (k + 0.5) - wide / 2
            if not shop and floor < 2.2 and abs(left + wide / 2 - length * 0.45 - 0.5) < 1.3:
                continue
            _window(painter, place, (left, floor, left + wide, floor + high), depth, frame, rng)
            if shutters:
                for x in (left - wide * 0.4, left + wide * 1.02):
                    painter.polygon(rectangle(place, x, floor, x + wide * 0.38, floor + high), shutters, depth)
        painter.polygon(rectangle(place, 0, floor - 0.62, length, floor - 0.5), dim(wall, 0.88), depth)
        floor += 3.0
    painter.polygon(rectangle(place, 0, height - 0.3, length, height), dim(wall, 1.12), depth)


def _window(painter: Painter, place: Place, box: tuple[float, float, float, float], depth: float, frame: Rgb, rng: Random) -> None:
    left, bottom, right, top = box
    painter.polygon(rectangle(place, left - 0.08, bottom - 0.1, right + 0.08, top + 0.08), frame, depth)
    if painter.light.lamps and rng.random() < 0.45:
        painter.polygon(rectangle(place, left, bottom, right, top), rng.choice([(255, 214, 132), (255, 232, 176), (240, 180, 96)]), depth * 0.5, 0.85)
    else:
        glass = rng.uniform(0.7, 1.15)
        painter.polygon(rectangle(place, left, bottom, right, top), (72 * glass, 92 * glass, 112 * glass), depth)
        painter.polygon([place(left, top), place(right, top), place(left, (bottom + top) / 2)], (122 * glass, 146 * glass, 168 * glass), depth)
    if depth < 26:
        middle = (left + right) / 2
        painter.polygon(rectangle(place, middle - 0.04, bottom, middle + 0.04, top), frame, depth)


def _shop_front(painter: Painter, place: Place, length: float, depth: float, wall: Rgb, rng: Random) -> None:
    lit = painter.light.lamps and rng.random() < 0.75
    trim = dim(rng.choice(AWNINGS), rng.uniform(0.5, 0.9))
    painter.polygon(rectangle(place, 0.15, 0, length - 0.15, 3.1), trim, depth)
    x = 0.4
    while x + 0.8 < length:
        wide = min(rng.uniform(1.2, 2.4), length - 0.4 - x)
        painter.polygon(rectangle(place, x, 0.45, x + wide, 2.35), (255, 226, 166) if lit else (64, 80, 92), depth * (0.5 if lit else 1.0), 0.85 if lit else 0.0)
        for _ in range(3):
            goods, at = rng.choice(WALLS + AWNINGS), x + rng.uniform(0, max(0.05, wide - 0.4))
            painter.polygon(rectangle(place, at, 0.45, at + 0.35, rng.uniform(0.7, 1.4)), goods, depth, 0.3 if lit else 0.0)
        x += wide + 0.18
    if rng.random() < 0.55:
        colour, stripes = rng.choice(AWNINGS), max(2, int(length / 0.5))
        for k in range(stripes):
            left, right = length * k / stripes, length * (k + 1) / stripes
            painter.polygon(rectangle(place, left, 2.15, right, 2.6), colour if k % 2 else (232, 228, 218), depth)


def paint_row(painter: Painter, camera: Camera, street: Street, side: int, end: float, rng: Random) -> list[tuple[float, float, bool]]:
    """The houses of one side (-1 left, 1 right) up to ``end`` metres, far ones first.

    Returns:
        Near end, far end and shop front of every house, for the boards on them.
    """
    line = street.facade_right if side > 0 else street.facade_left
    set_back = 0.0 if street.kind == "town" else rng.uniform(2.5, 7.0)
    z, houses = NEAR, []
    while z < end - 4:
        long = rng.uniform(6, 14)
        houses.append((z, z + long, street.kind == "town" and rng.random() < 0.6))
        z += long + (rng.choice([0, 0, 0, 2.0]) if street.kind == "town" else rng.uniform(2, 9))
    lightness = 0.82 if (side > 0) == (rng.random() < 0.5) else 1.06
    for near, far, shop in reversed(houses):
        height = rng.choice([7.0, 9.8, 10.2, 12.8, 15.8]) if street.kind == "town" else rng.choice([3.4, 5.8, 6.2])
        wall, roof, x = rng.choice(WALLS), rng.choice(ROOFS), line + side * set_back
        _gable(painter, camera, (x, side, near, height), wall, roof, rng, street.kind != "town")
        depth = (max(near, 2.0) * far) ** 0.5

        def place(along: float, up: float, x: float = x, near: float = near) -> Point:
            return camera.project(x, up, near + along)

        paint_wall(painter, place, far - near, height, depth, dim(wall, lightness), rng, shop)
        ridge = 2.6 if street.kind != "town" else rng.choice([0.0, 1.6, 2.4])
        slope = [camera.project(x - side * 0.3, height, near), camera.project(x - side * 0.3, height, far)]
        slope += [camera.project(x + side * 3.5, height + ridge, far), camera.project(x + side * 3.5, height + ridge, near)]
        painter.polygon(slope, dim(roof, lightness), depth)
    return [(near, far, shop) for near, far, shop in houses]


def _gable(painter: Painter, camera: Camera, at: tuple[float, int, float, float], wall: Rgb, roof: Rgb, rng: Random, detailed: bool) -> None:
    x, side, near, height = at
    if near < NEAR + 0.5:
        return

    def place(along: float, up: float) -> Point:
        return camera.project(x + side * along, up, near)

    painter.polygon([place(-0.3, height), place(3.5, height + 2.6), place(7.3, height)], dim(roof, 0.8), near)
    if detailed:
        paint_wall(painter, place, 7.0, height, near, dim(wall, 0.92), rng, shop=False)
    else:
        painter.polygon(rectangle(place, 0, 0, 8, height), dim(wall, 0.78), near)


def paint_end(painter: Painter, camera: Camera, rng: Random) -> float:
    """A row of houses across the end of the street; returns their distance."""
    z = rng.uniform(20, 45)
    x = -45.0
    while x < 45:
        long, height, wall = rng.uniform(7, 13), rng.choice([7.0, 9.8, 12.8]), rng.choice(WALLS)

        def place(along: float, up: float, x: float = x) -> Point:
            return camera.project(x + along, up, z)

        painter.polygon([place(-0.3, height), place(1.5, height + 2.4), place(long - 1.5, height + 2.4), place(long + 0.3, height)], rng.choice(ROOFS), z)
        paint_wall(painter, place, long, height, z, wall, rng, rng.random() < 0.5)
        x += long
    return z
