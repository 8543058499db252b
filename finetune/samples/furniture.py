"""What stands in the street: trees, lamps, cars, bins, and round or coloured things that are no road signs."""

from __future__ import annotations

from math import cos, pi, sin
from random import Random

from finetune.samples.buildings import AWNINGS, dim
from finetune.samples.camera import Camera
from finetune.samples.painter import Painter
from finetune.samples.truth import Rgb

CARS: tuple[Rgb, ...] = ((176, 28, 32), (28, 62, 128), (226, 226, 224), (44, 46, 50), (150, 154, 160), (214, 176, 40), (60, 96, 74), (196, 110, 50))
METAL: Rgb = (124, 128, 132)


def post(painter: Painter, camera: Camera, x: float, z: float, top: float, width: float = 0.07, colour: Rgb = METAL, bottom: float = 0.0) -> None:
    """An upright pole with a lit edge."""
    foot, head = camera.project(x, bottom, z), camera.project(x, top, z)
    thick = max(0.8, camera.focal / z * width)
    painter.line([foot, head], thick, dim(colour, 0.8), z)
    painter.line([(foot[0] - thick * 0.2, foot[1]), (head[0] - thick * 0.2, head[1])], thick * 0.35, dim(colour, 1.25), z)


def ground_shadow(painter: Painter, camera: Camera, x: float, z: float, length: float, width: float) -> None:
    """The shadow that something thin throws to one side."""
    if painter.light.sun > 0.05:
        corners = [(x, z - width / 2), (x + length, z + length * 0.3), (x + length, z + length * 0.3 + width), (x, z + width / 2)]
        painter.shadow([camera.project(u, 0, max(0.5, v)) for u, v in corners], painter.light.sun * 0.8)


def blob_shadow(painter: Painter, camera: Camera, x: float, z: float, radius: tuple[float, float], strength: float) -> None:
    """A round shadow on the ground."""
    points = [camera.project(x + radius[0] * cos(k * pi / 10), 0, max(0.6, z + radius[1] * sin(k * pi / 10))) for k in range(20)]
    painter.shadow(points, strength)


def leaves(painter: Painter, centre: tuple[float, float], radius: float, colour: Rgb, depth: float, rng: Random, count: int = 46) -> None:
    """A crown of leaf clumps, dark below and light above."""
    for k in range(count):
        angle, far = rng.uniform(0, 2 * pi), radius * rng.random() ** 0.6
        x, y = centre[0] + far * cos(angle), centre[1] + far * sin(angle) * 0.86
        light = 0.62 + 0.42 * k / count - 0.34 * (y - centre[1]) / max(radius, 1e-6) + rng.uniform(-0.1, 0.1)
        size = radius * rng.uniform(0.1, 0.24) * (1.7 - 1.1 * k / count)
        painter.ellipse(x, y, size, size * rng.uniform(0.6, 0.9), dim(colour, max(0.35, light)), depth)
        if k > count * 0.4 and size > 2.0:
            for _ in range(3):
                painter.ellipse(x + rng.uniform(-1, 1) * size, y + rng.uniform(-1, 0.6) * size, size * 0.3, size * 0.22, dim(colour, max(0.4, light + rng.uniform(-0.08, 0.3))), depth)


