"""The batch that takes most memory: every picture with as many boxes as any training sample can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detectors.types import Batch, BoxTarget, ImageMeta
from finetune.config import DataConfig
from finetune.data.dataset import DetectionDataset
from finetune.data.preprocess import Preprocess
from finetune.data.types import BoxSplit

_PICTURES_OF_A_MOSAIC = 4
_PASTED = 3  # boxes that copy-paste adds at most


@dataclass(frozen=True, eq=False)
class WorstCase:
    """One sample that stands for every picture of a batch.

    Args:
        image: [C, H, W] uint8, the training picture with most boxes.
        target: Its boxes, repeated until there are as many as augmentation can bring together.
        meta: Where it comes from.
        boxes_of_picture: Boxes of the picture itself.
    """

    image: Tensor
    target: BoxTarget
    meta: ImageMeta
    boxes_of_picture: int

    @property
    def boxes(self) -> int:
        """Boxes of every picture of a batch."""
        return len(self.target.boxes)

    def batch(self, size: int) -> Batch:
        """So many pictures, all of them the worst."""
        return Batch(self.image.expand(size, *self.image.shape).contiguous(), [self.target] * size, [self.meta] * size)


def worst_case(split: BoxSplit, data: DataConfig) -> WorstCase:
    """The crowded sample of a training split.

    Args:
        split: Training split.
        data: Input size, and what is mixed.
    """
    counts = np.diff(split.offsets)
    index = int(counts.argmax())
    preprocess = Preprocess((data.input_size[0], data.input_size[1]), data.resize, data.channels)
    image, target, meta = DetectionDataset(split, preprocess)[index]
    own = len(target.boxes)
    rows = torch.arange(most_boxes(own, data)) % max(1, own)
    repeated = BoxTarget(target.boxes[rows], target.labels[rows], target.ignore[rows]) if own else target
    return WorstCase(image, repeated, meta, own)


def most_boxes(of_a_picture: int, data: DataConfig) -> int:
    """Boxes of the fullest sample that augmentation can make of pictures with at most ``of_a_picture`` boxes."""
    pictures = (_PICTURES_OF_A_MOSAIC if data.mosaic else 1) + (1 if data.mixup else 0)
    return of_a_picture * pictures + (_PASTED if data.copy_paste and of_a_picture else 0)
