"""Why detections are wrong and objects are not found: the kinds of TIDE (Bolya et al., ECCV 2020), with what each kind costs in AP50."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from finetune.report.average_precision import class_aps
from finetune.report.matching import Matches, match_classes
from finetune.report.overlaps import ClassPairs, best_per_found
from finetune.report.saved import Found, Truth

HIT, TOUCH = 0.5, 0.1  # IoU of a right box, and below which a box is background
KINDS = ("classification", "localisation", "both", "duplicate", "background")
MEANINGS = {
    "classification": f"on an object (IoU {HIT} or more), but with another class",
    "localisation": f"right class, but the box fits badly (IoU {TOUCH} to {HIT})",
    "both": "wrong class and a box that fits badly",
    "duplicate": "on an object that a better-scored box has found already",
    "background": f"on nothing (IoU below {TOUCH} with every object)",
    "missed": "objects that no box found, nor nearly found",
}


@dataclass(frozen=True, eq=False)
class BoxErrors:
    """The error of every detection, and of every object.

    ``kind`` [D] is an index into ``KINDS``, -1 for right or ignored detections; ``target`` [D] the object that a classification or localisation error
    means, -1 for others. ``right`` [D] and ``neutral`` [D] as matched at IoU 0.5; ``missed`` [M] objects without a right detection and without an
    error that means them; ``partner`` [D] the object of right detections.
    """

    kind: NDArray[np.int64]
    target: NDArray[np.int64]
    right: NDArray[np.bool_]
    neutral: NDArray[np.bool_]
    missed: NDArray[np.bool_]
    partner: NDArray[np.int64]


def find_box_errors(truth: Truth, found: Found, matches: Matches | None = None) -> BoxErrors:
    """Give every wrong detection one kind, in TIDE's order: localisation, classification, duplicate, background, and both.

    Args:
        truth: Objects; ignored ones make no errors.
        found: Detections.
        matches: Matches whose first threshold is IoU 0.5, where they are known.
    """
    matches = matches or match_classes(truth, found, np.array([HIT]))
    partner, neutral = matches.partner[0], matches.neutral[0]
    right = partner >= 0
    count = len(found.shapes)
    pairs = matches.pairs.take(~truth.ignore[matches.pairs.truth])
    same, other = pairs.take(pairs.same_class), pairs.take(~pairs.same_class)
    (of_same, same_object), (of_other, other_object) = _best(same, count), _best(other, count)
    wrong = ~right & ~neutral
    kind = np.full(count, KINDS.index("both"))
    kind[np.maximum(of_same, of_other) < TOUCH] = KINDS.index("background")
    kind[of_same >= HIT] = KINDS.index("duplicate")
    is_classification = (of_other >= HIT) & (of_same < HIT)
    kind[is_classification] = KINDS.index("classification")
    is_localisation = (of_same >= TOUCH) & (of_same < HIT)
    kind[is_localisation] = KINDS.index("localisation")
    kind[~wrong] = -1
    target = np.where(is_localisation, same_object, np.where(is_classification, other_object, -1))
    target[~wrong] = -1
    reached = np.zeros(len(truth.shapes), np.bool_)
    reached[partner[right]] = True
    reached[target[target >= 0]] = True
    return BoxErrors(kind, target, right, neutral, ~reached & ~truth.ignore, partner)


def _best(pairs: ClassPairs, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """[D] highest IoU with any object of these pairs, and [D] that object (-1 without any)."""
    best = best_per_found(pairs.iou, pairs.found, count)
    index = np.full(count, -1, np.int64)
    top = pairs.iou == best[pairs.found]
    index[pairs.found[top]] = pairs.truth[top]
    return best, index


def ap_lost(truth: Truth, found: Found, errors: BoxErrors) -> dict[str, float]:
    """AP50 as it is ("AP50"), and how much each kind of error takes away: the AP50 that mending only that kind would add.

    A mended detection is right where its object is still free, else it goes; duplicates, background and "both" go; missed objects are no longer asked for.
    """
    plain = _ap50(truth, found.shapes.label, found, errors.right, errors.neutral, truth.ignore)
    lost = {"AP50": plain}
    for number, name in enumerate(KINDS):
        chosen = errors.kind == number
        right, label = errors.right.copy(), found.shapes.label.copy()
        mended = _first_of_target(errors, chosen, found.scores)
        right[mended] = True
        label[mended] = truth.shapes.label[errors.target[mended]] if len(mended) else label[mended]
        gone = errors.neutral | chosen
        gone[mended] = False
        lost[name] = _ap50(truth, label, found, right, gone, truth.ignore) - plain
    lost["missed"] = _ap50(truth, found.shapes.label, found, errors.right, errors.neutral, truth.ignore | errors.missed) - plain
    return lost


def _first_of_target(errors: BoxErrors, chosen: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of the chosen errors that mean an object nobody has found, the best-scored one per object."""
    taken = np.zeros(len(errors.missed), np.bool_)
    taken[errors.partner[errors.right]] = True
    rows = np.flatnonzero(chosen & (errors.target >= 0))
    rows = rows[~taken[errors.target[rows]]]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return rows[np.unique(errors.target[rows], return_index=True)[1]]


def _ap50(truth: Truth, label: NDArray[np.int64], found: Found, right: NDArray[np.bool_], neutral: NDArray[np.bool_], ignore: NDArray[np.bool_]) -> float:
    objects = np.bincount(truth.shapes.label[~ignore], minlength=len(truth.class_names))[:, None]
    group = np.zeros(len(label), np.int64)
    per_class = class_aps(found.scores, label, group, right[None], neutral[None], objects, np.ones((1, 1)))
    return float(np.nanmean(per_class)) if np.isfinite(per_class).any() else 0.0


def working_score(errors: BoxErrors, scores: NDArray[np.float64], objects: int) -> float:
    """The score above which F1 over all classes is best: where a user would put the threshold. 1 without any right detection."""
    counted = ~errors.neutral
    order = np.argsort(-scores[counted], kind="stable")
    ordered, right = scores[counted][order], np.cumsum(errors.right[counted][order])
    if not len(right) or not right[-1]:
        return 1.0
    measure = 2 * right / (np.arange(1, len(right) + 1) + objects)
    last_of_equal = np.append(ordered[1:] != ordered[:-1], True)
    return float(ordered[np.where(last_of_equal, measure, 0.0).argmax()])


def count_errors(truth: Truth, found: Found, errors: BoxErrors, least: float) -> dict[str, int]:
    """How many detections with a score of ``least`` or more are right, and wrong by kind; and the objects missed among those."""
    kept = found.scores >= least
    counts = {"right": int((errors.right & kept).sum())}
    counts |= {name: int(((errors.kind == number) & kept).sum()) for number, name in enumerate(KINDS)}
    reached = np.zeros(len(truth.shapes), np.bool_)
    for rows in (errors.partner[errors.right & kept], errors.target[kept & (errors.target >= 0)]):
        reached[rows] = True
    return counts | {"missed": int((~reached & ~truth.ignore).sum())}
