"""Rooms: passages with shops on both sides, where most words of a town hang."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import mixed, muted
from finetune.samples.text.textures import leaves, lights, shade, shelf

Picture = NDArray[np.uint8]
Spot = tuple[float, float]
At = Callable[[float, float, float], Spot]  # across and down (0..1), depth (1 is near) -> pixel


def room(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Picture:
    """A passage with shops on both sides: floor, ceiling with lamps, walls with fronts, people."""
    width, height = size
    eye = (width * rng.uniform(0.15, 0.85), height * rng.uniform(0.3, 0.65))
    near = [(-width * rng.uniform(0, 0.4), width * (1 + rng.uniform(0, 0.4))), (-height * rng.uniform(0, 0.3), height * (1 + rng.uniform(0, 0.3)))]

    def at(x: float, y: float, depth: float) -> Spot:
        """A point of the near rectangle (0..1 each way), drawn towards the eye point; depth 1 is near."""
        u, v = near[0][0] + x * (near[0][1] - near[0][0]), near[1][0] + y * (near[1][1] - near[1][0])
        return eye[0] + (u - eye[0]) / depth, eye[1] + (v - eye[1]) / depth

    end = rng.uniform(3, 14)
    base = muted(rng)
    picture = np.empty((height, width, 3), np.uint8)
    faces = {"floor": ((0, 1), (1, 1)), "ceiling": ((0, 0), (1, 0)), "left": ((0, 0), (0, 1)), "right": ((1, 0), (1, 1))}
    _fill(picture, [(0, 0), (width, 0), (width, height), (0, height)], shade(base, 0.5))
    for name, ((ax, ay), (bx, by)) in faces.items():
        colour = mixed(base, muted(rng), rng.uniform(0.3, 0.8))
        _fill(picture, [at(ax, ay, 1), at(bx, by, 1), at(bx, by, end), at(ax, ay, end)], shade(colour, 1.15 if name == "ceiling" else 0.9))
    _lines(picture, at, end, base, rng)
    for side in (0, 1):
        depth = rng.uniform(0.9, 1.3)
        while depth < end * 0.9:
            far = min(end, depth * rng.uniform(1.15, 1.8))
            _front(picture, at, (side, depth, far), rng)
            depth = far * rng.uniform(1.0, 1.12)
    texture = rng.choice([shelf, leaves, lights])((96, 96), rng, noise)
    left, top = (max(0, int(value)) for value in at(0, 0, end))
    right, bottom = (int(value) for value in at(1, 1, end))
    if min(right, width) - left > 4 and min(bottom, height) - top > 4:
        picture[top:bottom, left:right] = cv2.resize(texture, (min(right, width) - left, min(bottom, height) - top), interpolation=cv2.INTER_AREA)
    for _ in range(rng.randint(0, 5)):
        _person(picture, at(rng.uniform(0.1, 0.9), 1.0, 1.2 * end ** rng.random()), eye[1], rng)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)


def _lines(picture: Picture, at: At, end: float, base: tuple[float, float, float], rng: Random) -> None:
    """Joints of the floor, lamps of the ceiling."""
    tone = shade(base, rng.uniform(0.5, 1.2))
    for k in range(rng.randint(0, 14)):
        x = (k + 0.5) / 14
        cv2.line(picture, _whole(at(x, 1, 1)), _whole(at(x, 1, end)), tone, 1, cv2.LINE_AA)
    depth = 1.0
    while depth < end:
        cv2.line(picture, _whole(at(0, 1, depth)), _whole(at(1, 1, depth)), tone, 1, cv2.LINE_AA)
        for x in (0.25, 0.5, 0.75):
            if rng.random() < 0.5:
                cv2.ellipse(picture, _whole(at(x, 0.0, depth * 1.1)), (max(1, int(24 / depth)), max(1, int(8 / depth))), 0, 0, 360, (255, 250, 236), -1, cv2.LINE_AA)
        depth *= 1.25


def _front(picture: Picture, at: At, place: tuple[int, float, float], rng: Random) -> None:
    """One shop: a dark or lit opening with things in it, and a band above it where its name would be."""
    side, near, far = place
    top, bottom = rng.uniform(0.1, 0.4), rng.uniform(0.85, 1.0)
    frame = shade(muted(rng), rng.uniform(0.6, 1.1))
    _fill(picture, [at(side, top - 0.12, near), at(side, top - 0.12, far), at(side, 1, far), at(side, 1, near)], frame)
    lit = rng.random() < 0.5
    _fill(picture, [at(side, top, near), at(side, top, far), at(side, bottom, far), at(side, bottom, near)], shade((255.0, 226.0, 170.0), rng.uniform(0.7, 1.0)) if lit else shade(muted(rng), 0.4))
    for _ in range(rng.randint(2, 9)):
        a, y, tall = near + (far - near) * rng.uniform(0, 0.8), rng.uniform(top, bottom - 0.05), rng.uniform(0.02, 0.25)
        b = a + (far - near) * rng.uniform(0.03, 0.2)
        _fill(picture, [at(side, y, a), at(side, y, b), at(side, min(bottom, y + tall), b), at(side, min(bottom, y + tall), a)], shade(muted(rng), rng.uniform(0.5, 1.1)))


def _person(picture: Picture, foot: Spot, eye: float, rng: Random) -> None:
    tall = min(max(6.0, (foot[1] - eye) * rng.uniform(1.0, 1.25)), picture.shape[0] * 0.7)
    x, y = foot
    wide = tall * 0.16
    trousers, shirt = shade(muted(rng), 0.6), shade(muted(rng), 0.8)
    _fill(picture, [(x - wide * 0.7, y - tall * 0.5), (x + wide * 0.7, y - tall * 0.5), (x + wide * 0.5, y), (x - wide * 0.5, y)], trousers)
    _fill(picture, [(x - wide, y - tall * 0.82), (x + wide, y - tall * 0.82), (x + wide * 0.8, y - tall * 0.46), (x - wide * 0.8, y - tall * 0.46)], shirt)
    cv2.ellipse(picture, _whole((x, y - tall * 0.91)), (max(1, int(wide * 0.5)), max(1, int(wide * 0.65))), 0, 0, 360, shade((190.0, 150.0, 120.0), rng.uniform(0.4, 1.2)), -1, cv2.LINE_AA)


def _fill(picture: Picture, corners: list[Spot], colour: tuple[int, int, int]) -> None:
    cv2.fillPoly(picture, [np.rint(np.clip(corners, -20000, 20000)).astype(np.int32)], colour, cv2.LINE_AA)


def _whole(spot: Spot) -> tuple[int, int]:
    return int(max(-20000, min(20000, spot[0]))), int(max(-20000, min(20000, spot[1])))
