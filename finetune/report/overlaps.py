"""How detections and the truth of the same pictures overlap: only the pairs that touch, for all pictures at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.polygon_area import areas, intersections
from finetune.evaluation.text_evaluator import touching_pairs
from finetune.report.saved import Found, Shapes, Truth


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of an object of the truth and a detection that touch.

    ``truth`` [P] and ``found`` [P] are rows; ``iou`` [P], ``of_truth`` [P] and ``of_found`` [P] the common area as a share of the union, of the
    object and of the detection; ``same_class`` [P] bool.
    """

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    iou: NDArray[np.float64]
    of_truth: NDArray[np.float64]
    of_found: NDArray[np.float64]
    same_class: NDArray[np.bool_]

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """The pairs that an index or mask array chooses."""
        return Pairs(self.truth[which], self.found[which], self.iou[which], self.of_truth[which], self.of_found[which], self.same_class[which])


def overlapping_pairs(truth: Truth, found: Found) -> Pairs:
    """All touching pairs, ordered by detection."""
    objects, detections = truth.shapes, found.shapes
    offsets = np.searchsorted(objects.image, np.arange(len(truth.pictures) + 1))
    if not len(objects) or not len(detections):
        none, zero = np.zeros(0, np.int64), np.zeros(0)
        return Pairs(none, none, zero, zero, zero, np.zeros(0, np.bool_))
    one, two, common = touching_pairs(offsets, detections.image, objects.boxes, detections.boxes)
    sizes, found_sizes = _areas(objects), _areas(detections)
    if objects.outlines is not None and detections.outlines is not None:
        corners = max(int(objects.outlines.counts.max()), int(detections.outlines.counts.max()))
        common = intersections(objects.outlines.padded(corners)[one], detections.outlines.padded(corners)[two])
    union = sizes[one] + found_sizes[two] - common
    return Pairs(one, two, _share(common, union), _share(common, sizes[one]), _share(common, found_sizes[two]), objects.label[one] == detections.label[two])


def best_per_found(values: NDArray[np.float64], found: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """[count] the highest value among the pairs of each detection, 0 without any."""
    best = np.zeros(count)
    np.maximum.at(best, found, values)
    return best


def _areas(shapes: Shapes) -> NDArray[np.float64]:
    if shapes.outlines is not None:
        return areas(shapes.outlines.padded())
    return (shapes.boxes[:, 2] - shapes.boxes[:, 0]) * (shapes.boxes[:, 3] - shapes.boxes[:, 1])


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0), 0, 1)
