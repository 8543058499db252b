"""Sentences that say what an Hmean of 0 probably means."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.outlines import Outlines
from finetune.evaluation.polygon_area import areas, intersections

if TYPE_CHECKING:
    from finetune.data.types import TextSplit
    from finetune.evaluation.text_evaluator import TextMatches
    from finetune.evaluation.text_store import TextRows

_SCALES = (0.25, 1 / 3, 0.5, 2 / 3, 1.5, 2.0, 3.0, 4.0)
_ENOUGH = 2000  # detections that are looked at
_SOME = 0.3  # share of detections, or of words, that makes a cause
_HOLDS = 0.7  # share of one shape inside another that lies in it
_NEAR = 0.3  # IoU from which a detection misses its word by little


def diagnose_text(split: TextSplit, rows: TextRows, matches: TextMatches, hmean: float, dropped: int = 0) -> list[str]:
    """Explain an Hmean of 0, and detections that had to be left out.

    Args:
        split: The truth.
        rows: The detected words that were matched.
        matches: What came of it.
        hmean: The figure; anything but 0 needs no explanation.
        dropped: Detections with a coordinate that is not a number.

    Returns:
        Sentences, most likely cause first; empty when all is well.
    """
    notes = [f"{dropped} detections hold coordinates that are not numbers and were left out: the network diverged, or the file is damaged"] if dropped else []
    cared = ~matches.truth_ignored
    if not cared.any():
        what = f"all {len(cared)} words of the truth are to be ignored (###)" if len(cared) else "the truth holds no words"
        return [*notes, f"{what}, so there is nothing to find: Hmean says nothing here"]
    if hmean > 0:
        return notes
    if not len(rows.image):
        return [*notes, "Hmean is 0 because there are no detections at all: lower the thresholds, train longer, or look at the predicted maps"]
    if matches.found_ignored.all():
        return [*notes, f"Hmean is 0 because all {len(rows.image)} detections lie in words that are to be ignored (###)"]
    return [*notes, f"Hmean is 0: {_images(split, rows, matches) or _place(split, rows, matches)}"]


def _images(split: TextSplit, rows: TextRows, matches: TextMatches) -> str | None:
    owners = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    found, annotated = set(rows.image[~matches.found_ignored].tolist()), set(owners[~matches.truth_ignored].tolist())
    if found & annotated:
        return None
    return f"the detections are on {len(found)} images and the words on {len(annotated)} others, none in common: are these results of other images, or are file names shifted?"


def _place(split: TextSplit, rows: TextRows, matches: TextMatches) -> str:
    """Whether another scale, swapped coordinates or a shift would bring detections onto words."""
    part = np.flatnonzero(~matches.found_ignored)[:_ENOUGH]
    image, corners = rows.image[part], rows.outlines.take(part).padded()
    best = _best_overlaps(split, image, corners)
    hits = float((best > 0.5).mean())
    if len(split.quads) and np.abs(corners).max() <= 1.5 and split.quads.max() > 3:
        return "all coordinates lie below 1.5, so they look normalised to 0..1: write pixels of the original picture"
    if hits > 0.2:
        return f"{hits:.0%} of the detections overlap a word by IoU > 0.5, as quads, yet this protocol matches none: it may ask for another shape (whole words, upright rectangles)"
    trials = {f"multiplied by {scale:.3g}, so the scale is wrong (map or input pixels instead of pixels of the original picture?)": corners * scale for scale in _SCALES}
    trials["with x and y swapped: write x before y"] = corners[..., ::-1]
    offset = _shift(split, image, corners)
    if offset is not None:
        trials[f"shifted by {offset[0]:+.0f}, {offset[1]:+.0f} pixels: suspect padding or a crop that was not undone"] = corners + offset
    for words, moved in trials.items():
        share = float((_best_overlaps(split, image, moved) > 0.5).mean())
        if share > max(0.2, 3 * hits):
            return f"{share:.0%} of the detections would overlap a word by IoU > 0.5 if their coordinates were {words}"
    if near := _near_misses(split, image, corners):
        return near
    return f"no detection overlaps a word of its image by IoU > 0.5 (best {best.max():.2f}): suspect coordinates of another size, or too little training"


def _shift(split: TextSplit, image: NDArray[np.int64], corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The way from detections to words of their image that most pairs share, within some pixels."""
    from finetune.evaluation.text_evaluator import pair_up

    truths, found = pair_up(split.offsets, image)
    truths, found = truths[~split.ignore[truths]], found[~split.ignore[truths]]
    if not len(truths):
        return None
    ways = split.quads.mean(axis=1)[truths] - corners.mean(axis=1)[found]
    _, group, votes = np.unique(np.rint(ways / 8), axis=0, return_inverse=True, return_counts=True)
    if votes.max() < 2:  # a single pair can always be moved together
        return None
    return np.rint(np.median(ways[group.reshape(-1) == votes.argmax()], axis=0))


