"""The upper half of CRAFT-lite: slim merge blocks from any backbone's maps up to stride 2, and a slim head.

What was decided, and why. Merging is a sum where CRAFT concatenates: a 1x1 convolution over two maps side by side is the sum of one over
each, and the one over the coarser map runs before the upsampling, at a quarter of the cost, for it commutes with it. Widths fall with the
stride, as most cells lie at stride 2. 3x3 convolutions are plain by default: with few channels they are fast on CPUs, and a depthwise one
saves parameters where there are few anyway. Outputs are linear, as in CRAFT: the squared error against soft maps keeps its gradient
everywhere (a sigmoid loses it at both ends), and maps of a CRAFT teacher are linear too. The last layer starts small and without bias, so
training begins with maps near 0, which is right for almost all cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from backbones.errors import UsageError
from backbones.pyramid import DEFAULT_NORM, Neck, NormLayer, conv3x3
from backbones.types import FeatureSpec

_FINEST = 1  # level of the maps: stride 2
_DEPTHWISE_FROM = 5  # stride 32: many channels and few cells
_MOST_EXTRA = 3
_LAST_STD = 0.01


class SlimMerge(Neck):
    """Merge blocks from the coarsest level down to stride 2, wired by stride.

    Args:
        specs: Of the backbone; of maps with the same stride the last counts. A level without a map gets only what comes from above.
        widths: Channels at strides 2, 4, 8, ...; coarser levels take the last number.
        depthwise: Depthwise-separable 3x3 convolutions also below stride 32; from there up they always are.
        extra_levels: Levels above the backbone's coarsest map, for a wider view.
        norm: Factory of the BatchNorm layers.

    Shapes:
        maps: as the backbone gives them.
        forward: one [B, widths[0], h, w] map at stride 2.
    """

    def __init__(self, specs: Sequence[FeatureSpec], widths: Sequence[int], depthwise: bool = False, extra_levels: int = 0, norm: NormLayer = DEFAULT_NORM) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise UsageError(f"craftlite.widths {list(widths)}: a positive number of channels for each stride from 2 on is wanted")
        if not 0 <= extra_levels <= _MOST_EXTRA:
            raise UsageError(f"craftlite.extra_levels is {extra_levels}; 0 to {_MOST_EXTRA} are allowed")
        self.source = {max(_FINEST, round(math.log2(spec.stride))): index for index, spec in enumerate(specs)}
        coarsest = max(self.source)
        self.levels = list(range(coarsest + extra_levels, _FINEST - 1, -1))
        width = {level: widths[min(level, len(widths)) - 1] for level in self.levels}
        below = width | {coarsest: specs[self.source[coarsest]].channels}  # the way up begins at the backbone's own map
        self.lateral = nn.ModuleDict({str(level): nn.Conv2d(specs[index].channels, width[level], 1, bias=False) for level, index in self.source.items()})
        self.climb = nn.ModuleDict({str(level): conv3x3(below[level - 1], width[level], 2, True, norm) for level in range(coarsest + 1, coarsest + 1 + extra_levels)})
        self.lower = nn.ModuleDict({str(level): nn.Conv2d(width[level + 1], width[level], 1, bias=False) for level in self.levels[1:]})
        self.merge = nn.ModuleDict({str(level): _after_sum(width[level], depthwise or level >= _DEPTHWISE_FROM, norm) for level in self.levels})
        self.specs = (FeatureSpec(f"p{_FINEST}", width[_FINEST], 2**_FINEST),)

    def read_maps(self) -> tuple[int, ...]:
        """The deepest map of each level."""
        return tuple(self.source.values())

    def forward(self, maps: list[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        """Merge from the coarsest level to stride 2."""
        sides = {level: self.lateral[str(level)](maps[index]) for level, index in self.source.items()}
        climbed = maps[self.source[max(self.source)]]
        for name, climb in self.climb.items():
            climbed = sides[int(name)] = climb(climbed)
        value: Tensor | None = None
        for level in self.levels:
            side = sides.get(level)
            if value is not None:
                size = side.shape[-2:] if side is not None else [math.ceil(pixels / 2**level) for pixels in input_hw]
                raised = F.interpolate(self.lower[str(level)](value), size=size, mode="bilinear", align_corners=False)
                side = raised if side is None else side + raised
            value = self.merge[str(level)](side)
        return [value] if value is not None else []


def _after_sum(channels: int, depthwise: bool, norm: NormLayer) -> nn.Sequential:
    return nn.Sequential(norm(channels), nn.ReLU6(inplace=True), conv3x3(channels, channels, 1, depthwise, norm))


def lite_head(channels: int, width: int, depthwise: bool = False, norm: NormLayer = DEFAULT_NORM) -> nn.Sequential:
    """[B, channels, h, w] -> [B, 2, h, w], region and affinity, linear and at first near 0."""
    last = nn.Conv2d(width, 2, 1)
    nn.init.normal_(last.weight, std=_LAST_STD)
    nn.init.zeros_(cast(Tensor, last.bias))
    return nn.Sequential(conv3x3(channels, width, 1, depthwise, norm), last)
