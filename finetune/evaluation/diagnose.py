"""Sentences that say what an AP of 0 probably means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.overlap import best_overlaps

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit
    from finetune.evaluation.store import Rows


def absent_classes(per_class: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Say which classes have no figure, because the truth holds none of their objects."""
    absent = [name for name, figures in per_class.items() if figures["AP"] is None]
    if len(absent) == len(per_class):
        return ["n/a: the truth holds no objects, so there is nothing to measure"]
    if not absent:
        return []
    shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
    return [f"n/a: no objects of {'class' if len(absent) == 1 else 'classes'} {shown} in the truth; left out of the means"]


def diagnose(split: BoxSplit, rows: Rows, score: float | None, dropped: int = 0, figure: str = "AP") -> list[str]:
    """Explain a score of 0 and detections that had to be left out.

    Args:
        split: The truth.
        rows: The detections, boxes as x, y, width, height.
        score: The primary figure; anything but (nearly) 0 needs no explanation.
        dropped: Detections with a value that is not a number.
        figure: What the primary figure is called.

    Returns:
        Sentences, most likely cause first; empty when all is well.
    """
    notes = [f"{dropped} detections hold values that are not numbers and were left out: the network diverged, or the file is damaged"] if dropped else []
    if score is None or score > 1e-4:
        return notes
    name = f"{figure} is 0" if score == 0 else f"{figure} is only {score:.2g}"
    if not len(rows.image):
        return [*notes, f"{name} because there are no detections at all: lower the score threshold, train longer, or look at the loss curve"]
    causes = [cause for cause in (_images(split, rows), _classes(split, rows), _format(split, rows), _scores(rows)) if cause]
    return [*notes, *(f"{name}: {cause}" for cause in (*causes, _nearest(split, rows)))]


def _owners(split: BoxSplit) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(split)), np.diff(split.offsets))


def _images(split: BoxSplit, rows: Rows) -> str | None:
    found, annotated = set(rows.image.tolist()), set(_owners(split)[~split.ignore].tolist())
    if found & annotated:
        return None
    return f"the detections are on {len(found)} images and the objects on {len(annotated)} others, none in common: are these predictions of another split, or are image ids shifted?"


def _classes(split: BoxSplit, rows: Rows) -> str | None:
    found, annotated = set(rows.labels.tolist()), set(split.labels[~split.ignore].tolist())
    if found & annotated:
        return None
    names = split.class_names
    return f"detected classes ({_list(names, found)}) and classes of the truth ({_list(names, annotated)}) have none in common: are category ids shifted by one?"


def _list(names: tuple[str, ...], labels: set[int]) -> str:
    shown = [names[label] for label in sorted(labels)[:4]]
    return ", ".join(shown) + (", ..." if len(labels) > 4 else "")


def _format(split: BoxSplit, rows: Rows) -> str | None:
    """Boxes that are normalised, or xyxy where x, y, width, height is asked for."""
    boxes = rows.boxes
    if len(split.boxes) and boxes.max() <= 1.5 and split.boxes.max() > 3:
        return f"all box values lie below {boxes.max():.2g}, so boxes look normalised to 0..1: write pixels of the original picture"
    as_corners = boxes.copy()
    as_corners[:, 2:] -= as_corners[:, :2]
    if (as_corners[:, 2:] <= 0).any(axis=1).mean() > 0.05:
        return None
    truth, found = split.original_hw[rows.image][:, ::-1], boxes[:, :2] + boxes[:, 2:]
    outside = ((found > truth * 1.02 + 1).any(axis=1) & (truth > 0).all(axis=1)).mean()
    here, there = np.median(best_overlaps(split, rows.image, boxes)), np.median(best_overlaps(split, rows.image, as_corners))
    if outside > 0.3 or (there > 0.3 and there > here + 0.2):
        return f"boxes look like x1, y1, x2, y2 ({outside:.0%} of them leave the picture when read as x, y, width, height): write bbox as x, y, width, height"
    return None


def _scores(rows: Rows) -> str | None:
    low, high = float(rows.scores.min()), float(rows.scores.max())
    if low < 0 or high > 1:
        return f"scores range from {low:.3g} to {high:.3g}: are they logits or percentages? The ranking counts, but thresholds will not work"
    if low == high and len(rows.scores) > 1:
        return f"all {len(rows.scores)} scores are {low:.3g}: without differences there is no ranking"
    if high < 0.05:
        return f"the highest score is {high:.3g}: the network has hardly learnt anything yet"
    return None


def _nearest(split: BoxSplit, rows: Rows) -> str:
    best = best_overlaps(split, rows.image, rows.boxes)
    top, share = (float(best.max()), float((best >= 0.5).mean())) if len(best) else (0.0, 0.0)
    if share >= 0.25:
        return f"{share:.0%} of the detections overlap an object by IoU 0.5 or more when classes are ignored, the best by {top:.2f}: the boxes are right, so suspect the classes or their order"
    if top >= 0.5:
        return f"only {share:.2%} of the detections overlap an object of any class by IoU 0.5 or more (best {top:.2f}), as chance would: suspect the box format, the image size, or too little training"
    return f"no detection overlaps any object of its image by IoU 0.5, whatever its class (best {top:.2f}): suspect the box format, the image size, or too little training"
