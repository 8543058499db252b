"""Prediction heads of SSD-lite: depthwise everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from backbones.errors import UsageError
from backbones.pyramid import DEFAULT_NORM, NormLayer, conv_norm_act
from backbones.types import FeatureSpec


def _flatten(prediction: Tensor, columns: int) -> Tensor:
    """[B, shapes * columns, H, W] -> [B, H * W * shapes, columns]."""
    return prediction.permute(0, 2, 3, 1).reshape(prediction.shape[0], -1, columns)


class SeparateHead(nn.Module):
    """The reference head: per map a depthwise 3x3 and a 1x1 with bias, for classes and for boxes (arXiv:1801.04381, section 6.2).

    Shapes:
        maps: one [B, spec.channels, H, W] per spec.
        returns: logits [B, A, class_columns] and deltas [B, A, 4], ordered by map, row, column, shape.
    """

    def __init__(self, specs: Sequence[FeatureSpec], per_cell: Sequence[int], class_columns: int, norm: NormLayer = DEFAULT_NORM) -> None:
        super().__init__()
        self.class_columns = class_columns
        self.classify = nn.ModuleList(_predict(s.channels, n * class_columns, norm) for s, n in zip(specs, per_cell, strict=True))
        self.regress = nn.ModuleList(_predict(s.channels, n * 4, norm) for s, n in zip(specs, per_cell, strict=True))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def class_layers(self) -> list[nn.Conv2d]:
        """The layers whose rows are classes, shape-major: row = shape * class_columns + class."""
        return [block[-1] for block in self.classify]  # type: ignore[index]

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and deltas of all maps."""
        logits = [_flatten(block(x), self.class_columns) for block, x in zip(self.classify, maps, strict=True)]
        deltas = [_flatten(block(x), 4) for block, x in zip(self.regress, maps, strict=True)]
        return torch.cat(logits, 1), torch.cat(deltas, 1)


def _predict(channels: int, out: int, norm: NormLayer) -> nn.Sequential:
    return nn.Sequential(conv_norm_act(channels, channels, 3, groups=channels, norm=norm), nn.Conv2d(channels, out, 1))


class _SharedBlock(nn.Module):
    """Depthwise 3x3 and 1x1 shared by all levels, with BatchNorms of each level's own (RTMDet, arXiv:2212.07784).

    Levels differ in their statistics, so BatchNorms in common would differ between training and evaluation.
    """

    def __init__(self, channels: int, levels: int, norm: NormLayer) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norms = nn.ModuleList(nn.ModuleList([norm(channels), norm(channels)]) for _ in range(levels))
        self.act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor, level: int) -> Tensor:
        first, second = cast(nn.ModuleList, self.norms[level])
        x = self.act(first(self.depthwise(x)))
        return self.act(second(self.pointwise(x)))


class SharedHead(nn.Module):
    """One head for maps of one width: ``depth`` depthwise-separable blocks for classes and for boxes, then 1x1 predictions.

    Shapes as in ``SeparateHead``.
    """

    def __init__(self, specs: Sequence[FeatureSpec], per_cell: Sequence[int], class_columns: int, depth: int, norm: NormLayer = DEFAULT_NORM) -> None:
        super().__init__()
        widths = {spec.channels for spec in specs}
        if len(widths) > 1 or len(set(per_cell)) > 1:
            raise UsageError(f"ssdlite.shared_head needs maps of one width and one anchor count, not {sorted(widths)}: set shared_head to false, or pyramid.kind to fpn or pan")
        width = widths.pop()
        self.class_columns = class_columns
        self.classify = nn.ModuleList(_SharedBlock(width, len(specs), norm) for _ in range(depth))
        self.regress = nn.ModuleList(_SharedBlock(width, len(specs), norm) for _ in range(depth))
        self.class_layer = nn.Conv2d(width, per_cell[0] * class_columns, 1)
        self.box_layer = nn.Conv2d(width, per_cell[0] * 4, 1)
        for layer in (self.class_layer, self.box_layer):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def class_layers(self) -> list[nn.Conv2d]:
        """The layers whose rows are classes."""
        return [self.class_layer]

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and deltas of all maps."""
        logits, deltas = [], []
        for level, x in enumerate(maps):
            classes = boxes = x
            for block in self.classify:
                classes = block(classes, level)
            for block in self.regress:
                boxes = block(boxes, level)
            logits.append(_flatten(self.class_layer(classes), self.class_columns))
            deltas.append(_flatten(self.box_layer(boxes), 4))
        return torch.cat(logits, 1), torch.cat(deltas, 1)


def set_prior(head: SeparateHead | SharedHead, probability: float) -> None:
    """Set class biases so that every score begins at ``probability`` (arXiv:1708.02002, section 4.1).

    Without it the first steps drown in background.
    """
    for layer in head.class_layers():
        if layer.bias is not None:
            nn.init.constant_(layer.bias, -math.log((1 - probability) / probability))
