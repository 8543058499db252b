"""Surfaces without letters, many of them as regular as letters are: bricks, tiles, slats, shelves, windows, leaves."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.samples.text.colours import Rgb, mixed, muted, paint
from finetune.samples.text.sheets import soft_noise

Picture = NDArray[np.uint8]
Size = tuple[int, int]  # width, height


def plain(size: Size, colour: Rgb) -> Picture:
    """[h, w, 3] of one colour."""
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = [min(255, max(0, round(value))) for value in colour]
    return picture


def shade(colour: Rgb, factor: float) -> tuple[int, int, int]:
    """A colour in more or less light, as OpenCV takes it."""
    red, green, blue = (max(0, min(255, round(value * factor))) for value in colour)
    return red, green, blue


def bricks(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Rows of bricks or slabs."""
    colour, joint = muted(rng), muted(rng)
    picture = plain(size, mixed(joint, colour, rng.uniform(0.3, 0.9)))
    tall = rng.randint(8, 60)
    wide, gap = int(tall * rng.choice([1.0, 2.0, 2.6, 4.0])), max(1, tall // rng.randint(8, 20))
    light, uneven, offset = rng.uniform(0.85, 1.1), rng.uniform(0.02, 0.2), rng.choice([0, wide // 2])
    for row, y in enumerate(range(-rng.randint(0, tall), size[1], tall)):
        for x in range(-(offset if row % 2 else 0) - wide // 3, size[0], wide):
            cv2.rectangle(picture, (x + gap, y + gap), (x + wide - 1, y + tall - 1), shade(colour, light + rng.uniform(-uneven, uneven)), -1)
    return picture


def slats(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Shutters, grilles, corrugated metal: many parallel lines."""
    period, colour = rng.uniform(4, 26), muted(rng)
    along = np.arange(size[1], dtype=np.float32)
    wave = np.sin(along * np.float32(2 * np.pi / period))
    if rng.random() < 0.6:
        wave = np.clip(wave * rng.uniform(1.5, 8), -1, 1)
    factor = 1 + wave * np.float32(rng.uniform(0.08, 0.5))
    rows = np.clip(np.array(colour, np.float32) * factor[:, None], 0, 255).astype(np.uint8)
    picture = np.repeat(rows[:, None], size[0], axis=1)
    if rng.random() < 0.5:
        for x in range(rng.randint(0, 90), size[0], rng.randint(40, 160)):
            cv2.line(picture, (x, 0), (x, size[1]), shade(colour, rng.uniform(0.4, 1.3)), rng.randint(1, 5))
    return np.ascontiguousarray(picture.transpose(1, 0, 2)) if size[0] == size[1] and rng.random() < 0.5 else picture


def grid(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Window fronts, tiles, fences: bars over fields."""
    bar, field = muted(rng), muted(rng)
    picture = plain(size, field)
    wide, tall, thick = rng.randint(10, 120), rng.randint(10, 120), rng.randint(1, 8)
    uneven = rng.uniform(0, 0.4)
    for y in range(-rng.randint(0, tall), size[1], tall):
        for x in range(-rng.randint(0, 3), size[0], wide):
            cv2.rectangle(picture, (x, y), (x + wide, y + tall), shade(field, 1 + rng.uniform(-uneven, uneven)), -1)
            if rng.random() < uneven:
                cv2.fillPoly(picture, [np.array([[x, y], [x + wide, y], [x, y + tall]])], shade(field, rng.uniform(0.8, 1.5)))
            cv2.rectangle(picture, (x, y), (x + wide, y + tall), shade(bar, 1.0), thick)
    return picture


def shelf(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Goods beside each other: boxes, bottles, books."""
    picture = plain(size, shade(muted(rng), 0.5))
    tall = rng.randint(18, 90)
    for y in range(0, size[1], tall):
        x = 0
        while x < size[0]:
            wide, high, colour = rng.randint(3, max(4, tall)), rng.uniform(0.4, 0.92), paint(rng)
            top = y + int(tall * (1 - high))
            cv2.rectangle(picture, (x, top), (x + wide - 1, y + tall - 4), shade(colour, 1.0), -1)
            for _ in range(rng.randint(0, 2)):
                at = rng.randint(top, y + tall)
                cv2.rectangle(picture, (x + wide // 6, at), (x + wide * 5 // 6, at + rng.randint(1, max(2, tall // 6))), shade(muted(rng), 1.0), -1)
            x += wide + rng.randint(0, 6)
        cv2.line(picture, (0, y + tall - 2), (size[0], y + tall - 2), shade(muted(rng), 0.8), rng.randint(2, 5))
    return picture


def leaves(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Foliage, or any crowd of small things."""
    green = rng.choice([(84.0, 124.0, 52.0), (60.0, 96.0, 48.0), (120.0, 132.0, 58.0), (150.0, 120.0, 70.0), muted(rng)])
    picture = plain(size, shade(green, 0.35))
    count = 420
    places = noise.random((count, 5), dtype=np.float32)
    largest = rng.uniform(8, 34)
    for k, (x, y, turn, long, light) in enumerate(places.tolist()):
        reach = (max(1, int(largest * (0.3 + 0.7 * long))), max(1, int(largest * (0.12 + 0.3 * long))))
        cv2.ellipse(picture, (int(x * size[0]), int(y * size[1])), reach, turn * 360, 0, 360, shade(green, 0.4 + 0.6 * k / count + 0.5 * light * k / count), -1)
    return picture


def wood(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Grain along one direction: planks, brushed metal, cloth."""
    colour = rng.choice([(150.0, 104.0, 64.0), (96.0, 62.0, 40.0), muted(rng)])
    lines = cv2.resize(noise.random((size[1], max(2, size[0] // 60)), dtype=np.float32) - 0.5, size, interpolation=cv2.INTER_LINEAR)
    factor = 1 + np.asarray(lines, np.float32) * np.float32(rng.uniform(0.1, 0.6))
    picture = np.clip(np.array(colour, np.float32) * factor[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        for y in range(rng.randint(0, 80), size[1], rng.randint(24, 120)):
            cv2.line(picture, (0, y), (size[0], y), shade(colour, 0.4), rng.randint(1, 3))
    return picture


def lights(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """Round spots of light out of focus, or a night of them."""
    picture = plain(size, shade(muted(rng), rng.uniform(0.15, 0.7)))
    for _ in range(rng.randint(10, 60)):
        colour = shade(mixed(muted(rng), (255.0, 240.0, 210.0), rng.uniform(0.2, 0.9)), 1.0)
        cv2.circle(picture, (rng.randint(0, size[0]), rng.randint(0, size[1])), rng.randint(2, 26), colour, -1 if rng.random() < 0.8 else 2, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 6)), np.uint8)


def plaster(size: Size, rng: Random, noise: np.random.Generator) -> Picture:
    """A wall with stains."""
    colour = muted(rng)
    factor = 1 + soft_noise(size, rng.randint(3, 12), noise) * np.float32(rng.uniform(0.03, 0.16)) + soft_noise(size, rng.randint(30, 120), noise) * np.float32(rng.uniform(0.01, 0.1))
    return np.clip(np.array(colour, np.float32) * factor[..., None], 0, 255).astype(np.uint8)


Texture = Callable[[Size, Random, np.random.Generator], Picture]
TEXTURES: tuple[Texture, ...] = (bricks, slats, grid, shelf, leaves, wood, lights, plaster, plaster)
