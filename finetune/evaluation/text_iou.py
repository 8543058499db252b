"""ICDAR's intersection-over-union protocol for words (2015 incidental text, 2017 and 2019 MLT), and the same for curved outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.outlines import Outlines, common_areas
from finetune.evaluation.polygon_area import areas
from finetune.evaluation.text_evaluator import TextEvaluator, TextMatches, touching_pairs, truth_polygons
from finetune.evaluation.text_heights import HeightRow, rows_by_height
from finetune.evaluation.text_store import TextRows

if TYPE_CHECKING:
    from finetune.data.types import TextSplit

_SLACK = 1e-6  # a pair is only left out where its upright rectangles exclude a match by more than rounding


class TextIouEvaluator(TextEvaluator):
    """Every word of the truth takes the first free detection, in file order, that it overlaps by an IoU of more than the threshold.

    A detection more than half of whose area lies in one ignored word counts neither way. Coordinates are cut to whole pixels
    (``icdar2015-iou``) or taken as they are (``polygon-iou``), polygons of curved words only in the latter.

    Args:
        split: The truth.
        protocol: "icdar2015-iou" or "polygon-iou".
        confidences: Scores rank the words of an image, and average precision is added.
        iou_threshold: A match overlaps by more than this.
        ignore_threshold: A detection is ignored where more than this share of its area lies in an ignored word.
    """

    def __init__(self, split: TextSplit, protocol: str = "icdar2015-iou", confidences: bool = False, iou_threshold: float = 0.5, ignore_threshold: float = 0.5) -> None:
        self.protocol = protocol
        super().__init__(split, confidences)
        self.iou_threshold, self.ignore_threshold = iou_threshold, ignore_threshold
        self.rule = f"a match is IoU > {iou_threshold:g}; ignored: more than {ignore_threshold:g} of a detection in an ignored word"
        outlines = truth_polygons(split) if protocol == "polygon-iou" else Outlines.of_quads(split.quads)
        self._truth = self._seen_by(outlines)
        self._bounds = self._truth.bounds()
        self._areas = areas(self._truth.padded())

    def _seen_by(self, outlines: Outlines) -> Outlines:
        return outlines if self.protocol == "polygon-iou" else outlines.truncated()

    def match(self, rows: TextRows) -> TextMatches:
        """Match detected words with the truth."""
        found = self._seen_by(rows.outlines)
        sizes, bounds = areas(found.padded()), found.bounds()
        truths, detections, both = touching_pairs(self.split.offsets, rows.image, self._bounds, bounds)
        ignorable = self.split.ignore[truths]
        near = np.where(ignorable, both > (self.ignore_threshold - _SLACK) * sizes[detections], self._may_match(both, self._areas[truths] + sizes[detections]))
        truths, detections, ignorable = truths[near], detections[near], ignorable[near]
        common = common_areas(self._truth, found, truths, detections)
        size = sizes[detections]
        inside = np.divide(common, size, out=np.zeros_like(common), where=size != 0)
        ignored = np.zeros(len(sizes), np.bool_)
        ignored[detections[ignorable & (inside > self.ignore_threshold)]] = True
        union = size + self._areas[truths] - common
        iou = np.divide(common, union, out=np.zeros_like(common), where=union != 0)
        right = ~ignorable & (iou > self.iou_threshold) & ~ignored[detections]
        return self._counted(truths[right], detections[right], ignored)

    def by_height(self) -> tuple[HeightRow, ...]:
        """What became of the words, by their height in pixels of the original pictures."""
        rows = self.ranked_rows()
        return rows_by_height(self.split, self._truth, rows, self._seen_by(rows.outlines), self.match(rows))

    def _may_match(self, both: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where an intersection of up to ``both`` could give an IoU above the threshold, ``total`` being the sum of both areas."""
        return (both >= total) | (both > (self.iou_threshold - _SLACK) * (total - both))

    def _counted(self, truths: NDArray[np.int64], detections: NDArray[np.int64], ignored: NDArray[np.bool_]) -> TextMatches:
        """Greedy: words in the order of the files, for each the first free detection."""
        partner = np.full(len(self.split.ignore), -1, np.int64)
        order = np.lexsort((detections, truths))
        taken: set[int] = set()
        for truth, detection in zip(truths[order].tolist(), detections[order].tolist(), strict=True):
            if partner[truth] < 0 and detection not in taken:
                partner[truth] = detection
                taken.add(detection)
        matched = np.bincount(self.owners[partner >= 0], minlength=len(self.split)).astype(np.float64)
        return TextMatches(matched, matched, self.split.ignore, ignored, partner)
