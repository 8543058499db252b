"""How detections and the truth of the same pictures overlap: only the pairs that touch, for all pictures at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.polygon_area import areas, intersections
from finetune.evaluation.text_evaluator import touching_pairs
from finetune.evaluation.word_fates import Pairs, shares
from finetune.report.saved import Found, Shapes, Truth


@dataclass(frozen=True, eq=False)
class ClassPairs(Pairs):
    """Pairs that also know whether both are of one class, ``same_class`` [P] bool."""

    same_class: NDArray[np.bool_]


def overlapping_pairs(truth: Truth, found: Found) -> ClassPairs:
    """All touching pairs, ordered by detection."""
    objects, detections = truth.shapes, found.shapes
    offsets = np.searchsorted(objects.image, np.arange(len(truth.pictures) + 1))
    if not len(objects) or not len(detections):
        none, zero = np.zeros(0, np.int64), np.zeros(0)
        return ClassPairs(none, none, zero, zero, zero, np.zeros(0, np.bool_))
    one, two, common = touching_pairs(offsets, detections.image, objects.boxes, detections.boxes)
    sizes, found_sizes = _areas(objects), _areas(detections)
    if objects.outlines is not None and detections.outlines is not None:
        corners = max(int(objects.outlines.counts.max()), int(detections.outlines.counts.max()))
        common = intersections(objects.outlines.padded(corners)[one], detections.outlines.padded(corners)[two])
    return ClassPairs(one, two, *shares(common, sizes[one], found_sizes[two]), objects.label[one] == detections.label[two])


def best_per_found(values: NDArray[np.float64], found: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """[count] the highest value among the pairs of each detection, 0 without any."""
    best = np.zeros(count)
    np.maximum.at(best, found, values)
    return best


def _areas(shapes: Shapes) -> NDArray[np.float64]:
    if shapes.outlines is not None:
        return areas(shapes.outlines.padded())
    return (shapes.boxes[:, 2] - shapes.boxes[:, 0]) * (shapes.boxes[:, 3] - shapes.boxes[:, 1])
