"""Things that are as small, sharp and regular as letters and are none: on sheets of their own, without truth."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb, against, paint
from finetune.samples.text.sheets import BORDER
from finetune.samples.text.textures import TEXTURES, shade

Sheet = NDArray[np.uint8]  # [h, w, 4], colours times coverage
Maker = Callable[[tuple[int, int], Random, np.random.Generator], Sheet]


def distractor(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    """One of them on a sheet of ``size`` (width, height)."""
    return rng.choice(_MAKERS)(size, rng, noise)


def _framed(picture: Sheet, rng: Random) -> Sheet:
    """A picture [h, w, 3] as a sheet, transparent at its border."""
    sheet = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    if rng.random() < 0.4:
        cv2.rectangle(sheet, (BORDER, BORDER), (sheet.shape[1] - BORDER - 1, sheet.shape[0] - BORDER - 1), (*shade(paint(rng), 1.0), 255), rng.randint(1, 4))
    for edge in (np.s_[:BORDER], np.s_[-BORDER:], np.s_[:, :BORDER], np.s_[:, -BORDER:]):
        sheet[edge] = 0
    return sheet


def _surface(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    return _framed(rng.choice(TEXTURES)(size, rng, noise), rng)


def _board(size: tuple[int, int], rng: Random) -> tuple[Sheet, Rgb]:
    colour = paint(rng)
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = shade(colour, 1.0)
    return picture, against(colour, rng, 0.1)


def _icons(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    """Arrows, stars, crosses, rings and men, alone or in a row."""
    picture, colour = _board(size, rng)
    ink = shade(colour, 1.0)
    side = min(size[1], size[0])
    icon = rng.choice(_ICONS)
    for k in range(max(1, size[0] // side)):
        centre = (round((k + 0.5) * side), size[1] // 2)
        if rng.random() < 0.7:
            icon = rng.choice(_ICONS)
        icon(picture, centre, max(2.0, side * rng.uniform(0.25, 0.42)), ink, rng)
    return _framed(picture, rng)


def _polygon(picture: Sheet, centre: tuple[int, int], points: list[tuple[float, float]], radius: float, turn: float, ink: tuple[int, int, int]) -> None:
    rotated = [(centre[0] + radius * (x * cos(turn) - y * sin(turn)), centre[1] + radius * (x * sin(turn) + y * cos(turn))) for x, y in points]
    cv2.fillPoly(picture, [np.rint(rotated).astype(np.int32)], ink, cv2.LINE_AA)


def _arrow(picture: Sheet, centre: tuple[int, int], radius: float, ink: tuple[int, int, int], rng: Random) -> None:
    shape = [(1.0, 0.0), (0.1, -0.8), (0.1, -0.3), (-1.0, -0.3), (-1.0, 0.3), (0.1, 0.3), (0.1, 0.8)]
    _polygon(picture, centre, shape, radius, rng.choice([0, 1, 2, 3]) * pi / 2, ink)


def _star(picture: Sheet, centre: tuple[int, int], radius: float, ink: tuple[int, int, int], rng: Random) -> None:
    count, inner = rng.randint(3, 9), rng.uniform(0.3, 0.95)
    _polygon(picture, centre, [((1, inner)[k % 2] * cos(k * pi / count), (1, inner)[k % 2] * sin(k * pi / count)) for k in range(2 * count)], radius, rng.uniform(0, pi), ink)


def _ring(picture: Sheet, centre: tuple[int, int], radius: float, ink: tuple[int, int, int], rng: Random) -> None:
    cv2.circle(picture, centre, int(radius), ink, -1 if rng.random() < 0.4 else max(1, int(radius * rng.uniform(0.1, 0.4))), cv2.LINE_AA)
    if rng.random() < 0.4:
        reach = int(radius * 0.7)
        cv2.line(picture, (centre[0] - reach, centre[1] - reach), (centre[0] + reach, centre[1] + reach), ink, max(1, int(radius * 0.2)), cv2.LINE_AA)


def _man(picture: Sheet, centre: tuple[int, int], radius: float, ink: tuple[int, int, int], rng: Random) -> None:
    cv2.circle(picture, (centre[0], int(centre[1] - radius * 0.75)), max(1, int(radius * 0.22)), ink, -1, cv2.LINE_AA)
    right = [(0.3, -0.45), (rng.choice([0.3, 0.6]), 0.3), (0.2, 0.3), (0.2, 1.0), (0.03, 1.0), (0.0, 0.3)]
    left = [(-0.03, 1.0), (-0.2, 1.0), (-0.2, 0.3), (-0.35, 0.3), (-0.3, -0.45)]
    _polygon(picture, centre, right + left, radius, 0.0, ink)


def _cross(picture: Sheet, centre: tuple[int, int], radius: float, ink: tuple[int, int, int], rng: Random) -> None:
    thin = rng.uniform(0.12, 0.35)
    for points in ([(-1, -thin), (1, -thin), (1, thin), (-1, thin)], [(-thin, -1), (thin, -1), (thin, 1), (-thin, 1)]):
        _polygon(picture, centre, [(float(x), float(y)) for x, y in points], radius, rng.choice([0.0, 0.0, pi / 4]), ink)


_ICONS = (_arrow, _arrow, _star, _ring, _ring, _man, _cross)


def _codes(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    """Bar codes and square codes."""
    cells = (rng.randint(20, 60), 1) if rng.random() < 0.5 else (rng.randint(8, 25),) * 2
    bits = (noise.random((cells[1], cells[0])) < 0.5).astype(np.uint8) * 255
    code = cv2.resize(bits, size, interpolation=cv2.INTER_NEAREST)
    picture = np.full((size[1], size[0], 3), rng.randint(200, 255), np.uint8)
    edge = max(3, min(size) // 10)
    picture[edge:-edge, edge:-edge] = np.minimum(picture[edge:-edge, edge:-edge], np.maximum(code, rng.randint(0, 50))[edge:-edge, edge:-edge, None])
    return _framed(picture, rng)


def _strokes(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    """Branches, cables, cracks, scrawls too loose for letters: on nothing."""
    sheet = np.zeros((size[1], size[0], 4), np.uint8)
    colour, (width, height) = (*shade(paint(rng), 1.0), 255), size
    for _ in range(rng.randint(1, 5)):
        count = rng.randint(2, 6)
        points = np.column_stack([np.linspace(0.05, 0.95, count) * width, (0.1 + 0.8 * noise.random(count)) * height])
        curve = np.column_stack([np.interp(np.linspace(0, count - 1, 30), np.arange(count), points[:, k]) for k in (0, 1)])
        cv2.polylines(sheet, [np.rint(curve).astype(np.int32)], False, colour, rng.randint(1, max(1, min(5, height // 8))), cv2.LINE_AA)
    for edge in (np.s_[:BORDER], np.s_[-BORDER:], np.s_[:, :BORDER], np.s_[:, -BORDER:]):
        sheet[edge] = 0
    return sheet


def _bars(size: tuple[int, int], rng: Random, noise: np.random.Generator) -> Sheet:
    """Rows of short bars, dots or boxes where a line of text could be: railings, vents, lamps, keys."""
    picture, colour = _board(size, rng)
    ink = shade(colour, 1.0)
    tall = rng.randint(4, max(5, size[1] - 6))
    wide, gap, kind = max(1, int(tall * rng.uniform(0.15, 1.0))), max(1, int(tall * rng.uniform(0.15, 0.8))), rng.randrange(3)
    top = (size[1] - tall) // 2
    for x in range(4, size[0] - wide - 4, wide + gap):
        if kind == 0:
            cv2.rectangle(picture, (x, top), (x + wide - 1, top + tall - 1), ink, -1)
        elif kind == 1:
            cv2.rectangle(picture, (x, top), (x + wide - 1, top + tall - 1), ink, max(1, wide // 8))
        else:
            cv2.circle(picture, (x + wide // 2, size[1] // 2), max(1, wide // 2), ink, -1, cv2.LINE_AA)
    return _framed(picture, rng)


_MAKERS: tuple[Maker, ...] = (_surface, _surface, _icons, _icons, _icons, _codes, _strokes, _bars)
