"""Small truths and detections in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.evaluation.outlines import Outlines
from finetune.report.saved import Found, SavedPicture, Shapes, Truth

Row = tuple[int, int, Sequence[float]]  # picture, label, x1 y1 x2 y2


def make_shapes(rows: Sequence[Row], words: bool = False) -> Shapes:
    image, label = (np.array([row[column] for row in rows], np.int64) for column in (0, 1))
    boxes = np.array([row[2] for row in rows], float).reshape(-1, 4)
    x1, y1, x2, y2 = boxes.T
    quads = np.stack([np.stack([x1, y1], 1), np.stack([x2, y1], 1), np.stack([x2, y2], 1), np.stack([x1, y2], 1)], 1)
    return Shapes(image, label, boxes, Outlines.of_quads(quads) if words else None)


def make_truth(rows: Sequence[Row], classes: int = 2, pictures: int = 1, ignore: Sequence[int] = (), words: bool = False) -> Truth:
    hidden = np.zeros(len(rows), np.bool_)
    hidden[list(ignore)] = True
    listed = tuple(SavedPicture(str(i), f"{i}.jpg", 100, 100, None) for i in range(pictures))
    names = ("text",) if words else tuple("abcdef"[:classes])
    return Truth("words" if words else "boxes", "test", names, listed, make_shapes(rows, words), hidden)


def make_found(rows: Sequence[tuple[int, int, Sequence[float], float]], words: bool = False) -> Found:
    """Rows with a score at the end, put in the order of saved detections."""
    rows = sorted(rows, key=lambda row: (row[0], -row[3]))
    return Found(make_shapes([row[:3] for row in rows], words), np.array([row[3] for row in rows], float))
