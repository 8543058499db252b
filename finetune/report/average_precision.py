"""Average precision under many weightings of the pictures at once: what the score would have been on other pictures of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rule = Callable[[Values, Values], Values]


def coco_rule(recall: Values, precision: Values) -> Values:
    """Mean precision at recalls 0, 0.01, ... 1, rows [B, P] (COCO)."""
    return _at_grid(recall, precision, 100)


def eleven_point_rule(recall: Values, precision: Values) -> Values:
    """Mean precision at recalls 0, 0.1, ... 1, rows [B, P] (VOC 2007)."""
    return _at_grid(recall, precision, 10)


def area_rule(recall: Values, precision: Values) -> Values:
    """Area under the falling precision, rows [B, P] (VOC 2010 and later)."""
    return (np.diff(recall, axis=1, prepend=0.0) * precision).sum(axis=1)


def _at_grid(recall: Values, precision: Values, steps: int) -> Values:
    """Each point of the grid takes the precision of the first right detection that reaches it."""
    reached = np.floor(recall * steps + 1e-9) + 1
    return (np.diff(reached, axis=1, prepend=0.0) * precision).sum(axis=1) / (steps + 1)


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of one class, best score first: group of pictures [D], right [D]; and the objects per group [G]."""

    group: NDArray[np.int64]
    right: NDArray[np.bool_]
    objects: NDArray[np.int64]


def weighted_ap(rows: Detections, weights: Values, rule: Rule = coco_rule) -> Values:
    """AP [B] of one class where group g of pictures counts ``weights[b, g]`` times; NaN where nothing is left to find.

    Only the wrong detections before each right one matter, so that a product with their running counts per group does all weightings at once.
    """
    found = np.flatnonzero(rows.right)
    total = weights @ rows.objects
    if not len(found):
        return np.where(total > 0, 0.0, np.nan)
    groups = len(rows.objects)
    segment = np.searchsorted(found, np.flatnonzero(~rows.right))  # each wrong detection counts from the next right one on
    wrong_groups = rows.group[~rows.right]
    before = segment < len(found)
    wrong = np.zeros((groups, len(found)))
    np.add.at(wrong, (wrong_groups[before], segment[before]), 1.0)
    weight = weights[:, rows.group[found]]
    true = np.cumsum(weight, axis=1)
    false = weights @ np.cumsum(wrong, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(true > 0, true / (true + false), 0.0)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = np.where(total[:, None] > 0, true / total[:, None], 0.0)
    return np.where(total > 0, rule(recall, envelope), np.nan)


def mean_ap(scores: Values, labels: Counts, groups: Counts, right: Flags, neutral: Flags, objects: Counts, weights: Values, rule: Rule = coco_rule) -> Values:
    """Mean [B] over classes and thresholds, classes without objects left out; NaN where there is none.

    Args:
        scores: [D].
        labels: [D].
        groups: [D] group of pictures of each detection.
        right: [T, D] matched with an object of its class.
        neutral: [T, D] counts neither way.
        objects: [C, G] objects that count, per class and group.
        weights: [B, G].
        rule: From recall and falling precision to AP.
    """
    per_class = class_aps(scores, labels, groups, right, neutral, objects, weights, rule)
    known = np.isfinite(per_class)
    sums, counts = np.where(known, per_class, 0.0).sum(axis=(0, 1)), known.sum(axis=(0, 1))
    return np.divide(sums, counts, out=np.full(len(weights), np.nan), where=counts > 0)


def class_aps(scores: Values, labels: Counts, groups: Counts, right: Flags, neutral: Flags, objects: Counts, weights: Values, rule: Rule = coco_rule) -> Values:
    """AP [C, T, B] of every class at every threshold; arguments as of ``mean_ap``."""
    found = np.full((len(objects), len(right), len(weights)), np.nan)
    order = np.argsort(-scores, kind="stable")
    ordered = labels[order]
    for label in range(len(objects)):
        mine = order[ordered == label]
        for level in range(len(right)):
            kept = mine[~neutral[level, mine]]
            found[label, level] = weighted_ap(Detections(groups[kept], right[level, kept], objects[label]), weights, rule)
    return found
