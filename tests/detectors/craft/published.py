"""The post-processing of the published CRAFT code (clovaai CRAFT-pytorch, MIT), step by step: what ours is compared with, in results and in time."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def published_quads(region: NDArray[Any], affinity: NDArray[Any], text_threshold: float, link_threshold: float, low_text: float) -> tuple[list[NDArray[Any]], NDArray[Any], list[int]]:
    """Quads in cells, the components, and the component of each quad: ``getDetBoxes_core``."""
    affinity, region = affinity.copy(), region.copy()
    height, width = region.shape
    _, text = cv2.threshold(region, low_text, 1, 0)
    _, link = cv2.threshold(affinity, link_threshold, 1, 0)
    either = np.clip(text + link, 0, 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(either.astype(np.uint8), connectivity=4)
    quads, owners = [], []
    for k in range(1, count):
        size = stats[k, cv2.CC_STAT_AREA]
        if size < 10:
            continue
        if np.max(region[labels == k]) < text_threshold:
            continue
        segment = np.zeros(region.shape, dtype=np.uint8)
        segment[labels == k] = 255
        segment[np.logical_and(link == 1, text == 0)] = 0
        x, y = stats[k, cv2.CC_STAT_LEFT], stats[k, cv2.CC_STAT_TOP]
        w, h = stats[k, cv2.CC_STAT_WIDTH], stats[k, cv2.CC_STAT_HEIGHT]
        niter = int(math.sqrt(size * min(w, h) / (w * h)) * 2)
        sx, ex, sy, ey = max(0, x - niter), min(width, x + w + niter + 1), max(0, y - niter), min(height, y + h + niter + 1)
        kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (1 + niter, 1 + niter))
        segment[sy:ey, sx:ex] = cv2.dilate(segment[sy:ey, sx:ex], kernel)
        contours = np.roll(np.array(np.where(segment != 0)), 1, axis=0).transpose().reshape(-1, 2)
        box = cv2.boxPoints(cv2.minAreaRect(contours.astype(np.int32)))
        w, h = np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[1] - box[2])
        if abs(1 - max(w, h) / (min(w, h) + 1e-5)) <= 0.1:
            left, right = min(contours[:, 0]), max(contours[:, 0])
            top, bottom = min(contours[:, 1]), max(contours[:, 1])
            box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
        box = np.roll(box, 4 - box.sum(axis=1).argmin(), 0)
        quads.append(np.array(box))
        owners.append(k)
    return quads, labels, owners


def published_polygon(box: NDArray[Any], labels: NDArray[Any], owner: int) -> NDArray[Any] | None:
    """The polygon of one quad, or None: ``getPoly_core``."""
    count, max_r, step = 5, 2.0, 0.2
    w, h = int(np.linalg.norm(box[0] - box[1]) + 1), int(np.linalg.norm(box[1] - box[2]) + 1)
    if w < 10 or h < 10:
        return None
    matrix = cv2.getPerspectiveTransform(box, np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32))
    word = cv2.warpPerspective(labels.astype(np.float32), matrix, (w, h), flags=cv2.INTER_NEAREST).astype(np.int32)
    back = np.linalg.inv(matrix)
    word = (word == owner).astype(np.int32)
    spans, longest = [], -1
    for i in range(w):
        rows = np.where(word[:, i] != 0)[0]
        if len(rows) < 2:
            continue
        spans.append((i, rows[0], rows[-1]))
        longest = max(longest, rows[-1] - rows[0] + 1)
    if h * 0.7 < longest:
        return None
    total = count * 2 + 1
    segment = w / total
    pivots: list[Any] = [None] * count
    sections: list[list[float]] = [[0, 0]] * total
    heights = [0] * count
    number = cells = 0
    previous = -1
    for x, sy, ey in spans:
        if (number + 1) * segment <= x and number <= total:
            if cells == 0:
                break
            sections[number] = [sections[number][0] / cells, sections[number][1] / cells]
            cells, previous = 0, -1
            number += 1
        cy, tall = (sy + ey) * 0.5, ey - sy + 1
        sections[number] = [sections[number][0] + x, sections[number][1] + cy]
        cells += 1
        if number % 2 == 0:
            continue
        if previous < tall:
            pivots[(number - 1) // 2] = (x, cy)
            heights[(number - 1) // 2] = tall
            previous = tall
    if cells != 0:
        sections[-1] = [sections[-1][0] / cells, sections[-1][1] / cells]
    if None in pivots or segment < np.max(heights) * 0.25:
        return None
    half = np.median(heights) * 1.45 / 2
    lines = []
    for i, (x, cy) in enumerate(pivots):
        dx, dy = sections[i * 2 + 2][0] - sections[i * 2][0], sections[i * 2 + 2][1] - sections[i * 2][1]
        if dx == 0:
            lines.append([x, cy - half, x, cy + half])
            continue
        rad = -math.atan2(dy, dx)
        c, s = half * math.cos(rad), half * math.sin(rad)
        lines.append([x - s, cy - c, x + s, cy + c])
    p = pivots
    slope_start = (p[1][1] - p[0][1]) / (p[1][0] - p[0][0]) + (p[2][1] - p[1][1]) / (p[2][0] - p[1][0])
    slope_end = (p[-2][1] - p[-1][1]) / (p[-2][0] - p[-1][0]) + (p[-3][1] - p[-2][1]) / (p[-3][0] - p[-2][0])
    ends = []
    for line, slope, sign in ((lines[0], slope_start, -1), (lines[-1], slope_end, 1)):
        for r in np.arange(0.5, max_r, step):
            dx = 2 * half * r
            moved = np.array(line) + sign * np.array([dx, slope * dx, dx, slope * dx])
            drawn = np.zeros(word.shape, dtype=np.uint8)
            cv2.line(drawn, (int(moved[0]), int(moved[1])), (int(moved[2]), int(moved[3])), 1, thickness=1)
            if np.sum(np.logical_and(word, drawn)) == 0 or r + 2 * step >= max_r:
                ends.append(moved)
                break
    start, end = ends
    outline = [start[:2], *[line[:2] for line in lines], end[:2], end[2:], *[line[2:] for line in reversed(lines)], start[2:]]
    mapped = [back @ np.array([x, y, 1]) for x, y in outline]
    return np.array([point[:2] / point[2] for point in mapped])
