"""A pyramid for networks whose blocks all work on one grid, such as plain ViTs.

Four evenly spaced blocks give the maps, the shallowest the finest, resized without new parameters to strides 4, 8, 16 and 32
(the taps of DPT, the strides of ViTDet's simple feature pyramid). So every parameter of such a backbone is a pretrained one, and
whatever must be learned to use the maps is learned by the feature pyramid on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

STRIDES = (4, 8, 16, 32)


def spaced_blocks(count: int) -> tuple[int, ...]:
    """Indices of four evenly spaced blocks out of ``count``, the last one included."""
    return tuple(max(0, math.ceil(count * quarter / 4) - 1) for quarter in (1, 2, 3, 4))


def is_one_grid(strides: Sequence[int]) -> bool:
    """Whether the maps of a network differ too little in stride to be a pyramid."""
    return max(strides) < 2 * min(strides)


class OneGridBody(nn.Module):
    """Resizes the maps of one network to strides 4, 8, 16 and 32.

    Args:
        network: Maps images to four maps [B, C, h, w] of one grid.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, frozen_stages: int = 0) -> list[Tensor]:
        """Map images [B, C, H, W] to four maps, finest first."""
        height, width = images.shape[-2:]
        maps = list(self.network(images))
        maps = (maps * len(STRIDES))[: len(STRIDES)] if len(maps) == 1 else maps
        return [_resize(m, (math.ceil(height / s), math.ceil(width / s))) for m, s in zip(maps, STRIDES, strict=True)]


def _resize(grid: Tensor, size: tuple[int, int]) -> Tensor:
    if grid.shape[-2] > size[0] or grid.shape[-1] > size[1]:
        return functional.adaptive_avg_pool2d(grid, size)
    return functional.interpolate(grid, size, mode="bilinear", align_corners=False)
