"""Pictures of a split, resized or augmented, one at a time."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detectors.types import BoxTarget, ImageMeta
from finetune.data.images import read_image
from finetune.data.packed import PackedStrings
from finetune.data.preprocess import Affine, Preprocess, map_boxes, to_tensor
from finetune.data.types import BoxSplit


class SampleKey(NamedTuple):
    """What a sampler asks for: with these three and the seed, an augmented sample is always the same, whichever worker makes it."""

    epoch: int
    rank: int
    image: int


class DetectionDataset(Dataset[tuple[Tensor, BoxTarget, ImageMeta]]):
    """Samples of a split: (uint8 image [C, H, W], BoxTarget in input pixels, ImageMeta).

    Args:
        split: Pictures and boxes.
        preprocess: How a picture becomes an input.
        augment: "none", "light", "medium" or "strong".
        seed: With epoch, rank and index it decides every random choice.
    """

    def __init__(self, split: BoxSplit, preprocess: Preprocess, augment: str = "none", seed: int = 0) -> None:
        self.split = split
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = 0
        self._paths = PackedStrings([str(path) for path in split.paths])
        self._image_ids = PackedStrings([json.dumps(image_id) for image_id in split.image_ids])
        self._transform = None
        if augment != "none":
            from finetune.data.transforms import build_transform

            self._transform = build_transform(augment, preprocess)

    def __len__(self) -> int:
        return len(self.split)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of plain integer indices; samplers that give SampleKeys say it themselves."""
        self.epoch = epoch

    def __getitem__(self, key: int | SampleKey) -> tuple[Tensor, BoxTarget, ImageMeta]:
        epoch, rank, index = key if isinstance(key, tuple) else (self.epoch, 0, key)
        split, rows = self.split, self.split.rows(index)
        height, width = split.original_hw[index].tolist()
        image = read_image(self._paths[index], self.preprocess.channels, (height, width), self._shrink((height, width)))
        shrink = height // image.shape[0]
        boxes, labels, ignore = split.boxes[rows], split.labels[rows], split.crowd[rows] | split.difficult[rows]
        if self._transform is None:
            tensor, affine = self.preprocess.apply(image)
            boxes = map_boxes(boxes, affine)
        else:
            drawn, boxes, kept, (a, b, tx, c, d, ty) = self._transform(image, boxes / shrink, ignore, (self.seed, epoch, rank, index))
            affine = (a / shrink, b, tx, c, d / shrink, ty)
            tensor, labels, ignore = to_tensor(drawn), labels[kept], ignore[kept]
        target = BoxTarget(torch.from_numpy(boxes.astype(np.float32)), torch.from_numpy(labels.copy()), torch.from_numpy(ignore.copy()))
        return tensor, target, self._meta(index, (height, width), affine)

    def _shrink(self, picture_hw: tuple[int, int]) -> int:
        """How far a large photograph may be shrunk while it is decoded: for augmented samples only, and to no less than twice the input."""
        if self._transform is None:
            return 1
        ratio = min(side / target for side, target in zip(picture_hw, self.preprocess.input_hw, strict=True))
        return 4 if ratio >= 8 else 2 if ratio >= 4 else 1

    def _meta(self, index: int, original_hw: tuple[int, int], affine: Affine) -> ImageMeta:
        return ImageMeta(json.loads(self._image_ids[index]), self._paths[index], original_hw, self.preprocess.input_hw, affine)
