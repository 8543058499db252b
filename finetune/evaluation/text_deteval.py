"""ICDAR 2013's DetEval protocol (Wolf and Jolion): upright rectangles, one-to-one, one-to-many and many-to-one matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.outlines import Outlines
from finetune.evaluation.text_evaluator import TextEvaluator, TextMatches, figures, touching_pairs
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
        """Match detected words with the truth."""
        matching = _Matching(self.split, self._truth, rows.outlines.truncated().bounds(), rows.image)
        matching.one_to_one()
        matching.one_to_many()
        matching.many_to_one()
        images = len(self.split)
        recalled = np.bincount(self.owners, matching.recalled, images).astype(np.float64)
        precise = np.bincount(rows.image, matching.precise, images).astype(np.float64)
        return TextMatches(recalled, precise, self.split.ignore, matching.found_ignored, matching.partner)

    def image_figures(self, number: int, recalled: float, precise: float, truths: int, found: int, every_truth: int, every_found: int) -> tuple[float, float, float]:
        """As the official script has them: 0 where nothing was detected, but for a file without detections of an image without words."""
        if every_found and not truths:
            return 0.0, 1.0, 0.0
        if not every_found:
            empty = float(not every_truth and self.store.seen[number])
            return empty, empty, 0.0
        return figures(precise, recalled, found, truths)


class _Matching:
    """Matches of all images: ``recalled`` [M] and ``precise`` [D] are what each word and each detection is worth.

    All pairs of a word and a detection that have pixels in common are columns of the same length, detection by detection.
    """

    def __init__(self, split: TextSplit, truth: Table, found: Table, image: NDArray[np.int64]) -> None:
        self.truth, self.found = truth, found
        self.words, self.detections, common = touching_pairs(split.offsets, image, truth, found, pixel=1.0)
        self.recall, self.precision = common / _sizes(truth)[self.words], common / _sizes(found)[self.detections]
        ignorable = split.ignore[self.words]
        self.found_ignored = np.zeros(len(found), np.bool_)
        self.found_ignored[self.detections[ignorable & (self.precision > PRECISION)]] = True
        self.touches_of_word = np.bincount(self.words[~self.found_ignored[self.detections]], minlength=len(truth))
        self.touches_of_found = np.bincount(self.detections[~ignorable], minlength=len(found))
        self.free_words, self.free_found = ~split.ignore, ~self.found_ignored
        self.recalled, self.precise = np.zeros(len(truth)), np.zeros(len(found))
        self.partner = np.full(len(truth), -1, np.int64)

    def one_to_one(self) -> None:
        """Pairs that fulfil both shares, each the only such pair of its word and of its detection, and touch nothing else."""
        words, detections = self.words, self.detections
        good = (self.recall >= RECALL) & (self.precision >= PRECISION)
        alone = good & (np.bincount(words[good], minlength=len(self.truth))[words] == 1) & (np.bincount(detections[good], minlength=len(self.found))[detections] == 1)
        alone &= (self.touches_of_word[words] == 1) & (self.touches_of_found[detections] == 1) & self.free_words[words] & self.free_found[detections]
        words, detections = words[alone], detections[alone]
        near = self._distances(words, detections) < 1
        words, detections = words[near], detections[near]
        self.recalled[words] = self.precise[detections] = 1
        self.free_words[words] = self.free_found[detections] = False
        self.partner[words] = detections

    def one_to_many(self) -> None:
        """Words that several detections, most of each inside the word, cover together."""
        useful = np.flatnonzero((self.precision >= PRECISION) & self.free_words[self.words] & self.free_found[self.detections] & (self.touches_of_word[self.words] >= 2))
        useful = useful[np.lexsort((self.detections[useful], self.words[useful]))]
        for word, pairs in _groups(self.words, useful):
            pairs = pairs[self.free_found[self.detections[pairs]]]
            if len(pairs) and round(sum(self.recall[pairs].tolist()), 4) >= RECALL:
                parts = self.detections[pairs]
                self.recalled[word] = self.precise[parts] = 1 if len(parts) == 1 else SPLIT_SCORE
                self.free_words[word] = self.free_found[parts] = False
                self.partner[word] = parts[0]

    def many_to_one(self) -> None:
        """Detections that cover several words, and not too much else."""
        useful = np.flatnonzero((self.recall >= RECALL) & self.free_words[self.words] & self.free_found[self.detections] & (self.touches_of_found[self.detections] >= 2))
        for detection, pairs in _groups(self.detections, useful):
            pairs = pairs[self.free_words[self.words[pairs]]]
            if len(pairs) and round(sum(self.precision[pairs].tolist()), 4) >= PRECISION:
                covered = self.words[pairs]
                self.recalled[covered] = self.precise[detection] = 1
                self.free_words[covered] = self.free_found[detection] = False
                self.partner[covered] = detection

    def _distances(self, words: NDArray[np.int64], detections: NDArray[np.int64]) -> Table:
        """Between the centres, in units of the mean diagonal."""
        one, two = self.truth[words], self.found[detections]
        sides = one[:, 2:] - one[:, :2] + 1, two[:, 2:] - two[:, :2] + 1
        between = (one[:, :2] + sides[0] / 2) - (two[:, :2] + sides[1] / 2)
        return np.asarray(2 * np.hypot(between[:, 0], between[:, 1]) / (np.hypot(*sides[0].T) + np.hypot(*sides[1].T)), np.float64)


def _sizes(rectangles: Table) -> Table:
    return np.asarray(np.prod(rectangles[:, 2:] - rectangles[:, :2] + 1, axis=1), np.float64)


def _groups(owners: NDArray[np.int64], pairs: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Pairs in runs of the same owner."""
    if not len(pairs):
        return []
    cuts = np.flatnonzero(np.diff(owners[pairs])) + 1
    return [(int(owners[part[0]]), part) for part in np.split(pairs, cuts)]
