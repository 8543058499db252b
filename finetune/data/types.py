"""A split of box annotations in memory: flat arrays, so that workers share pages instead of copying Python objects."""

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
