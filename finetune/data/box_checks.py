"""Checks of boxes that need no pixels: quick enough to run before every training. Numpy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.data.assemble import corners_text
from finetune.data.findings import NAMED, Findings, Kind
from finetune.data.kinds import BOX_TINY, BOX_TWICE, BOX_TWO_CLASSES, BOX_WHOLE
from finetune.data.raw import RawImage
from finetune.data.types import BoxSplit

TINY_SIDE = 3.0  # pixels at the input size
_WHOLE_SHARE = 0.98  # of both sides of the picture
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64)


def check_boxes(split: BoxSplit, images: Sequence[RawImage], input_hw: tuple[int, int], resize: str, findings: Findings, *, thorough: bool = False) -> None:
    """Note repeated and tiny boxes, and with ``thorough`` those that cover their picture.

    Args:
        split: Boxes, clipped to their pictures.
        images: Whose boxes they are, in the order of the split.
        input_hw: Height and width of the network input.
        resize: "stretch" or "letterbox".
        findings: Gets what was found; a strict sink gets the first few of a kind and the count.
        thorough: With the checks that are no cause to stop and look.
    """
    findings.split = split.name
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    first, same_class = repeated_boxes(image_of, split.boxes, split.labels)
    real = ~split.ignore  # a crowd may well have the box of an object
    again = (first >= 0) & real & real[first]

    def twice(row: int) -> str:
        return f"{corners_text(split.boxes[row])}, as {split.annotation_ids[first[row]]}"

    def other(row: int) -> str:
        return f"{corners_text(split.boxes[row])} is {split.class_names[split.labels[row]]}, and {split.class_names[split.labels[first[row]]]} as {split.annotation_ids[first[row]]}"

    note_rows(findings, BOX_TWICE, np.flatnonzero(again & same_class), split, images, twice)
    note_rows(findings, BOX_TWO_CLASSES, np.flatnonzero(again & ~same_class), split, images, other)
    sides = (split.boxes[:, 2:] - split.boxes[:, :2]) * input_scales(split.original_hw, input_hw, resize)[image_of]

    def size(row: int) -> str:
        width, height = split.boxes[row, 2:] - split.boxes[row, :2]
        return f"({width:.3g} x {height:.3g} pixels, {sides[row, 0]:.1f} x {sides[row, 1]:.1f} at the input size)"

    note_rows(findings, BOX_TINY, np.flatnonzero((sides < TINY_SIDE).any(1) & real), split, images, size)
    if thorough:
        whole = (split.boxes[:, 2:] - split.boxes[:, :2] >= _WHOLE_SHARE * split.original_hw[image_of][:, ::-1]).all(1)
        note_rows(findings, BOX_WHOLE, np.flatnonzero(whole & real), split, images)


def repeated_boxes(image_of: NDArray[np.int64], boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find boxes that stand in the same image twice.

    Args:
        image_of: [M] image of each box.
        boxes: [M, 4].
        labels: [M].

    Returns:
        [M] the first row with the same image and box, of the same class where there is one, or -1 for boxes that stand for
        themselves; [M] whether that row has the same class.
    """
    plain = _keys(image_of, boxes)
    with_class = plain ^ (labels.astype(np.uint64) + np.uint64(1)) * _MIX[4]
    of_class, of_any = _first_equal(with_class), _first_equal(plain)
    same = of_class != np.arange(len(boxes))
    first = np.where(same, of_class, np.where(of_any != np.arange(len(boxes)), of_any, -1))
    real = (first >= 0) & (image_of[first] == image_of) & (boxes[first] == boxes).all(1)  # no collision of keys
    return np.where(real, first, -1), same & real


def input_scales(original_hw: NDArray[np.int32], input_hw: tuple[int, int], resize: str) -> NDArray[np.float64]:
    """[N, 2] horizontal and vertical factor from picture to input pixels, as ``Preprocess`` has them before it rounds to whole pixels."""
    scales = np.array(input_hw, np.float64)[::-1] / np.maximum(original_hw[:, ::-1], 1)
    return scales if resize == "stretch" else np.repeat(scales.min(1, keepdims=True), 2, axis=1)


def _keys(image_of: NDArray[np.int64], boxes: NDArray[np.float64]) -> NDArray[np.uint64]:
    """[M] a mixed 64-bit key of image and corners; + 0.0 makes one zero of the two that floats have."""
    key = image_of.astype(np.uint64) * _MIX[4]
    for column, factor in zip((boxes + 0.0).T, _MIX, strict=False):
        key = (key ^ (key >> np.uint64(29))) * factor + np.ascontiguousarray(column).view(np.uint64)
    return (key ^ (key >> np.uint64(32))) * _MIX[0]


def _first_equal(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """[M] the lowest row with the same key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)]
    first = np.empty(len(keys), np.int64)
    first[order] = order[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))] if len(keys) else order
    return first


def note_rows(findings: Findings, kind: Kind, rows: NDArray[np.intp], split: BoxSplit, images: Sequence[RawImage], describe: Callable[[int], str] | None = None) -> None:
    """Note rows of a split's boxes; a strict sink gets the first few and the count.

    Args:
        findings: The sink.
        kind: What they are.
        rows: [K] rows.
        split: Whose rows.
        images: Of the split, in its order.
        describe: Row to what stands there; default: the corners and the size of the picture.
    """
    shown = rows if findings.lenient else rows[:NAMED]
    for row, image_row in zip(shown.tolist(), (np.searchsorted(split.offsets, shown, "right") - 1).tolist(), strict=True):
        image, (height, width) = images[image_row], split.original_hw[image_row].tolist()
        x1, y1, x2, y2 = split.boxes[row].tolist()
        value = describe(row) if describe else f"{corners_text(split.boxes[row])} in {width}x{height}"
        findings.add(kind, image.annotation_file, split.annotation_ids[row], value, image=image.path, box=(x1, y1, x2, y2))
    if not findings.lenient:
        findings.count_more(kind, len(rows) - NAMED)
