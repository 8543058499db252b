"""What the evaluators of scene text have in common: collecting words, and figures from what was matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.base import EvalResult
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.store import State
from finetune.evaluation.text_diagnose import diagnose_text
from finetune.evaluation.text_store import TextRows, TextStore

if TYPE_CHECKING:
    from detectors.types import ImageMeta, TextDetections
    from finetune.data.types import TextSplit

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
_BLOCK = 500_000  # pairs looked at at once


@dataclass(frozen=True, eq=False)
class TextMatches:
    """What a protocol found: per word of the truth and per detected word, in the order of split and rows.

    ``recalled`` [N] and ``precise`` [N] are what each image adds to the sums of recall and precision (whole numbers of
    matches, but for DetEval). ``truth_ignored`` [M] and ``found_ignored`` [D] are words that count neither way.
    ``partner`` [M] is the detected word (row) that a word of the truth is matched with, -1 for none.
    """

    recalled: Values
    precise: Values
    truth_ignored: Flags
    found_ignored: Flags
    partner: NDArray[np.int64]


class TextEvaluator:
    """Collects words in original pixels and scores them by one protocol: precision, recall and their harmonic mean over all images.

    Args:
        split: The truth.
        confidences: Scores rank the words: each image's words are matched best first, and average precision is added.
    """

    protocol = ""
    rule = ""

    def __init__(self, split: TextSplit, confidences: bool = False) -> None:
        self.split = split
        self.confidences = confidences
        self.store = TextStore(split, polygons=self.protocol == "polygon-iou")
        self.owners = np.repeat(np.arange(len(split)), np.diff(split.offsets))

    def reset(self) -> None:
        """Forget all detections; what was computed of the truth is kept."""
        self.store.reset()

    def process(self, detections: Sequence[TextDetections], metas: Sequence[ImageMeta]) -> None:
        """Add the detected words of some images, in original pixels."""
        self.store.process(detections, metas)

    def add(self, rows: TextRows, images: NDArray[np.int64] | None = None) -> None:
        """Add words that were read from files; ``images`` are all images that have a file, with or without words."""
        self.store.add(rows, images)

    def state(self) -> State:
        """What was collected, as plain arrays for another process."""
        return self.store.state()

    def merge(self, state: State) -> None:
        """Add what another process collected; repeated images count once."""
        self.store.merge(state)

    def match(self, rows: TextRows) -> TextMatches:
        """Match detected words with the truth; every protocol has its own way."""
        raise NotImplementedError

    def ranked_rows(self) -> TextRows:
        """The words to match: images in the order of the split; with confidences, the best of each image first."""
        rows = self.store.rows()
        return rows.take(np.lexsort((-rows.scores, rows.image))) if self.confidences else rows

    def evaluate(self) -> EvalResult:
        """Score everything processed since the last reset."""
        rows = self.ranked_rows()
        matches = self.match(rows)
        images = len(self.split)
        truths = np.bincount(self.owners[~matches.truth_ignored], minlength=images)
        found = np.bincount(rows.image[~matches.found_ignored], minlength=images)
        values = dict(zip(("precision", "recall", "hmean"), figures(float(matches.precise.sum()), float(matches.recalled.sum()), int(found.sum()), int(truths.sum())), strict=True))
        if self.confidences:
            values["AP"] = self._average_precision(rows, matches, int(truths.sum()))
        notes = diagnose_text(self.split, rows, matches, values["hmean"], self.store.dropped)
        return EvalResult(self.protocol, "hmean", values, notes=tuple(notes), per_image=self._per_image(rows, matches, truths, found), conditions=(self.rule,))

    def _per_image(self, rows: TextRows, matches: TextMatches, truths: NDArray[np.int64], found: NDArray[np.int64]) -> dict[str, dict[str, float]]:
        """The official scripts' figures of single images: recall is 1 where there is nothing to find, precision 1 where nothing was found there."""
        all_truths, all_found = np.diff(self.split.offsets), np.bincount(rows.image, minlength=len(self.split))
        columns = zip(self.split.image_ids, matches.recalled.tolist(), matches.precise.tolist(), truths.tolist(), found.tolist(), all_truths.tolist(), all_found.tolist(), strict=True)
        table = {}
        for number, (image_id, recalled, precise, words, detections, every_word, every_detection) in enumerate(columns):
            precision, recall, hmean = self.image_figures(number, recalled, precise, words, detections, every_word, every_detection)
            counts = {"truth": words, "detections": detections, "truth_ignored": every_word - words, "detections_ignored": every_detection - detections}
            table[image_id] = {"precision": precision, "recall": recall, "hmean": hmean, "matched": recalled, **counts}
        return table

    def image_figures(self, number: int, recalled: float, precise: float, truths: int, found: int, every_truth: int, every_found: int) -> tuple[float, float, float]:
        """Precision, recall and Hmean of image ``number``."""
        if not truths:
            precision = 0.0 if found else 1.0
            return precision, 1.0, 2 * precision / (precision + 1)
        return figures(precise, recalled, found, truths)

    def _average_precision(self, rows: TextRows, matches: TextMatches, truths: int) -> float:
        """The mean over the words of the truth of the precision at the rank of their detection, best score first."""
        right = np.zeros(len(rows.image), np.bool_)
        right[matches.partner[matches.partner >= 0]] = True
        right, scores = right[~matches.found_ignored], rows.scores[~matches.found_ignored]
        right = right[np.argsort(-scores, kind="stable")]
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        return float(precision[right].sum() / truths) if truths else 0.0


