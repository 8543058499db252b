"""Random windows: zoom, shift, crop and flip as one resampling step with an exact affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.data.preprocess import Placement, Preprocess

Window = tuple[float, float, float, float]


@dataclass(frozen=True)
class GeometryLimits:
    """How far a level goes.

    Args:
        zoom: Range of the zoom; 1 is the whole picture, 2 shows half of its height and width, 0.5 draws it at half size.
        zoom_chance: Chance of zooming at all.
        stretch: Largest ratio between the horizontal and the vertical zoom.
        iou_crop: Chance of an SSD crop, in which some box keeps a minimum IoU with the window (arXiv:1512.02325, section 2.2).
        flip: Chance of mirroring left and right.
        min_visibility: Boxes of which less is left are dropped, unless they are ignored ones.
    """

    zoom: tuple[float, float] = (1.0, 1.0)
    zoom_chance: float = 1.0
    stretch: float = 1.0
    iou_crop: float = 0.0
    flip: float = 0.5
    min_visibility: float = 0.3


def random_placement(rng: np.random.Generator, limits: GeometryLimits, preprocess: Preprocess, picture_hw: tuple[int, int], boxes: NDArray[np.float64]) -> Placement:
    """Choose which part of a picture is drawn where.

    Args:
        rng: Source of every choice.
        limits: Strength.
        preprocess: Gives the window of the whole picture, so that zoom 1 draws what evaluation draws.
        picture_hw: Height and width of the picture.
        boxes: [N, 4] xyxy in picture pixels; for IoU crops.
    """
    flip = bool(rng.random() < limits.flip)
    window = _whole_window(preprocess, picture_hw)
    if limits.iou_crop and rng.random() < limits.iou_crop:
        window = _iou_window(rng, picture_hw, boxes) or window
    elif rng.random() < limits.zoom_chance and limits.zoom != (1.0, 1.0):
        window = _zoomed(rng, limits, window, picture_hw)
    return _place(window, picture_hw, preprocess, flip)


def visible(boxes: NDArray[np.float64], input_hw: tuple[int, int], min_visibility: float, ignore: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Clip boxes to the input; say which to keep: those with enough of their area left, and every ignored one that is not empty."""
    height, width = input_hw
    clipped = np.clip(boxes, 0, np.array([width, height, width, height], np.float64))
    before = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    after = np.maximum(clipped[:, 2] - clipped[:, 0], 0) * np.maximum(clipped[:, 3] - clipped[:, 1], 0)
    return clipped, (after > 0) & ((after >= min_visibility * before) | ignore)


def _whole_window(preprocess: Preprocess, picture_hw: tuple[int, int]) -> Window:
    """The part of the plane (in picture pixels) that the plain input shows; letterbox windows are larger than the picture."""
    a, _, tx, _, d, ty = preprocess.placement(picture_hw).affine(preprocess.input_hw)
    input_h, input_w = preprocess.input_hw
    return -tx / a, -ty / d, (input_w - tx) / a, (input_h - ty) / d


def _zoomed(rng: np.random.Generator, limits: GeometryLimits, window: Window, picture_hw: tuple[int, int]) -> Window:
    zoom = np.exp(rng.uniform(np.log(limits.zoom[0]), np.log(limits.zoom[1])))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(limits.stretch))
    width, height = (window[2] - window[0]) / (zoom * stretch), (window[3] - window[1]) / (zoom / stretch)
    left, top = (_start(rng, size, side) for size, side in ((width, picture_hw[1]), (height, picture_hw[0])))
    return left, top, left + width, top + height


def _start(rng: np.random.Generator, size: float, side: int) -> float:
    """A window smaller than the picture lies in it; a larger one holds it."""
    free = side - size
    return float(rng.uniform(min(0.0, free), max(0.0, free)))


def _iou_window(rng: np.random.Generator, picture_hw: tuple[int, int], boxes: NDArray[np.float64]) -> Window | None:
    """An SSD crop: sides 0.3 to 1 of the picture, shape within 1:2, box centres inside; None when no try fits."""
    if not len(boxes):
        return None
    height, width = picture_hw
    least = float(rng.choice([0.0, 0.1, 0.3, 0.5, 0.7, 0.9]))
    for _ in range(30):
        w, h = width * rng.uniform(0.3, 1), height * rng.uniform(0.3, 1)
        left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
        if not 0.5 <= w / h <= 2:
            continue
        window = (left, top, left + w, top + h)
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside = (x > left) & (x < left + w) & (y > top) & (y < top + h)
        if inside.any() and _iou(window, boxes[inside]).max() >= least:
            return window
    return None


def _iou(window: Sequence[float], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.minimum(boxes[:, 2:], window[2:]) - np.maximum(boxes[:, :2], window[:2])
    shared = np.maximum(sides, 0).prod(1)
    return shared / ((boxes[:, 2:] - boxes[:, :2]).prod(1) + (window[2] - window[0]) * (window[3] - window[1]) - shared)


def _place(window: Window, picture_hw: tuple[int, int], preprocess: Preprocess, flip: bool) -> Placement:
    """Round the visible part of a window to whole pixels of the picture, and its place to whole pixels of the input."""
    spans = [_span(window[axis], window[axis + 2], picture_hw[1 - axis], preprocess.input_hw[1 - axis]) for axis in (0, 1)]
    (sx1, sx2, tx1, tx2), (sy1, sy2, ty1, ty2) = spans
    return Placement((sx1, sy1, sx2, sy2), (tx1, ty1, tx2, ty2), flip)


def _span(start: float, end: float, side: int, input_side: int) -> tuple[int, int, int, int]:
    scale = input_side / (end - start)
    source_start = min(side - 1, max(0, round(start)))
    source_end = min(side, max(source_start + 1, round(end)))
    target_start = min(input_side - 1, max(0, round((source_start - start) * scale)))
    target_end = min(input_side, max(target_start + 1, round((source_end - start) * scale)))
    return source_start, source_end, target_start, target_end
