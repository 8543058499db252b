"""Anchors of SSD-lite, laid over whatever map sizes the network really gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from backbones.errors import UsageError

AnchorKind = Literal["ssd", "ssd-a3", "square"]

_SCALE_RANGE = (0.2, 0.95)  # of the input side, as in SSD-lite (arXiv:1801.04381) and torchvision
_SQUARE_SIDE = 5.0  # in strides


def _ssd_sides(levels: int, three_on_first: bool) -> list[list[tuple[float, float]]]:
    """Width and height of each anchor as a share of the input, per level (SSD, arXiv:1512.02325; at most 1)."""
    low, high = _SCALE_RANGE
    scales = [low + (high - low) * k / max(1, levels - 1) for k in range(levels)] + [1.0]
    sides = []
    for scale, following in pairwise(scales):
        between = math.sqrt(scale * following)
        pairs = [(scale, scale), (between, between)]
        for ratio in (2, 3):
            pairs += [(scale * math.sqrt(ratio), scale / math.sqrt(ratio)), (scale / math.sqrt(ratio), scale * math.sqrt(ratio))]
        sides.append([(min(w, 1.0), min(h, 1.0)) for w, h in pairs])
    if three_on_first:  # the published recipe of the TensorFlow detection models: a small square and two ratios
        sides[0] = [(low / 2, low / 2), *sides[0][2:4]]
    return sides


class AnchorGenerator:
    """Anchors for the maps of a pyramid.

    Args:
        kind: "ssd" (six per cell, sized as shares of the input), "ssd-a3" (three on the first map) or "square" (one per cell,
            a square of five strides: the matcher, not the shape, decides what it learns).
        levels: Number of maps.
    """

    def __init__(self, kind: AnchorKind, levels: int) -> None:
        if kind not in ("ssd", "ssd-a3", "square"):
            raise UsageError(f"ssdlite.anchors is {kind!r}; allowed are ssd, ssd-a3 and square")
        self.kind = kind
        self._sides = None if kind == "square" else _ssd_sides(levels, kind == "ssd-a3")
        self.per_cell = [1] * levels if self._sides is None else [len(pairs) for pairs in self._sides]
        self._cache: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    def __call__(self, map_sizes: Sequence[tuple[int, int]], input_hw: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """Lay the anchors.

        Args:
            map_sizes: Height and width of each map in cells.
            input_hw: Height and width of the network input in pixels.
            device: Where the result lives.

        Returns:
            Anchors [A, 4] f32 xyxy in input pixels, ordered by level, row, column, shape; and their level [A] i64.
        """
        key = (tuple(map_sizes), input_hw, device)
        if key not in self._cache:
            if len(self._cache) > 16:  # multi-scale inputs: keep memory bounded
                self._cache.clear()
            laid = [self._level(level, size, input_hw) for level, size in enumerate(map_sizes)]
            levels = torch.cat([torch.full((len(anchors),), level) for level, anchors in enumerate(laid)])
            self._cache[key] = (torch.cat(laid).to(device), levels.to(device))
        return self._cache[key]

    def _level(self, level: int, size: tuple[int, int], input_hw: tuple[int, int]) -> Tensor:
        frame = torch.tensor([input_hw[1], input_hw[0]], dtype=torch.float32)
        rows, columns = ((torch.arange(0, n) + 0.5) / n for n in size)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        if self._sides is None:
            stride = max(input_hw[0] / size[0], input_hw[1] / size[1])
            sides = torch.tensor([[_SQUARE_SIDE * stride, _SQUARE_SIDE * stride]]) / frame
        else:
            sides = torch.tensor(self._sides[level])
        centres = torch.stack([x, y], dim=-1).view(-1, 1, 2).expand(-1, len(sides), 2)
        half = 0.5 * sides.expand(len(centres), -1, -1)
        return torch.cat([(centres - half) * frame, (centres + half) * frame], dim=-1).view(-1, 4)
