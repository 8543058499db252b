"""Samples to a batch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from detectors.types import Batch, ImageMeta, Target
from finetune.data.text_preprocess import stack_padded


def collate(samples: Sequence[tuple[Tensor, Target, ImageMeta]]) -> Batch:
    """Stack uint8 images [C, H, W] to [B, C, H, W]; targets and metas stay lists, one per image.

    Whole pictures of scene text differ in size: black is added at the right and at the bottom.
    """
    images, targets, metas = zip(*samples, strict=True)
    return Batch(stack_padded(images), list(targets), list(metas))
