"""Where signs stand: at a chosen size in the picture, beside the road, mostly not in front of each other."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from finetune.samples.backdrop import Street
from finetune.samples.camera import Camera
from finetune.samples.furniture import blob_shadow, ground_shadow, post
from finetune.samples.painter import Painter
from finetune.samples.panels import Panel
from finetune.samples.signs import SIGNS, extra_plate
from finetune.samples.truth import CLASS_NAMES
from finetune.samples.weather import clouds

COUNTS = (1, 2, 3, 4, 5, 6)
COUNT_WEIGHTS = (14, 26, 26, 18, 10, 6)
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Stand:
    """A post with panels (and the height of their centres), its place in metres, and how it is turned (radians)."""

    x: float
    z: float
    panels: tuple[tuple[Panel, float], ...]
    yaw: float
    roll: float


def place_signs(camera: Camera, street: Street, rng: Random) -> list[Stand]:
    """Posts with one to six signs in all."""
    wanted = rng.choices(COUNTS, COUNT_WEIGHTS)[0]
    stands: list[Stand] = []
    taken: list[Box] = []
    while wanted > 0:
        stack = 2 if wanted > 1 and rng.random() < 0.25 else 1
        panels = [SIGNS[rng.choice(CLASS_NAMES)](rng) for _ in range(stack)]
        stand = _find_place(camera, street, panels, taken, rng)
        if stand is not None:
            stands.append(stand)
            taken += [_extent(camera, stand, k) for k in range(len(stand.panels))]
        wanted -= stack
    return stands


def _target_size(rng: Random) -> float:
    """Height of a sign in picture pixels: mostly above 50, a few small ones; the picture's long side is 640."""
    return rng.uniform(27, 42) if rng.random() < 0.03 else 57 * (150 / 57) ** (rng.random() ** 1.2)


def _find_place(camera: Camera, street: Street, panels: list[Panel], taken: list[Box], rng: Random) -> Stand | None:
    compact = min(panels[0].size[1], 0.75) if panels[0].size[0] < 1.2 else min(panels[0].size)
    size = 0.0
    for attempt in range(66):
        if attempt % 12 == 0:  # a large sign gets several tries, or small ones would win
            size = _target_size(rng) * (0.75 if panels[0].size[0] / panels[0].size[1] > 2.2 else 1.0)
        z = max(2.6, camera.focal * compact / size)
        side = rng.random() < 0.5
        left, right = (street.facade_left + 0.3, street.road_left - 0.15) if side else (street.road_right + 0.15, street.facade_right - 0.3)
        if attempt > 42:  # a traffic island, a temporary post
            left, right = street.facade_left, street.facade_right
        x = rng.uniform(left, right)
        stand = Stand(x, z, _stack(panels, rng), max(-0.85, min(0.85, rng.gauss(0.0, 0.32))), rng.gauss(0.0, 0.03))
        boxes = [_extent(camera, stand, k) for k in range(len(stand.panels))]
        if all(_inside(box, camera, rng) for box in boxes) and not any(_touch(box, other) for box in boxes for other in taken):
            return stand
        if attempt > 15 and rng.random() < 0.08 and all(_inside(box, camera, rng) for box in boxes) and all(_overlap(box, other) < 0.35 for box in boxes for other in taken):
            return stand
    return None


def _stack(panels: list[Panel], rng: Random) -> tuple[tuple[Panel, float], ...]:
    top = rng.uniform(2.0, 3.1) + panels[0].size[1] / 2
    hung = []
    for panel in panels:
        hung.append((panel, top - panel.size[1] / 2))
        top -= panel.size[1] + 0.05
    if len(panels) == 1 and panels[0].size[0] < 1.2 and rng.random() < 0.3:
        plate = extra_plate(rng)
        hung.append((plate, top - plate.size[1] / 2))
    return tuple(hung)


def _extent(camera: Camera, stand: Stand, which: int) -> Box:
    panel, up = stand.panels[which]
    corners = camera.panel((stand.x, up, stand.z), panel.size, stand.yaw, stand.roll)
    return min(c[0] for c in corners), min(c[1] for c in corners), max(c[0] for c in corners), max(c[1] for c in corners)


def _inside(box: Box, camera: Camera, rng: Random) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    allowed = 0.4 if rng.random() < 0.06 else 0.0  # a few are cut by the frame
    return box[0] > -allowed * width and box[1] > -allowed * height and box[2] < camera.width + allowed * width and box[3] < camera.height * 0.97


def _overlap(box: Box, other: Box) -> float:
    """Share of the smaller box that both cover."""
    width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((box[2] - box[0]) * (box[3] - box[1]), (other[2] - other[0]) * (other[3] - other[1]))


def _touch(box: Box, other: Box) -> bool:
    return _overlap((box[0] - 6, box[1] - 3, box[2] + 6, box[3] + 3), other) > 0


def hang(painter: Painter, camera: Camera, stand: Stand, rng: Random) -> None:
    """Paint a post with its panels: dirt, shade, and light that comes back at night."""
    widest = max(panel.size[0] for panel, _ in stand.panels)
    top = max(up + panel.size[1] / 2 for panel, up in stand.panels)
    offsets = (-widest * 0.32, widest * 0.32) if widest > 1.3 else (0.0,)
    for offset in offsets:
        ground_shadow(painter, camera, stand.x + offset, stand.z, 1.8, 0.08)
        blob_shadow(painter, camera, stand.x + offset, stand.z, (0.16, 0.12), 0.4)
        post(painter, camera, stand.x + offset, stand.z + 0.03, top - 0.06)
    night = painter.light.ambient[1] < 0.45
    for panel, up in stand.panels:
        grime = _grime(rng)
        gain = rng.uniform(0.82, 1.06) * (rng.uniform(1.9, 2.8) if night else 1.0)
        quad = camera.panel((stand.x, up, stand.z), panel.size, stand.yaw, stand.roll)
        painter.panel(panel, quad, stand.z, (gain, gain, gain * rng.uniform(0.93, 1.02)), grime)


def _grime(rng: Random) -> np.ndarray:
    noise = np.random.default_rng(rng.getrandbits(32))
    dirt = 1.0 - np.clip(clouds(noise, (24, 24), (3, 6, 12), 1.0) + 0.15, 0, 1) * rng.uniform(0.1, 0.4)
    if rng.random() < 0.3:  # the shade of something over a part of it
        angle = rng.uniform(-1, 1)
        across, down = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
        dirt *= np.where(across * angle + down > rng.uniform(-0.6, 0.6), 1.0, rng.uniform(0.55, 0.8))
    return dirt.astype(np.float32)
