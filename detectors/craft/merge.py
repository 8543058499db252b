"""The upper half of CRAFT as published: merge blocks up to stride 2, and the head that gives the two maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.pyramid import Neck
from backbones.types import FeatureSpec
from detectors.craft.trunk import init_convolutions

_WIDTHS = ((512, 256), (256, 128), (128, 64), (64, 32))  # of the 1x1 and the 3x3 convolution of each block, coarsest first


class CraftMerge(Neck):
    """The U-shaped merge of the paper: concatenate, 1x1, 3x3, bilinear upsampling to the next finer map.

    Args:
        specs: Of the trunk: three maps at different strides, then two at the coarsest.

    Shapes:
        maps: as ``VggTrunk`` gives them.
        forward: one [B, 32, h, w] map at stride 2.
    """

    def __init__(self, specs: Sequence[FeatureSpec]) -> None:
        super().__init__()
        blocks: list[nn.Sequential] = []
        channels = specs[-1].channels
        for spec, (inner, width) in zip(reversed(specs[:-1]), _WIDTHS, strict=True):
            blocks.append(_block(channels + spec.channels, inner, width))
            channels = width
        self.blocks = nn.ModuleList(blocks)
        self.specs = (FeatureSpec("p1", channels, specs[0].stride),)
        init_convolutions(self)

    def forward(self, maps: list[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        """Merge from the coarsest map to the finest."""
        value = maps[-1]
        for block, finer in zip(self.blocks, reversed(maps[:-1]), strict=True):
            if value.shape[-2:] != finer.shape[-2:]:
                value = F.interpolate(value, size=finer.shape[-2:], mode="bilinear", align_corners=False)
            value = block(torch.cat([value, finer], dim=1))
        return [value]


def _block(channels: int, inner: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, inner, 1),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def craft_head(channels: int) -> nn.Sequential:
    """The published head: [B, channels, h, w] -> [B, 2, h, w], region and affinity, linear."""
    head = nn.Sequential(
        nn.Conv2d(channels, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 16, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 2, 1),
    )
    init_convolutions(head)
    return head