def tree(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """A round tree or a conifer."""
    scale, height = camera.focal / z, rng.uniform(4.5, 8.0)
    blob_shadow(painter, camera, x + 0.8, z, (2.0, 1.0), 0.15 + painter.light.sun * 0.7)
    foot, fork = camera.project(x, 0, z), camera.project(x + rng.uniform(-0.2, 0.2), height * 0.55, z)
    wide = 0.17 * scale
    painter.polygon([(foot[0] - wide, foot[1]), (foot[0] + wide, foot[1]), (fork[0] + wide * 0.5, fork[1]), (fork[0] - wide * 0.5, fork[1])], (92, 72, 54), z)
    painter.polygon([(foot[0] + wide * 0.3, foot[1]), (foot[0] + wide, foot[1]), (fork[0] + wide * 0.5, fork[1])], (66, 50, 38), z)
    green = rng.choice([(84, 124, 52), (66, 108, 58), (112, 132, 58), (172, 120, 48), (96, 116, 46)])
    if rng.random() < 0.25:
        for k in range(5):
            low, half = height * (0.2 + 0.16 * k), (1.6 - 0.28 * k) * scale
            (u, v), (_, top) = camera.project(x, low, z), camera.project(x, low + height * 0.34, z)
            painter.polygon([(u - half, v), (u, top), (u + half, v)], dim((44, 84, 56), 0.75 + 0.08 * k), z)
            painter.polygon([(u, v), (u, top), (u + half, v)], dim((44, 84, 56), 0.6 + 0.08 * k), z)
        return
    crown = camera.project(x, height * 0.76, z)
    for dx, dy in ((-0.9, 0.4), (0.9, 0.3), (0.0, -0.5)):
        leaves(painter, (crown[0] + dx * scale, crown[1] + dy * scale), rng.uniform(1.1, 1.7) * scale, green, z, rng, 56 if z < 14 else 30 if z < 30 else 14)


def bush(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """A low round bush."""
    u, v = camera.project(x, 0.5, z)
    leaves(painter, (u, v), rng.uniform(0.5, 0.9) * camera.focal / z, rng.choice([(74, 112, 50), (90, 122, 60), (60, 96, 58)]), z, rng, 26)


def lamp(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """A street lamp: a ball, or a head on an arm."""
    top = rng.uniform(3.4, 5.2)
    ground_shadow(painter, camera, x, z, 2.5, 0.1)
    dark: Rgb = (58, 62, 66)
    post(painter, camera, x, z, top, 0.1, dark)
    scale, lit = camera.focal / z, painter.light.lamps
    colour: Rgb = (255, 224, 160) if lit else (226, 228, 224)
    if rng.random() < 0.55:
        u, v = camera.project(x, top + 0.2, z)
        painter.ellipse(u, v, 0.24 * scale, 0.24 * scale, colour, z, 0.95 if lit else 0.0)
        painter.ellipse(u - 0.07 * scale, v - 0.08 * scale, 0.08 * scale, 0.06 * scale, (255, 250, 236), z, 0.6 if lit else 0.0)
    else:
        reach = 1.1 if x < 0 else -1.1
        u, v = camera.project(x + reach, top + 0.25, z)
        painter.line([camera.project(x, top, z), (u, v)], 0.07 * scale, dark, z)
        painter.ellipse(u, v, 0.34 * scale, 0.1 * scale, colour, z, 0.95 if lit else 0.0)
    if lit:
        painter.glow((u, v), 1.3 * scale, (255, 206, 130))


def traffic_light(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """Three lamps on a pole."""
    post(painter, camera, x, z, 3.1, 0.1)
    scale = camera.focal / z
    u, v = camera.project(x, 2.7, z)
    painter.polygon([(u - 0.17 * scale, v - 0.5 * scale), (u + 0.17 * scale, v - 0.5 * scale), (u + 0.17 * scale, v + 0.5 * scale), (u - 0.17 * scale, v + 0.5 * scale)], (26, 28, 30), z)
    shining = rng.randrange(3)
    for k, colour in enumerate(((236, 40, 36), (250, 186, 40), (40, 210, 110))):
        y = v + (k - 1) * 0.31 * scale
        painter.ellipse(u, y, 0.115 * scale, 0.115 * scale, colour if k == shining else dim(colour, 0.25), z, 0.95 if k == shining else 0.0)
        if k == shining:
            painter.glow((u, y), 0.5 * scale, colour)


def bin_or_box(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """A bin, a letter box or a hydrant."""
    high, wide = rng.uniform(0.7, 1.2), rng.uniform(0.4, 0.6)
    paint = rng.choice((*AWNINGS[:3], (206, 170, 40), (90, 94, 96)))
    corners = [camera.project(x + dx * wide / 2, y, z) for dx, y in ((-1, 0), (1, 0), (1, high), (-1, high))]
    blob_shadow(painter, camera, x + 0.2, z, (0.5, 0.3), 0.3)
    painter.polygon(corners, paint, z)
    painter.polygon([camera.project(x + dx * wide / 2, y, z) for dx, y in ((0.3, 0), (1, 0), (1, high), (0.3, high))], dim(paint, 0.75), z)
    painter.polygon([camera.project(x + dx * wide * 0.56, y, z) for dx, y in ((-1, high), (1, high), (1, high + 0.1), (-1, high + 0.1))], dim(paint, 0.6), z)


def person(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """Somebody standing or walking."""
    scale, coat, step = camera.focal / z, rng.choice(CARS + AWNINGS), rng.uniform(0.0, 0.22)
    blob_shadow(painter, camera, x, z, (0.4, 0.2), 0.35)
    for way in (-1, 1):
        painter.line([camera.project(x, 0.85, z), camera.project(x + way * (0.08 + step), 0.02, z)], 0.16 * scale, (48, 50, 66), z)
    u, v = camera.project(x, 1.15, z)
    painter.ellipse(u, v, 0.23 * scale, 0.4 * scale, coat, z)
    u, v = camera.project(x, 1.66, z)
    painter.ellipse(u, v, 0.115 * scale, 0.14 * scale, (206, 162, 134), z)
    painter.ellipse(u, v - 0.06 * scale, 0.12 * scale, 0.09 * scale, rng.choice([(52, 38, 30), (150, 110, 60), (30, 28, 30)]), z)


def car(painter: Painter, camera: Camera, x: float, z: float, rng: Random) -> None:
    """A car or van as a body with bevelled cabin; it comes or goes."""
    paint, coming, tall = rng.choice(CARS), rng.random() < 0.5, rng.choice([1.45, 1.5, 1.6, 2.1])
    half, long, waist = 0.88, 4.0, 0.62 * tall
    blob_shadow(painter, camera, x, z + long / 2, (1.25, 2.4), 0.5)

    def face(points: tuple[tuple[float, float], ...], at: float, colour: Rgb, glow: float = 0.0) -> None:
        painter.polygon([camera.project(x + u, v, at) for u, v in points], colour, at, glow)

    inner = -half if x > 0 else half  # the flank that the camera sees
    for wheel in (z + 3.2, z + 0.7):
        u, v = camera.project(x + inner, 0.32, wheel)
        scale = camera.focal / wheel
        painter.ellipse(u, v, 0.16 * scale, 0.33 * scale, (24, 24, 26), wheel)
    flank = [(0.3, z), (0.3, z + long), (waist, z + long), (waist, z)]
    painter.polygon([camera.project(x + inner, y, at) for y, at in flank], dim(paint, 0.72), z)
    glass = [(waist, z + 0.2), (waist, z + long - 0.9), (tall, z + long - 1.5), (tall, z + 0.7)]
    painter.polygon([camera.project(x + inner * (0.96 if y == waist else 0.8), y, at) for y, at in glass], (52, 64, 74), z)
    roof = [(-0.8, z + 0.7), (0.8, z + 0.7), (0.8, z + long - 1.5), (-0.8, z + long - 1.5)]
    painter.polygon([camera.project(x + half * u, tall, at) for u, at in roof], dim(paint, 1.08), z)
    face(((-half * 0.96, waist), (half * 0.96, waist), (half * 0.78, tall), (-half * 0.78, tall)), z + 0.2, dim(paint, 0.9))
    face(((-half * 0.84, waist + 0.06), (half * 0.84, waist + 0.06), (half * 0.7, tall - 0.08), (-half * 0.7, tall - 0.08)), z + 0.18, (66, 82, 94))
    for side in (-1, 1):
        face(((side * half * 0.9, 0.0), (side * half * 0.62, 0.0), (side * half * 0.62, 0.4), (side * half * 0.9, 0.4)), z, (22, 22, 24))
    face(((-half, 0.28), (half, 0.28), (half, waist * 0.9), (half * 0.95, waist), (-half * 0.95, waist), (-half, waist * 0.9)), z, paint)
    face(((-half, 0.26), (half, 0.26), (half, 0.42), (-half, 0.42)), z, dim(paint, 0.55))
    face(((-0.26, 0.44), (0.26, 0.44), (0.26, 0.56), (-0.26, 0.56)), z, (222, 222, 212))
    _car_lamps(painter, camera, (x, z, half, waist), coming)


def _car_lamps(painter: Painter, camera: Camera, at: tuple[float, float, float, float], coming: bool) -> None:
    x, z, half, waist = at
    lit = painter.light.lamps
    for side in (-1, 1):
        u, v = camera.project(x + side * half * 0.78, waist * 0.78, z)
        scale = camera.focal / z
        colour: Rgb = (255, 246, 220) if coming else (220, 30, 26)
        painter.ellipse(u, v, 0.17 * scale, 0.09 * scale, colour if lit else dim(colour, 0.8), z, 0.95 if lit else 0.0)
        if lit:
            painter.glow((u, v), (1.6 if coming else 0.5) * scale, (255, 240, 206) if coming else (255, 60, 40))
