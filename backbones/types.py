"""The contract between a backbone and everything built on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from backbones.errors import UsageError


@dataclass(frozen=True)
class FeatureSpec:
    """One feature map: its name (c1..c5 from a backbone, p1..p9 from a pyramid), channels, and stride in input pixels."""

    name: str
    channels: int
    stride: int


@dataclass(frozen=True)
class SizeRule:
    """Which input sizes (height, width, in pixels) a backbone takes: any, multiples of a number, or one fixed size."""

    multiple: int = 1
    fixed: tuple[int, int] | None = None

    def check(self, input_hw: tuple[int, int], name: str) -> None:
        """Raise UsageError when a backbone called ``name`` cannot take an input of ``input_hw``."""
        if self.fixed is not None and tuple(input_hw) != self.fixed:
            raise UsageError(f"{name} takes only inputs of {self.fixed[0]}x{self.fixed[1]}, not {input_hw[0]}x{input_hw[1]}: set data.input_size to [{self.fixed[0]}, {self.fixed[1]}]")
        if any(side % self.multiple for side in input_hw):
            nearest = [max(1, round(side / self.multiple)) * self.multiple for side in input_hw]
            raise UsageError(f"{name} takes only input sides that are multiples of {self.multiple}, not {input_hw[0]}x{input_hw[1]}: set data.input_size to {nearest}")


@dataclass(frozen=True)
class ImageStats:
    """Mean and standard deviation that belong to a set of weights: one value per channel (RGB), for images in 0..1."""

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def normalize(self, images: Tensor) -> Tensor:
        """Return float32 images with these statistics taken out.

        Args:
            images: [B, C, H, W], uint8 in 0..255 or floating point in 0..1.

        Returns:
            [B, C, H, W] float32, memory format kept.
        """
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        mean = torch.tensor(self.mean, device=images.device).mul_(scale).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).mul_(scale).view(1, -1, 1, 1)
        return (images.to(torch.float32) - mean) / std


@runtime_checkable
class Backbone(Protocol):
    """A network that turns images into feature maps, finest first.

    Shapes:
        images: [B, C, H, W] float32, normalised with ``image_stats``.
        forward: one [B, spec.channels, ceil(H / spec.stride), ceil(W / spec.stride)] map per spec (NCHW);
        a rounding difference of one cell is allowed, so users read sizes from the maps.
    """

    specs: tuple[FeatureSpec, ...]
    image_stats: ImageStats
    size_rule: SizeRule

    def stages(self) -> Sequence[nn.Module]:
        """The pretrained parts in order, stem first; together they hold every pretrained parameter and buffer exactly once."""
        ...

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Map images to feature maps."""
        ...
