"""What became of each word of the truth: found, split, merged, badly outlined, missed. One rule for `finetune evaluate` and the report."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

HIT, TOUCH = 0.5, 0.1
PART = 0.5  # share of a word, or of a detection, from which one lies in the other
FOUND = 0
WORD_KINDS = ("found", "split", "merged", "low IoU", "missed")
MEANINGS = {
    "split": "two or more detections lie in the word and cover half of it together",
    "merged": "a detection covers half of the word, and of another word too",
    "low IoU": f"the best detection overlaps the word by IoU {TOUCH} to {HIT}",
    "missed": "nothing overlaps the word by more",
}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of an object of the truth and a detection that touch.

    ``truth`` [P] and ``found`` [P] are rows; ``iou`` [P], ``of_truth`` [P] and ``of_found`` [P] the common area as a share of the union, of the
    object and of the detection.
    """

    truth: NDArray[np.int64]
    found: NDArray[np.int64]
    iou: NDArray[np.float64]
    of_truth: NDArray[np.float64]
    of_found: NDArray[np.float64]

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """The pairs that an index or mask array chooses."""
        return type(self)(*(getattr(self, field.name)[which] for field in fields(self)))


def shares(common: NDArray[np.float64], truth: NDArray[np.float64], found: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """IoU, share of the object and share of the detection, of pairs with these areas; 0 where there is nothing to divide by; a bow tie may cover more than its area."""
    union = truth + found - common
    iou, of_truth, of_found = (np.clip(np.divide(common, whole, out=np.zeros_like(common), where=whole > 0), 0, 1) for whole in (union, truth, found))
    return iou, of_truth, of_found


def word_kinds(pairs: Pairs, partner: NDArray[np.int64], ignored: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """[M] an index into ``WORD_KINDS`` for each word of the truth, -1 for ignored ones. Of several that fit it is found, then merged, split, low IoU, missed.

    Args:
        pairs: Of words and detections that count.
        partner: [M] the detection that a word is matched with, -1 for none.
        ignored: [M] words that count neither way.
        count: Number of detections.
    """
    words = len(partner)
    right = np.zeros(count, np.bool_)
    right[partner[partner >= 0]] = True
    best = np.zeros(words)
    np.maximum.at(best, pairs.truth, pairs.iou)
    kind = np.full(words, WORD_KINDS.index("missed"))
    kind[best >= TOUCH] = WORD_KINDS.index("low IoU")
    kind[_is_split(pairs, words, right)] = WORD_KINDS.index("split")
    kind[_is_merged(pairs, words, count)] = WORD_KINDS.index("merged")
    kind[partner >= 0] = FOUND
    kind[ignored] = -1
    return kind


def _is_split(pairs: Pairs, words: int, right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = pairs.take((pairs.of_found > PART) & ~right[pairs.found])
    return (np.bincount(inside.truth, minlength=words) >= 2) & (np.bincount(inside.truth, inside.of_truth, words) > PART)


def _is_merged(pairs: Pairs, words: int, count: int) -> NDArray[np.bool_]:
    covering = pairs.take(pairs.of_truth > PART)
    several = np.bincount(covering.found, minlength=count) >= 2
    merged = np.zeros(words, np.bool_)
    merged[covering.truth[several[covering.found]]] = True
    return merged
