"""The batch that takes most memory: every picture with as many boxes, or words, as any training sample can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from detectors.types import Batch, BoxTarget, ImageMeta, TextTarget
from finetune.config import DataConfig
from finetune.data.dataset import DetectionDataset
from finetune.data.preprocess import Preprocess
from finetune.data.text.dataset import TextDataset
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import BoxSplit, TextSplit

_PICTURES_OF_A_MOSAIC = 4
_PASTED = 3  # boxes that copy-paste adds at most


@dataclass(frozen=True, eq=False)
class WorstCase:
    """One sample that stands for every picture of a batch.

    Args:
        image: [C, H, W] uint8, the training picture with most boxes or words.
        target: Its boxes, repeated until there are as many as augmentation can bring together; or its words, as if a crop held all of them.
        meta: Where it comes from.
        boxes_of_picture: Boxes or words of the picture itself.
    """

    image: Tensor
    target: BoxTarget | TextTarget
    meta: ImageMeta
    boxes_of_picture: int

    @property
    def boxes(self) -> int:
        """Boxes or words of every picture of a batch."""
        return len(self.target.quads if isinstance(self.target, TextTarget) else self.target.boxes)

    def batch(self, size: int) -> Batch:
        """So many pictures, all of them the worst."""
        return Batch(self.image.expand(size, *self.image.shape).contiguous(), [self.target] * size, [self.meta] * size)


def worst_case(split: BoxSplit | TextSplit, data: DataConfig) -> WorstCase:
    """The crowded sample of a training split.

    Args:
        split: Training split.
        data: Input size, and what is mixed.
    """
    counts = np.diff(split.offsets)
    index = int(counts.argmax())
    if isinstance(split, TextSplit):
        return _crowded_crop(split, index, data)
    preprocess = Preprocess((data.input_size[0], data.input_size[1]), data.resize, data.channels)
    image, target, meta = DetectionDataset(split, preprocess)[index]
    own = len(target.boxes)
    rows = torch.arange(most_boxes(own, data)) % max(1, own)
    repeated = BoxTarget(target.boxes[rows], target.labels[rows], target.ignore[rows]) if own else target
    return WorstCase(image, repeated, meta, own)


def _crowded_crop(split: TextSplit, index: int, data: DataConfig) -> WorstCase:
    """The picture drawn into a training crop as a whole, so that all its words are in it."""
    crop_hw = data.input_size[0], data.input_size[1]
    whole, target, meta = TextDataset(split, TextPreprocess(canvas=max(32, min(crop_hw)), mag_ratio=100.0, channels=data.channels))[index]
    image = torch.zeros(data.channels, *crop_hw, dtype=torch.uint8)
    height, width = min(crop_hw[0], whole.shape[1]), min(crop_hw[1], whole.shape[2])
    image[:, :height, :width] = whole[:, :height, :width]
    return WorstCase(image, target, meta, len(target.quads))


def most_boxes(of_a_picture: int, data: DataConfig) -> int:
    """Boxes of the fullest sample that augmentation can make of pictures with at most ``of_a_picture`` boxes."""
    pictures = (_PICTURES_OF_A_MOSAIC if data.mosaic else 1) + (1 if data.mixup else 0)
    return of_a_picture * pictures + (_PASTED if data.copy_paste and of_a_picture else 0)