def _best_overlaps(split: TextSplit, image: NDArray[np.int64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest IoU of each detection with a word of its image."""
    pairs = _pairs(split, image, corners)
    best = np.zeros(len(image))
    np.maximum.at(best, pairs.found, pairs.iou)
    return best


def _near_misses(split: TextSplit, image: NDArray[np.int64], corners: NDArray[np.float64]) -> str | None:
    """Whether detections hold several words, several lie in one word, or many miss their word by little, and what would help."""
    pairs = _pairs(split, image, corners)
    counts = ~split.ignore[pairs.truths]
    truths, found, iou = pairs.truths[counts], pairs.found[counts], pairs.iou[counts]
    common, words, shapes = pairs.common[counts], areas(np.trunc(split.quads)), areas(np.trunc(corners))
    held = np.bincount(found[common > _HOLDS * words[truths]], minlength=len(image)) > 1
    within = np.bincount(truths[common > _HOLDS * shapes[found]], minlength=len(words)) > 1
    if held.mean() > _SOME:
        return f"{int(held.sum())} of {len(image)} detections hold several words each: words run into one another; raise the link threshold, or train longer"
    if within.sum() > _SOME * max(1, int((~split.ignore).sum())):
        return f"{int(within.sum())} words are cut into several detections each: lower the link threshold, or train longer"
    near = (iou > _NEAR) & (iou <= 0.5)
    if len(np.unique(found[near])) <= _SOME * len(image):
        return None
    ratio = float(np.median(shapes[found[near]] / np.maximum(words[truths[near]], 1)))
    remedy = "lower low text gives larger quads" if ratio < 0.75 else "higher low text gives smaller quads" if ratio > 1.33 else "train longer, or look whether corners are exact"
    return (
        f"{len(np.unique(found[near]))} of {len(image)} detections overlap a word by IoU {_NEAR:g} to 0.5 (best {iou.max():.2f}), a match takes more than 0.5; "
        f"they are {ratio:.2f} times as large as their words: {remedy}"
    )


class _Pairs(NamedTuple):
    """Words and detections of one image whose rectangles meet: row in the split, row of the detection, IoU and common area of both."""

    truths: NDArray[np.int64]
    found: NDArray[np.int64]
    iou: NDArray[np.float64]
    common: NDArray[np.float64]


def _pairs(split: TextSplit, image: NDArray[np.int64], corners: NDArray[np.float64]) -> _Pairs:
    from finetune.evaluation.text_evaluator import pair_up

    truths, found = pair_up(split.offsets, image)
    quads, shapes = np.trunc(split.quads), np.trunc(corners)
    words, bounds = Outlines.of_quads(quads).bounds(), np.concatenate([shapes.min(axis=1), shapes.max(axis=1)], axis=1)
    near = (np.minimum(words[truths, 2:], bounds[found, 2:]) > np.maximum(words[truths, :2], bounds[found, :2])).all(axis=1)
    truths, found = truths[near], found[near]
    width = max(4, shapes.shape[1])
    padded = np.concatenate([quads, np.repeat(quads[:, -1:], width - 4, axis=1)], axis=1)
    common = intersections(padded[truths], np.concatenate([shapes, np.repeat(shapes[:, -1:], width - shapes.shape[1], axis=1)], axis=1)[found])
    union = areas(quads)[truths] + areas(shapes)[found] - common
    return _Pairs(truths, found, np.where(union > 0, common / np.where(union > 0, union, 1), 0), common)
