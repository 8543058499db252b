"""CRAFT and CRAFT-lite: a pyramid to stride 2, a head that gives two maps, and the loss and decoding that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from backbones.frozen import FrozenFeatures
from backbones.pyramid import FeaturePyramid
from backbones.types import Backbone, ImageStats
from detectors.craft.decode import DecodeSettings, decode_maps
from detectors.types import TextDetections, TextTarget

TextLoss = Callable[[Tensor, Sequence[TextTarget]], Mapping[str, Tensor]]


class CraftOutputs(NamedTuple):
    """Raw outputs: maps [B, 2, h, w], the region map (where characters are) and the affinity map (where they join), about 0..1, at stride 2."""

    maps: Tensor


class Craft(nn.Module):
    """A text detector by character regions and their affinity (CRAFT, arXiv:1904.01941).

    Args:
        pyramid: Its finest map, at stride 2, is what the head reads.
        head: [B, C, h, w] -> [B, 2, h, w].
        loss: Scores maps against targets.
        decoding: Thresholds of the decoding.
    """

    def __init__(self, pyramid: FeaturePyramid, head: nn.Module, loss: TextLoss, decoding: DecodeSettings) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.head = head
        self.criterion = loss
        self.decoding = decoding
        self.image_stats: ImageStats = pyramid.image_stats

    @property
    def backbone(self) -> Backbone:
        """The network below, CRAFT's own trunk or any other."""
        return self.pyramid.backbone

    def new_modules(self) -> Sequence[nn.Module]:
        """Merge blocks and head."""
        return [*self.pyramid.new_modules(), self.head]

    def forward(self, images: Tensor | FrozenFeatures) -> CraftOutputs:
        """Map normalised images [B, C, H, W], or what frozen stages gave for them, to raw outputs."""
        return CraftOutputs(self.head(self.pyramid(images)[0]))

    def loss(self, outputs: CraftOutputs, targets: Sequence[TextTarget]) -> Mapping[str, Tensor]:
        """Named losses of raw outputs against one target per image."""
        return self.criterion(outputs.maps.float(), targets)

    def decode(self, outputs: CraftOutputs, input_hw: tuple[int, int]) -> list[TextDetections]:
        """Words per image in input pixels, score descending."""
        return decode_maps(outputs.maps, self.decoding)
