"""Everything behind and under the street furniture: hills, ground, road, pavement, markings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sin
from random import Random

from finetune.samples.camera import Camera
from finetune.samples.painter import Painter
from finetune.samples.truth import Rgb

FAR = 140.0
NEAR = 0.9


@dataclass(frozen=True)
class Street:
    """Where things are across the street, in metres from the camera: road, pavements, and the lines of the facades."""

    road_left: float
    road_right: float
    walk_left: float
    walk_right: float
    kind: str  # "town", "village" or "country"

    @property
    def facade_left(self) -> float:
        """Where the left pavement ends."""
        return self.road_left - self.walk_left

    @property
    def facade_right(self) -> float:
        """Where the right pavement ends."""
        return self.road_right + self.walk_right


def choose_street(rng: Random) -> Street:
    """A street seen from somewhere on its road or pavement."""
    kind = rng.choices(("town", "village", "country"), (50, 30, 20))[0]
    road = rng.uniform(4.0, 7.5)
    at = rng.uniform(0.05, 0.95)
    walks = [rng.uniform(1.8, 3.6) if kind != "country" else rng.uniform(2.5, 5.0) for _ in range(2)]
    return Street(-road * at, road * (1 - at), walks[0], walks[1], kind)


def strip(painter: Painter, camera: Camera, left: float, right: float, colour: Rgb, start: float = NEAR, end: float = FAR, y: float = 0.0) -> None:
    """A flat strip along the street, in slices so that it fades into the air."""
    steps = [start]
    while steps[-1] < end:
        steps.append(min(end, steps[-1] * 1.3 + 0.5))
    for z0, z1 in pairwise(steps):
        corners = [camera.project(left, y, z0), camera.project(right, y, z0), camera.project(right, y, z1), camera.project(left, y, z1)]
        painter.polygon(corners, colour, depth=(z0 * z1) ** 0.5)


def paint_hills(painter: Painter, camera: Camera, rng: Random, colours: tuple[Rgb, ...]) -> None:
    """Rows of hills or roofs along the horizon."""
    for row, colour in enumerate(colours):
        base, swing, phase = (len(colours) - row) * rng.uniform(6, 14), rng.uniform(4, 12), rng.uniform(0, 9)
        points = [(camera.width * 1.0, camera.horizon + 4), (0.0, camera.horizon + 4)]
        for step in range(25):
            x = camera.width * step / 24
            points.append((x, camera.horizon - base - swing * sin(phase + step * 0.45) - 0.4 * swing * sin(phase * 3 + step * 1.3)))
        painter.polygon(points, colour, depth=70 - 18 * row)


def paint_skyline(painter: Painter, camera: Camera, rng: Random) -> None:
    """Blocks of a far town."""
    x = -10.0
    while x < camera.width:
        wide, high = rng.uniform(14, 46), rng.uniform(14, 70)
        tone = rng.uniform(96, 150)
        painter.polygon([(x, camera.horizon + 4), (x, camera.horizon - high), (x + wide, camera.horizon - high), (x + wide, camera.horizon + 4)], (tone, tone * 0.97, tone * 0.95), 75)
        for _ in range(int(wide * high / 60)):
            u, v = x + rng.uniform(2, wide - 4), camera.horizon - rng.uniform(4, high - 4)
            lit = painter.light.lamps and rng.random() < 0.4
            painter.polygon([(u, v), (u + 3, v), (u + 3, v + 4), (u, v + 4)], (255, 214, 140) if lit else (tone * 0.75, tone * 0.8, tone * 0.88), 60, 0.8 if lit else 0.0)
        x += wide * rng.uniform(0.8, 1.3)


def paint_ground(painter: Painter, camera: Camera, street: Street, rng: Random) -> None:
    """Verges, pavements with slabs, kerbs and the road with its markings."""
    grass = (rng.uniform(78, 112), rng.uniform(112, 140), rng.uniform(56, 74))
    earth = grass if street.kind != "town" else (134, 132, 128)
    below = [(0.0, camera.horizon), (float(camera.width), camera.horizon), (float(camera.width), float(camera.height)), (0.0, float(camera.height))]
    painter.polygon(below, earth, FAR)
    strip(painter, camera, -90, 90, earth)
    tone = rng.uniform(66, 104)
    slab = (tone + 72, tone + 68, tone + 60)
    if street.kind == "country":
        slab = (grass[0] * 1.1, grass[1] * 1.02, grass[2])
    for left, right in ((street.facade_left, street.road_left), (street.road_right, street.facade_right)):
        strip(painter, camera, left, right, slab)
        if street.kind != "country":
            _slabs(painter, camera, left, right, (slab[0] * 0.86, slab[1] * 0.86, slab[2] * 0.86))
    asphalt = (tone, tone, tone * 1.04)
    strip(painter, camera, street.road_left, street.road_right, asphalt)
    for lane in (0.16, 0.36, 0.64, 0.84):  # where the wheels run
        x = street.road_left + lane * (street.road_right - street.road_left)
        strip(painter, camera, x - 0.22, x + 0.22, (tone * 0.93, tone * 0.93, tone * 0.96))
    for _ in range(rng.randint(1, 5)):
        _patch(painter, camera, street, asphalt, rng)
    if street.kind != "country":
        for edge, way in ((street.road_left, -1), (street.road_right, 1)):
            strip(painter, camera, edge, edge + way * 0.16, (176, 174, 168))
            strip(painter, camera, edge, edge - way * 0.25, (tone * 0.8, tone * 0.8, tone * 0.82))
    _markings(painter, camera, street, rng)


def _slabs(painter: Painter, camera: Camera, left: float, right: float, colour: Rgb) -> None:
    for k in range(1, 4):
        x = left + (right - left) * k / 4
        painter.line([camera.project(x, 0, NEAR), camera.project(x, 0, 40)], 0.5, colour, 8)
    z = 1.5
    while z < 22:
        painter.line([camera.project(left, 0, z), camera.project(right, 0, z)], 0.5, colour, z)
        z += 0.9


def _patch(painter: Painter, camera: Camera, street: Street, asphalt: Rgb, rng: Random) -> None:
    z, x = rng.uniform(2.5, 14), rng.uniform(street.road_left, street.road_right - 1.2)
    wide, long, tone = rng.uniform(0.6, 1.6), rng.uniform(0.8, 4), rng.uniform(0.78, 1.15)
    right = min(x + wide, street.road_right)
    corners = [camera.project(x, 0, z), camera.project(right, 0, z), camera.project(right, 0, z + long), camera.project(x, 0, z + long)]
    painter.polygon(corners, (asphalt[0] * tone, asphalt[1] * tone, asphalt[2] * tone), z)


def _markings(painter: Painter, camera: Camera, street: Street, rng: Random) -> None:
    white = (218, 218, 212)
    middle = (street.road_left + street.road_right) / 2
    z = rng.uniform(0.9, 3)
    while z < 70:
        strip(painter, camera, middle - 0.07, middle + 0.07, white, z, z + 2.2)
        z += 5.0
    if rng.random() < 0.6:
        for edge, way in ((street.road_left, 1), (street.road_right, -1)):
            strip(painter, camera, edge + way * 0.35, edge + way * 0.47, white)
    if street.kind != "country" and rng.random() < 0.4:
        start, x = rng.uniform(5, 14), street.road_left + 0.5
        while x < street.road_right - 0.5:
            strip(painter, camera, x, x + 0.45, white, start, start + 3.0)
            x += 0.95
