"""Overlap of detections with the boxes of their own image, for all images at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit

_CHUNK = 2_000_000  # pairs held in memory at once


def match_best(
    images: NDArray[np.int64], boxes: NDArray[np.float64], truth_images: NDArray[np.int64], truth: NDArray[np.float64], pixel: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each box the highest IoU with a truth box of its image, and that box's index (the first of equals).

    Args:
        images: [D] image of each box.
        boxes: [D, 4] xyxy.
        truth_images: [G] image of each truth box, ascending.
        truth: [G, 4] xyxy.
        pixel: Added to every width and height: 1 for inclusive pixel coordinates (the VOC devkit), 0 for edges (COCO).

    Returns:
        IoU [D] (0 where the image has no truth or nothing touches) and index [D] (-1 there).
    """
    overlap, index = np.zeros(len(boxes)), np.full(len(boxes), -1, np.int64)
    first = np.searchsorted(truth_images, images, side="left")
    count = np.searchsorted(truth_images, images, side="right") - first
    todo = np.flatnonzero(count)
    ends = np.cumsum(count[todo])
    start = 0
    while start < len(todo):
        offset = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, offset + _CHUNK)))
        part = todo[start:stop]
        overlap[part], index[part] = _match_part(boxes[part], first[part], count[part], truth, pixel)
        start = stop
    return overlap, index


def _match_part(
    boxes: NDArray[np.float64], first: NDArray[np.int64], count: NDArray[np.int64], truth: NDArray[np.float64], pixel: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    begins = np.cumsum(count) - count
    owner = np.repeat(np.arange(len(boxes)), count)
    pairs = np.arange(len(owner)) - begins[owner] + first[owner]
    one, two = boxes[owner], truth[pairs]
    sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(one[:, :2], two[:, :2]) + pixel
    touching = (sides > 0).all(axis=1)
    shared = np.where(touching, sides[:, 0] * sides[:, 1], 0.0)
    union = _area(one, pixel) + _area(two, pixel) - shared
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=touching & (union > 0))
    best = np.maximum.reduceat(iou, begins)
    position = np.where(iou == best[owner], np.arange(len(owner)), len(owner))
    chosen = pairs[np.minimum.reduceat(position, begins)]
    return best, np.where(best > 0, chosen, -1)


def _area(boxes: NDArray[np.float64], pixel: float) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0] + pixel) * (boxes[:, 3] - boxes[:, 1] + pixel)


def best_overlaps(split: BoxSplit, images: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """[D] highest IoU of each box (x, y, width, height) with any truth of its image, whatever the class."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    owners = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    return match_best(images, corners, owners, split.boxes)[0]
