"""Mean average precision as the Pascal VOC development kit computes it: our own code after its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.base import EvalResult
from finetune.evaluation.diagnose import absent_classes, diagnose
from finetune.evaluation.overlap import match_best
from finetune.evaluation.store import CollectingEvaluator

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit

Curve = NDArray[np.float64]


def eleven_point_ap(recall: Curve, precision: Curve) -> float:
    """The mean over recalls 0, 0.1, ... 1 of the best precision at that recall or a higher one (VOC 2007).

    The recalls are multiples of the binary 0.1, as in the kit and its ports: 3 * 0.1 is a last bit above 3 / 10.
    """
    best = [precision[recall >= level].max(initial=0.0) for level in np.linspace(0, 1, 11)]
    return float(np.mean(best))


def area_ap(recall: Curve, precision: Curve) -> float:
    """The area under the precision-recall curve after precision is made falling (VOC 2010 and later)."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    precision = np.concatenate([[0.0], precision, [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))


RULES = {"voc2007-11pt": eleven_point_ap, "voc2012-area": area_ap}


class VocEvaluator(CollectingEvaluator):
    """VOC mean AP on devkit coordinates.

    A detection belongs to the object of its class and image that it overlaps most (widths count inclusive pixels: + 1).
    It is right when that IoU reaches the threshold and no better-scoring detection took the object; on a difficult object
    it counts neither way. A class without objects has no AP and stays out of the mean.

    Args:
        split: The truth; crowd regions count as difficult.
        protocol: A name in ``RULES``.
        iou_threshold: Least IoU of a right detection; the kit has 0.5.
    """

    def __init__(self, split: BoxSplit, protocol: str, iou_threshold: float = 0.5) -> None:
        super().__init__(split)
        self.protocol = protocol
        self.iou_threshold = iou_threshold

    def evaluate(self) -> EvalResult:
        """Score everything processed since the last reset."""
        rows = self.store.rows()
        corners = np.concatenate([rows.boxes[:, :2], rows.boxes[:, :2] + rows.boxes[:, 2:]], axis=1)
        found, truth = self._devkit(corners), self._devkit(self.split.boxes)
        owners = np.repeat(np.arange(len(self.split)), np.diff(self.split.offsets))
        per_class: dict[str, dict[str, float | None]] = {}
        for label, name in enumerate(self.split.class_names):
            mine, theirs = rows.labels == label, self.split.labels == label
            order = np.flatnonzero(mine)[np.argsort(-rows.scores[mine], kind="stable")]
            overlap, best = match_best(rows.image[order], found[order], owners[theirs], truth[theirs], pixel=1.0)
            per_class[name] = {"AP": self._average_precision(overlap, best, self.split.ignore[theirs])}
        known = [figures["AP"] for figures in per_class.values() if figures["AP"] is not None]
        mean = float(np.mean(known)) if known else None
        notes = [*absent_classes(per_class), *diagnose(self.split, rows, mean, self.store.dropped, "mAP")]
        return EvalResult(self.protocol, "mAP", {"mAP": mean}, per_class, tuple(notes))

    def _devkit(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates that name the first and the last pixel; where files count from 1, the first pixel of a box is one more than its edge."""
        return boxes + np.array([1.0, 1.0, 0.0, 0.0]) if self.split.one_based else boxes

    def _average_precision(self, overlap: NDArray[np.float64], best: NDArray[np.int64], difficult: NDArray[np.bool_]) -> float | None:
        """AP of one class from the best overlap and object of each detection, score descending."""
        objects = int((~difficult).sum())
        if not objects:
            return None
        hit = (overlap >= self.iou_threshold) & (best >= 0)
        neutral = np.zeros(len(hit), np.bool_)
        neutral[hit] = difficult[best[hit]]
        candidates = np.flatnonzero(hit & ~neutral)
        right = np.zeros(len(hit), np.bool_)
        right[candidates[np.unique(best[candidates], return_index=True)[1]]] = True
        counted = right[~neutral]
        true = np.cumsum(counted)
        return RULES[self.protocol](true / objects, true / np.arange(1, len(counted) + 1))