def figures(precise: float, recalled: float, found: int, truths: int) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean; 0 where there is nothing to divide by, as in the official scripts."""
    precision = precise / found if found else 0.0
    recall = recalled / truths if truths else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def pair_up(truth_offsets: NDArray[np.int64], images: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of a word of the truth and a detected word of the same image, as two index arrays, detection by detection.

    Args:
        truth_offsets: [N + 1], where the words of each image begin.
        images: [D], the image of each detected word.
    """
    counts = np.diff(truth_offsets)[images]
    found = np.repeat(np.arange(len(images)), counts)
    within = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(truth_offsets[images], counts) + within, found


def touching_pairs(truth_offsets: NDArray[np.int64], images: NDArray[np.int64], truth: Values, found: Values, pixel: float = 0.0) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """The pairs of ``pair_up`` whose upright rectangles have a common area, and that area; never more than a block of pairs at once.

    Args:
        truth_offsets: [N + 1], where the words of each image begin.
        images: [D], the image of each detected word.
        truth: [M, 4], left, top, right, bottom.
        found: [D, 4].
        pixel: Added to every side: 1 where the last pixel counts.
    """
    ends = np.cumsum(np.diff(truth_offsets)[images])
    cuts = np.searchsorted(ends, np.arange(_BLOCK, ends[-1] if len(ends) else 0, _BLOCK))
    kept = []
    for part in np.split(np.arange(len(images)), cuts):
        words, detections = pair_up(truth_offsets, images[part])
        detections = part[detections]
        sides = np.minimum(truth[words, 2:], found[detections, 2:]) - np.maximum(truth[words, :2], found[detections, :2]) + pixel
        near = (sides > 0).all(axis=1)
        kept.append((words[near], detections[near], sides[near].prod(axis=1)))
    words, detections, common = (np.concatenate(column) for column in zip(*kept, strict=True))
    return words, detections, common


def truth_polygons(split: TextSplit) -> Outlines:
    """The outlines of a split's words: their polygons, and the quads of words that have none."""
    counts = np.diff(split.polygon_offsets)
    if not counts.any():
        return Outlines.of_quads(split.quads)
    return Outlines.of_list([
        split.polygon_points[split.polygon_offsets[i] : split.polygon_offsets[i + 1]] if count else split.quads[i] for i, count in enumerate(counts.tolist())
    ])
