"""Box coding of SSD and Faster R-CNN: offsets of a box from its anchor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LARGEST_LOG_SCALE = math.log(1000.0 / 16)


@dataclass(frozen=True)
class BoxCoder:
    """Deltas (dx, dy, dw, dh): centre shift in anchor sides and log of the size ratio, each times its weight (arXiv:1311.2524, appendix C).

    Boxes and anchors are [..., 4] xyxy in pixels and broadcast; deltas are [..., 4].
    """

    weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Deltas that ``decode`` turns back into ``boxes``; neither boxes nor anchors may be empty."""
        weights = torch.tensor(self.weights, device=boxes.device)
        anchor_sides = anchors[..., 2:] - anchors[..., :2]
        sides = boxes[..., 2:] - boxes[..., :2]
        shift = (boxes[..., :2] + 0.5 * sides - anchors[..., :2] - 0.5 * anchor_sides) / anchor_sides
        return torch.cat([shift, torch.log(sides / anchor_sides)], dim=-1) * weights

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """Boxes of deltas; the log of the size ratio is clamped at log(1000 / 16)."""
        deltas = deltas / torch.tensor(self.weights, device=deltas.device)
        anchor_sides = anchors[..., 2:] - anchors[..., :2]
        centre = anchors[..., :2] + 0.5 * anchor_sides + deltas[..., :2] * anchor_sides
        half = 0.5 * anchor_sides * torch.exp(deltas[..., 2:].clamp(max=_LARGEST_LOG_SCALE))
        return torch.cat([centre - half, centre + half], dim=-1)
