"""Which detections are right, as COCO matches them: best score first, each takes the free object of its class that it overlaps most."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from finetune.report.overlaps import ClassPairs, overlapping_pairs
from finetune.report.saved import Found, Truth

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST_PER_CLASS = 100  # detections of one class in one picture that count


@dataclass(frozen=True, eq=False)
class Matches:
    """What was matched at T thresholds.

    ``partner`` [T, D] is the object of each detection, -1 for none; ``neutral`` [T, D] are detections on ignored objects, or beyond the
    most that count; ``pairs`` are those of all touching boxes.
    """

    partner: NDArray[np.int64]
    neutral: NDArray[np.bool_]
    pairs: ClassPairs


def match_classes(truth: Truth, found: Found, thresholds: NDArray[np.float64] = THRESHOLDS) -> Matches:
    """Match detections with objects of their class.

    Detections are worked off rank by rank: the best of each class in each picture first, all pictures at once.
    """
    pairs = overlapping_pairs(truth, found)
    count = len(found.shapes)
    group = found.shapes.image * max(1, len(truth.class_names)) + found.shapes.label
    neutral = np.repeat((_rank_in_group(group, found.scores) >= MOST_PER_CLASS)[None], len(thresholds), axis=0)
    partner = np.full((len(thresholds), count), -1, np.int64)
    overlap = np.where(truth.ignore[pairs.truth], pairs.of_found, pairs.iou)
    useful = np.flatnonzero(pairs.same_class & (overlap >= min(thresholds, default=1.0)) & ~neutral[0, pairs.found])
    # best first within a detection: objects that count before ignored ones, then by overlap, of equals the later one
    order = np.lexsort((-pairs.truth[useful], -overlap[useful], truth.ignore[pairs.truth[useful]], pairs.found[useful]))
    useful = useful[order]
    owners = np.unique(pairs.found[useful])
    rank = np.full(count, -1, np.int64)
    rank[owners] = _rank_in_group(group[owners], found.scores[owners])
    rounds = rank[pairs.found[useful]]
    order = np.argsort(rounds, kind="stable")
    useful, cuts = useful[order], np.searchsorted(rounds[order], np.arange(rounds.max(initial=-1) + 2))
    taken = np.zeros((len(thresholds), len(truth.shapes)), np.bool_)
    for start, stop in pairwise(cuts.tolist()):
        part = useful[start:stop]
        detections, objects = pairs.found[part], pairs.truth[part]
        free = (overlap[part] >= thresholds[:, None]) & (~taken[:, objects] | truth.ignore[objects])
        begins = np.flatnonzero(np.diff(detections, prepend=-1))
        place = np.where(free, np.arange(len(part)), len(part))
        first = np.minimum.reduceat(place, begins, axis=1)  # [T, detections of this round]
        level, column = np.nonzero(first < len(part))
        chosen = objects[first[level, column]]
        partner[level, detections[begins[column]]] = chosen
        taken[level, chosen] = True
    matched = partner >= 0
    neutral |= matched & np.append(truth.ignore, False)[partner]
    partner[neutral] = -1
    return Matches(partner, neutral, pairs)


def _rank_in_group(group: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """[D] place of each row among those of its group, best score first, from 0."""
    order = np.lexsort((-scores, group))
    ordered = group[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    rank = np.zeros(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))
    return rank
