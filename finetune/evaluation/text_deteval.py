"""ICDAR 2013's DetEval protocol (Wolf and Jolion): upright rectangles, one-to-one, one-to-many and many-to-one matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.outlines import Outlines
from finetune.evaluation.text_evaluator import TextEvaluator, TextMatches, figures
from finetune.evaluation.text_store import TextRows

if TYPE_CHECKING:
    from finetune.data.types import TextSplit

RECALL, PRECISION = 0.8, 0.4  # least shares of a word and of a detection that their common area covers
SPLIT_SCORE = 0.8  # what a word counts that several detections cover together
Table = NDArray[np.float64]


class DetEvalEvaluator(TextEvaluator):
    """DetEval on upright rectangles around the words, whole pixels, the last one included (width = right - left + 1).

    A detection that covers a word and little else is worth 1; several detections that cover one word together are worth 0.8 for
    the word and for each of them; one detection that covers several words is worth 1 for each of the words and for itself. A detection
    more than 0.4 of whose area lies in one ignored word counts neither way.
    """

    protocol = "icdar2013-deteval"
    rule = f"a match covers {RECALL:g} of the word and {PRECISION:g} of the detection; split words count {SPLIT_SCORE:g}; ignored: more than {PRECISION:g} of a detection in an ignored word"

    def __init__(self, split: TextSplit, confidences: bool = False) -> None:
        super().__init__(split, confidences)
        self._truth = Outlines.of_quads(split.quads).truncated().bounds()

    def match(self, rows: TextRows) -> TextMatches:
        """Match detected words with the truth, image by image."""
        rectangles = rows.outlines.truncated().bounds()
        images = len(self.split)
        starts = np.searchsorted(rows.image, np.arange(images + 1))
        recalled, precise = np.zeros(images), np.zeros(images)
        ignored, partner = np.zeros(len(rectangles), np.bool_), np.full(len(self._truth), -1, np.int64)
        for number in np.flatnonzero(np.diff(starts)).tolist():
            mine, theirs = self.split.rows(number), slice(int(starts[number]), int(starts[number + 1]))
            image = _ImageMatch(self._truth[mine], rectangles[theirs], self.split.ignore[mine])
            recalled[number], precise[number] = image.recalled, image.precise
            ignored[theirs] = image.found_ignored
            for word, detection in image.partners.items():
                partner[mine.start + word] = theirs.start + detection
        return TextMatches(recalled, precise, self.split.ignore, ignored, partner)

    def image_figures(self, number: int, recalled: float, precise: float, truths: int, found: int, every_truth: int, every_found: int) -> tuple[float, float, float]:
        """As the official script has them: 0 where nothing was detected, but for a file without detections of an image without words."""
        if every_found and not truths:
            return 0.0, 1.0, 0.0
        if not every_found:
            empty = float(not every_truth and self.store.seen[number])
            return empty, empty, 0.0
        return figures(precise, recalled, found, truths)


def _common_areas(one: Table, two: Table) -> Table:
    """Common areas [N, M] of rectangles [N, 4] and [M, 4], last pixels included."""
    sides = np.minimum(one[:, None, 2:], two[:, 2:]) - np.maximum(one[:, None, :2], two[:, :2]) + 1
    return np.where((sides >= 0).all(axis=2), sides[..., 0] * sides[..., 1], 0.0)


class _ImageMatch:
    """The matches of one image: rectangles [N, 4] of the truth, rectangles [D, 4] of detections, words to ignore [N]."""

    def __init__(self, truth: Table, found: Table, ignore: NDArray[np.bool_]) -> None:
        common = _common_areas(truth, found)
        self.truth, self.found, self.ignore = truth, found, ignore
        truth_areas, found_areas = (np.prod(part[:, 2:] - part[:, :2] + 1, axis=1) for part in (truth, found))
        self.recall, self.precision = common / truth_areas[:, None], common / found_areas
        self.found_ignored = (self.precision[ignore] > PRECISION).any(axis=0)
        touched = self.recall > 0
        self.touches_of_truth = (touched & ~self.found_ignored).sum(axis=1)
        self.touches_of_found = (touched & ~ignore[:, None]).sum(axis=0)
        self.recalled, self.precise = 0.0, 0.0
        self.partners: dict[int, int] = {}
        self._free_truth, self._free_found = ~ignore, ~self.found_ignored
        self._one_to_one()
        self._one_to_many()
        self._many_to_one()

    def _one_to_one(self) -> None:
        """Pairs that fulfil both shares, each the only such pair of its word and of its detection, and touch nothing else."""
        good = (self.recall >= RECALL) & (self.precision >= PRECISION)
        alone = good & (good.sum(axis=1) == 1)[:, None] & (good.sum(axis=0) == 1)
        alone &= ((self.touches_of_truth == 1) & self._free_truth)[:, None] & ((self.touches_of_found == 1) & self._free_found)
        for word, detection in np.argwhere(alone).tolist():
            if self._distance(word, detection) < 1:
                self._take([word], [detection], 1.0, 1.0)

    def _one_to_many(self) -> None:
        for word in np.flatnonzero(self._free_truth).tolist():
            parts = np.flatnonzero(self._free_found & (self.precision[word] >= PRECISION)).tolist()
            if self.touches_of_truth[word] >= 2 and round(sum(self.recall[word, parts].tolist()), 4) >= RECALL:
                score = 1.0 if len(parts) == 1 else SPLIT_SCORE
                self._take([word], parts, score, score * len(parts))

    def _many_to_one(self) -> None:
        for detection in np.flatnonzero(self._free_found).tolist():
            words = np.flatnonzero(self._free_truth & (self.recall[:, detection] >= RECALL)).tolist()
            if self.touches_of_found[detection] >= 2 and round(sum(self.precision[words, detection].tolist()), 4) >= PRECISION:
                self._take(words, [detection], float(len(words)), 1.0)

    def _take(self, words: list[int], detections: list[int], recalled: float, precise: float) -> None:
        self.recalled += recalled
        self.precise += precise
        self._free_truth[words] = False
        self._free_found[detections] = False
        self.partners.update(dict.fromkeys(words, detections[0]))

    def _distance(self, word: int, detection: int) -> float:
        """Between the centres, in units of the mean diagonal."""
        one, two = self.truth[word], self.found[detection]
        between = (one[:2] + (one[2:] - one[:2] + 1) / 2) - (two[:2] + (two[2:] - two[:2] + 1) / 2)
        diagonals = np.hypot(*(one[2:] - one[:2] + 1)) + np.hypot(*(two[2:] - two[:2] + 1))
        return float(2 * np.hypot(*between) / diagonals)
