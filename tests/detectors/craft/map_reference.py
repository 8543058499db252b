"""Targets and loss of CRAFT the slow way: an OpenCV warp per character, a loop per image and map. Shared with the benchmark of the targets."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BITMAP, SIGMA = 200, 40.0
_SQUARE = np.array([[0, 0], [BITMAP, 0], [BITMAP, BITMAP], [0, BITMAP]], np.float32)


def gaussian_bitmap() -> NDArray[np.float32]:
    """The Gaussian that is warped: 1 in the middle, 0 beyond the inner circle."""
    across = np.arange(BITMAP) - BITMAP / 2
    squared = across[:, None] ** 2 + across[None] ** 2
    return np.where(squared <= (BITMAP / 2) ** 2, np.exp(-squared / (2 * SIGMA**2)), 0).astype(np.float32)


def warp_loop(quads: NDArray[np.float32], map_hw: tuple[int, int], factor: float = 1.5) -> NDArray[np.float32]:
    """Region map of quads [N, 4, 2] in cells: one warp each into a window, the greater value stays."""
    bitmap, out = gaussian_bitmap(), np.zeros(map_hw, np.float32)
    for quad in quads:
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.tolist()
        share = ((bx - ax) * (dy - by) - (by - ay) * (dx - bx)) / ((cx - ax) * (dy - by) - (cy - ay) * (dx - bx))
        middle = np.array([ax + share * (cx - ax), ay + share * (cy - ay)], np.float32)
        grown = middle + factor * (quad - middle) - np.float32(0.5)  # OpenCV counts from the middle of the first pixel
        left, top = np.maximum(np.floor(grown.min(0)), 0).astype(int).tolist()
        right, bottom = np.minimum(np.ceil(grown.max(0)) + 1, [map_hw[1], map_hw[0]]).astype(int).tolist()
        if right <= left or bottom <= top:
            continue
        warp = cv2.getPerspectiveTransform(_SQUARE, (grown - np.array([left, top])).astype(np.float32))
        window = out[top:bottom, left:right]
        np.maximum(window, cv2.warpPerspective(bitmap, warp, (right - left, bottom - top)), out=window)
    return out


def affinity_loop(characters: NDArray[np.float32], words: NDArray[np.int64]) -> NDArray[np.float32]:
    """Affinity quads of characters side by side: centres of upper and lower triangles."""
    found = []
    for one, other, word, following in zip(characters[:-1], characters[1:], words[:-1], words[1:], strict=True):
        if word == following:
            m, n = one.mean(0), other.mean(0)
            found.append([(one[0] + one[1] + m) / 3, (other[0] + other[1] + n) / 3, (other[2] + other[3] + n) / 3, (one[2] + one[3] + m) / 3])
    return np.array(found, np.float32).reshape(-1, 4, 2)


def mining_loop(maps: Tensor, truth: Tensor, confidence: Tensor, negatives: float, least: int, whole_batch: bool = False) -> dict[str, float]:
    """The loss as published, one image and map after the other; cells of confidence 0 are no cells."""
    result = {}
    for channel, name in enumerate(("region", "affinity")):
        error = (maps[:, channel] - truth[:, channel]) ** 2 * confidence
        groups = [(error, truth[:, channel], confidence)] if whole_batch else list(zip(error, truth[:, channel], confidence, strict=True))
        total = 0.0
        for errors, label, weight in groups:
            positive = errors[(label >= 0.1) & (weight > 0)]
            negative = errors[(label < 0.1) & (weight > 0)]
            count = min(len(negative), max(least * (len(maps) if whole_batch else 1), int(negatives * len(positive))))
            if len(positive):
                total += float(positive.sum() / len(positive))
            if count:
                total += float(torch.topk(negative, count).values.sum() / count)
        result[name] = total / len(groups)
    return result


def some_words(count: int, size: int, seed: int = 0, most_angle: float = 0.5) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """Characters [K, 4, 2] of words that lie about in a square picture, their words [K], and the words' quads."""
    random = np.random.default_rng(seed)
    characters, owners, quads = [], [], []
    for word in range(count):
        height, angle, letters = random.uniform(10, 40), random.uniform(-most_angle, most_angle), int(random.integers(3, 10))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        place = random.uniform(0, size, 2)
        left = np.arange(letters) * 0.6 * height
        flat = np.stack([left, 0 * left, left + 0.6 * height, 0 * left, left + 0.6 * height, 0 * left + height, left, 0 * left + height], 1).reshape(-1, 4, 2)
        characters.append((flat + random.normal(0, 0.02 * height, flat.shape)) @ turn + place)
        owners += [word] * letters
        quads.append(np.array([[0, 0], [letters * 0.6 * height, 0], [letters * 0.6 * height, height], [0, height]]) @ turn + place)
    return np.concatenate(characters).astype(np.float32), np.array(owners), np.array(quads, np.float32)
