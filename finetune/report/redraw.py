"""What each run would have scored on other pictures of the same kind: the pictures of the split are drawn again and again, the same for all runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.report.average_precision import Rule, area_rule, coco_rule, eleven_point_rule, mean_ap
from finetune.report.matching import THRESHOLDS, Matches
from finetune.report.saved import Found, Truth
from finetune.report.word_errors import WordErrors

Values = NDArray[np.float64]
DRAWS = 500
_MOST_GROUPS = 200  # of pictures; drawing whole groups of many pictures gives the same spread and costs less
_RULES: dict[str, Rule] = {"coco": coco_rule, "voc2007-11pt": eleven_point_rule, "voc2012-area": area_rule}


def draw_weights(pictures: int, seed: int = 0) -> tuple[NDArray[np.int64], Values]:
    """The group [N] of each picture, and how often each group counts in each draw [1 + B, G]; row 0 is the split as it is."""
    rng = np.random.default_rng(seed)
    groups = min(pictures, _MOST_GROUPS)
    if not groups:
        return np.zeros(0, np.int64), np.ones((1 + DRAWS, 0))
    group = rng.permutation(pictures) % groups
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), DRAWS).astype(np.float64)
    return group, np.concatenate([np.ones((1, groups)), drawn])


def box_scores(truth: Truth, found: Found, matches: Matches, protocol: str, primary: str, group: NDArray[np.int64], weights: Values) -> Values:
    """[1 + B] mean AP by the rule of a protocol, boxes matched as COCO does; AP over all thresholds, the others at IoU 0.5."""
    levels = len(THRESHOLDS) if protocol == "coco" and primary == "AP" else 1
    counted = ~truth.ignore
    objects = np.zeros((len(truth.class_names), weights.shape[1]), np.int64)
    np.add.at(objects, (truth.shapes.label[counted], group[truth.shapes.image[counted]]), 1)
    shapes = found.shapes
    return mean_ap(found.scores, shapes.label, group[shapes.image], matches.partner[:levels] >= 0, matches.neutral[:levels], objects, weights, _RULES.get(protocol, coco_rule))


def word_scores(truth: Truth, found: Found, errors: WordErrors, primary: str, group: NDArray[np.int64], weights: Values) -> Values:
    """[1 + B] Hmean (or precision, or recall) over all pictures."""
    groups = weights.shape[1]
    right, counted, objects = (
        weights @ np.bincount(group[image], minlength=groups).astype(float)
        for image in (found.shapes.image[errors.right], found.shapes.image[~errors.neutral], truth.shapes.image[~truth.ignore])
    )
    whole = {"precision": 2 * counted, "recall": 2 * objects}.get(primary, counted + objects)
    return np.divide(2 * right, whole, out=np.zeros(len(weights)), where=whole > 0)
