"""Samples to a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detectors.types import Batch, BoxTarget, ImageMeta


def collate(samples: Sequence[tuple[Tensor, BoxTarget, ImageMeta]]) -> Batch:
    """Stack uint8 images [C, H, W] to [B, C, H, W]; targets and metas stay lists, one per image."""
    images, targets, metas = zip(*samples, strict=True)
    return Batch(torch.stack(images), list(targets), list(metas))
