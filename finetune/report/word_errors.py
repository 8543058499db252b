"""Why words are not found: missed, split, merged, or found with a poor outline; and detections on nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation import word_fates
from finetune.evaluation.word_fates import HIT, PART, TOUCH, WORD_KINDS, Pairs, word_kinds
from finetune.report.overlaps import best_per_found, overlapping_pairs
from finetune.report.saved import Found, Truth

MEANINGS = {**word_fates.MEANINGS, "background": f"detections on no word (IoU below {TOUCH}, and not inside one)"}


@dataclass(frozen=True, eq=False)
class WordErrors:
    """``word`` [M] is an index into ``WORD_KINDS``, -1 for ignored words; ``background`` [D] detections on nothing; ``right`` [D] matched; ``neutral`` [D] don't-care."""

    word: NDArray[np.int64]
    background: NDArray[np.bool_]
    right: NDArray[np.bool_]
    neutral: NDArray[np.bool_]


def find_word_errors(truth: Truth, found: Found) -> WordErrors:
    """Give every word that counts one kind, in the order found, merged, split, low IoU, missed.

    A word is found when a free detection overlaps it by an IoU of more than 0.5 (words in the order of the files, as ICDAR's scripts do). Detections more than half
    of whose area lies in an ignored word are left out.
    """
    pairs = overlapping_pairs(truth, found)
    count, words = len(found.shapes), len(truth.shapes)
    on_ignored = pairs.take(truth.ignore[pairs.truth])
    neutral = best_per_found(on_ignored.of_found, on_ignored.found, count) > PART
    pairs = pairs.take(~truth.ignore[pairs.truth] & ~neutral[pairs.found])
    partner = _match(pairs, words)
    right = np.zeros(count, np.bool_)
    right[partner[partner >= 0]] = True
    kind = word_kinds(pairs, partner, truth.ignore, count)
    nowhere = (best_per_found(pairs.iou, pairs.found, count) < TOUCH) & (best_per_found(pairs.of_found, pairs.found, count) <= PART)
    return WordErrors(kind, nowhere & ~right & ~neutral, right, neutral)


def count_word_errors(errors: WordErrors) -> dict[str, int]:
    """How many words are found, and not by kind; and the detections on nothing, and the others that are not right."""
    counts = {name: int((errors.word == number).sum()) for number, name in enumerate(WORD_KINDS)}
    return counts | {"background": int(errors.background.sum()), "detections": int((~errors.neutral).sum())}


def _match(pairs: Pairs, words: int) -> NDArray[np.int64]:
    """[M] the detection of each word, -1 for none: words one after the other take the first free one. Only pairs beyond IoU 0.5 are gone through."""
    partner = np.full(words, -1, np.int64)
    good = np.flatnonzero(pairs.iou > HIT)
    good = good[np.lexsort((pairs.found[good], pairs.truth[good]))]
    taken: set[int] = set()
    for word, detection in zip(pairs.truth[good].tolist(), pairs.found[good].tolist(), strict=True):
        if partner[word] < 0 and detection not in taken:
            partner[word] = detection
            taken.add(detection)
    return partner
