"""Splits of annotations in memory: flat arrays, so that workers share pages instead of copying Python objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class BoxSplit:
    """Annotated images of one split; image i owns rows ``offsets[i]:offsets[i + 1]`` of the per-box arrays.

    Boxes are xyxy in pixel-edge coordinates of the original picture (0-based, half-open: a box that covers the first pixel
    is 0, 0, 1, 1), already clipped to the picture, none degenerate. Labels index ``class_names``.
    """

    name: str
    class_names: tuple[str, ...]
    image_ids: tuple[int | str, ...]
    paths: tuple[Path, ...]
    original_hw: NDArray[np.int32]  # [N, 2]
    offsets: NDArray[np.int64]  # [N + 1]
    boxes: NDArray[np.float64]  # [M, 4]
    labels: NDArray[np.int64]  # [M]
    crowd: NDArray[np.bool_]  # [M] COCO iscrowd
    difficult: NDArray[np.bool_]  # [M] VOC difficult
    areas: NDArray[np.float64]  # [M] COCO "area" (of the mask) where given, else of the box
    annotation_ids: tuple[int | str, ...]  # [M] COCO annotation id, or "file.xml#2"
    category_ids: tuple[int, ...]  # [C] the ids to write in COCO results, per class
    one_based: bool = False  # VOC files counted pixels from 1: devkit coordinates are boxes + (1, 1, 0, 0)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def ignore(self) -> NDArray[np.bool_]:
        """[M] boxes that neither count as truth nor as background."""
        return self.crowd | self.difficult

    def rows(self, index: int) -> slice:
        """The slice of the per-box arrays that belongs to image ``index``."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))


@dataclass(frozen=True, eq=False)
class TextSplit:
    """Annotated images of scene text; image i owns rows ``offsets[i]:offsets[i + 1]`` of the per-word arrays.

    Quads are the corners as written in the annotation file, in pixels of the original picture, clockwise from the top-left corner of the
    text where the file keeps that rule. Words of curved sets also have a polygon, of which the quad is the smallest rotated rectangle.
    """

    name: str
    image_ids: tuple[str, ...]  # with the folder where there are several: "train_images/img_1"
    paths: tuple[Path, ...]
    original_hw: NDArray[np.int32]  # [N, 2]
    offsets: NDArray[np.int64]  # [N + 1]
    quads: NDArray[np.float64]  # [M, 4, 2]
    ignore: NDArray[np.bool_]  # [M] "###" and its like
    texts: tuple[str, ...]  # [M] transcriptions, "" where unknown
    annotation_ids: tuple[str, ...]  # [M] "gt_img_1.txt#2"
    polygon_offsets: NDArray[np.int64]  # [M + 1] into polygon_points; a word without an own polygon has no points
    polygon_points: NDArray[np.float64]  # [P, 2]
    char_offsets: NDArray[np.int64]  # [M + 1] into char_quads; a word whose characters are unknown has none
    char_quads: NDArray[np.float64]  # [K, 4, 2] in reading order
    class_names: tuple[str, ...] = ("text",)
    category_ids: tuple[int, ...] = (1,)

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: int) -> slice:
        """The slice of the per-word arrays that belongs to image ``index``."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))
