"""Words of pictures as a reader finds them, before pictures are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.data.raw import RawImage

IGNORED_TEXT = "###"


class RawWord(NamedTuple):
    """One word as written: corners [k, 2] (4 of a quad, or more), transcription, whether it is ignored, and its place in the file."""

    points: NDArray[np.float64]
    text: str
    ignore: bool
    annotation_id: str


class RawWords(NamedTuple):
    """The words of one picture, in the order of the file.

    Args:
        quads: [N, 4, 2] corners.
        polygons: N outlines [k, 2], with no points where the quad is all that is known.
        texts: N transcriptions.
        ignore: [N] bool.
        annotation_ids: N places, "gt_img_1.txt#2".
        char_counts: [N] characters that are known of each word.
        char_quads: [sum, 4, 2] in reading order, word by word.
    """

    quads: NDArray[np.float64]
    polygons: tuple[NDArray[np.float64], ...]
    texts: tuple[str, ...]
    ignore: NDArray[np.bool_]
    annotation_ids: tuple[str, ...]
    char_counts: NDArray[np.int64]
    char_quads: NDArray[np.float64]

    @property
    def total(self) -> int:
        """How many words."""
        return len(self.texts)


@dataclass
class RawText:
    """Everything that the annotation files of one split say."""

    images: list[RawImage] = field(default_factory=list)
    words: list[RawWords] = field(default_factory=list)


def words_of(rows: Sequence[RawWord]) -> RawWords:
    """Words without characters."""
    quads = np.zeros((len(rows), 4, 2))
    polygons = []
    for number, row in enumerate(rows):
        curved = len(row.points) != 4
        quads[number] = quad_around(row.points) if curved else row.points
        polygons.append(row.points if curved else np.zeros((0, 2)))
    ignore = np.array([row.ignore for row in rows], np.bool_)
    return RawWords(
        quads, tuple(polygons), tuple(row.text for row in rows), ignore, tuple(row.annotation_id for row in rows), np.zeros(len(rows), np.int64), np.zeros((0, 4, 2))
    )


def quad_around(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest rotated rectangle [4, 2] around an outline [k, 2], clockwise from the corner that belongs to its first point.

    Outlines of the curved sets run along the upper side of the text and back along the lower one, so that the first and the middle
    points say where its corners are.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64)
    if signed_area(corners[None])[0] < 0:
        corners = corners[::-1]
    half = len(points) // 2
    ends = points[[0, half - 1, half, -1]]
    shifts = [np.roll(corners, -shift, axis=0) for shift in range(4)]
    return min(shifts, key=lambda quad: float(((quad - ends) ** 2).sum()))


def signed_area(quads: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] shoelace areas of [N, k, 2]: positive where corners run clockwise on the screen, where y grows downwards."""
    following = np.roll(quads, -1, axis=1)
    return (quads[..., 0] * following[..., 1] - following[..., 0] * quads[..., 1]).sum(1) / 2


def rectangle(x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float64]:
    """[4, 2] corners, clockwise from top-left."""
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
