"""Training samples made of several pictures: mosaic, mixup and copy-paste, all with boxes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.data.geometry import GeometryLimits, random_placement, visible
from finetune.data.preprocess import Affine, Preprocess, map_boxes

_CENTRE = (0.3, 0.7)  # where the four pictures of a mosaic meet, as a share of the input
_CELL_ZOOM = (1.0, 2.0)  # objects of a mosaic are half to wholly as large as in the plain input
_BLEND = 8.0  # both parameters of the Beta distribution of mixup: near a half
_MOST_PASTED = 3
_LARGEST_OVERLAP = 0.3  # of a pasted box, or of a box below it


class Piece(NamedTuple):
    """A picture with its boxes: image [H, W, C] uint8; boxes [N, 4] xyxy in pixels of it; labels [N] i64; ignore [N] bool."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]


@dataclass(frozen=True)
class Mixing:
    """How often samples are mixed.

    Args:
        mosaic: Share of samples made of four pictures (YOLOv4, arXiv:2004.10934).
        mixup: Share of samples blended with a second one, boxes of both kept (arXiv:1902.04103).
        copy_paste: Share of samples into which boxes of a second one are pasted (arXiv:2012.07177, with boxes for masks).
        epochs: Only in so many first epochs, so that training ends on pictures as they are; None is always.
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    epochs: int | None = None

    def is_on(self, epoch: int) -> bool:
        """Whether anything is mixed in an epoch (from 0)."""
        return max(self.mosaic, self.mixup, self.copy_paste) > 0 and (self.epochs is None or epoch < self.epochs)


def build_mosaic(rng: np.random.Generator, pieces: list[Piece], preprocess: Preprocess, limits: GeometryLimits) -> tuple[Piece, Affine]:
    """Draw four pictures into the corners of one input.

    Args:
        rng: Source of every choice.
        pieces: Four pictures.
        preprocess: The input.
        limits: Mirroring and least visibility; zoom is the mosaic's own.

    Returns:
        The input with all boxes in its pixels, and the affine of the first picture.
    """
    height, width = preprocess.input_hw
    cy, cx = (round(side * rng.uniform(*_CENTRE)) for side in (height, width))
    cells = [(0, 0, cx, cy), (cx, 0, width, cy), (0, cy, cx, height), (cx, cy, width, height)]
    canvas = np.empty((height, width, preprocess.channels), np.uint8)
    parts, first = [], None
    inside = GeometryLimits(_CELL_ZOOM, 1.0, 1.0, 0.0, limits.flip, limits.min_visibility)
    for piece, (x1, y1, x2, y2) in zip(pieces, cells, strict=True):
        cell = Preprocess((y2 - y1, x2 - x1), "letterbox", preprocess.channels)
        placement = random_placement(rng, inside, cell, (piece.image.shape[0], piece.image.shape[1]), piece.boxes[~piece.ignore])
        canvas[y1:y2, x1:x2] = cell.place(piece.image, placement)
        a, b, tx, c, d, ty = placement.affine(cell.input_hw)
        first = first or (a, b, tx + x1, c, d, ty + y1)
        moved, kept = visible(map_boxes(piece.boxes, placement.affine(cell.input_hw)), cell.input_hw, inside.min_visibility, piece.ignore)
        parts.append((moved[kept] + (x1, y1, x1, y1), piece.labels[kept], piece.ignore[kept]))
    boxes, labels, ignore = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Piece(canvas, boxes, labels, ignore), first  # type: ignore[return-value]


def mix_up(rng: np.random.Generator, first: Piece, second: Piece) -> Piece:
    """Blend two inputs of one size; the boxes of both stay."""
    share = rng.beta(_BLEND, _BLEND)
    blended = np.rint(first.image * share + second.image * (1 - share)).astype(np.uint8)
    return Piece(blended, *(np.concatenate(pair) for pair in zip(first[1:], second[1:], strict=True)))


def paste_objects(rng: np.random.Generator, base: Piece, source: Piece) -> Piece:
    """Paste up to three boxes of one input into another at random places where they hide little; ignored boxes are not pasted."""
    height, width = base.image.shape[:2]
    image, boxes = base.image.copy(), base.boxes
    pasted = []
    candidates = np.flatnonzero(~source.ignore)
    for row in rng.permutation(candidates)[:_MOST_PASTED]:
        x1, y1, x2, y2 = (int(value) for value in np.rint(source.boxes[row]))
        w, h = x2 - x1, y2 - y1
        if not (2 <= w <= width // 2 and 2 <= h <= height // 2):
            continue
        left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        place = np.array([left, top, left + w, top + h], np.float64)
        if _hidden(place, boxes).max(initial=0.0) > _LARGEST_OVERLAP:
            continue
        image[top : top + h, left : left + w] = source.image[y1:y2, x1:x2]
        boxes = np.concatenate([boxes, place[None]])
        pasted.append(row)
    return Piece(image, boxes, np.concatenate([base.labels, source.labels[pasted]]), np.concatenate([base.ignore, source.ignore[pasted]]))


def _hidden(place: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] the larger share that ``place`` [4] and each box [N, 4] hide of one another."""
    sides = np.minimum(boxes[:, 2:], place[2:]) - np.maximum(boxes[:, :2], place[:2])
    shared = np.maximum(sides, 0).prod(1)
    smaller = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(1), (place[2:] - place[:2]).prod())
    return shared / np.maximum(smaller, 1e-9)
