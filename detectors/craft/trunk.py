"""The trunk of CRAFT: VGG16 with BatchNorm up to conv5_2, then a dilated fc6 and fc7 at the same stride (arXiv:1904.01941, figure 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from backbones.frozen import FrozenFeatures
from backbones.types import FeatureSpec, ImageStats, SizeRule

_BLOCKS = ((1, 64, 2), (2, 128, 2), (3, 256, 3), (4, 512, 3), (5, 512, 2))  # number, channels, convolutions of the block that are used
_FC_CHANNELS = 1024
_DILATION = 6


def vgg_layers() -> Iterator[tuple[int, str, nn.Module]]:
    """Layers of VGG16-BN up to the norm of conv5_2: their number in torchvision's ``vgg16_bn().features``, a name, the layer."""
    number, channels = 0, 3
    for block, width, convolutions in _BLOCKS:
        for index in range(1, convolutions + 1):
            name = f"{block}_{index}"
            yield number, f"conv{name}", nn.Conv2d(channels, width, 3, padding=1)
            yield number + 1, f"norm{name}", nn.BatchNorm2d(width)
            if name == "5_2":
                return
            yield number + 2, f"relu{name}", nn.ReLU(inplace=True)
            number, channels = number + 3, width
        yield number, f"pool{block}", nn.MaxPool2d(2, 2)
        number += 1


class VggTrunk(nn.Module):
    """CRAFT's own backbone: conv2_2, conv3_2, conv4_2, conv5_2 and fc7, the last two at stride 16.

    The published code cuts the network behind the norms of these layers, but the ReLU that follows works in place: conv2_2, conv3_2 and
    conv4_2 reach the merge blocks after their ReLU. Behind conv5_2 comes a pooling, so that one keeps its negative values, and so does fc7.

    Attributes:
        frozen_stages: The first so many of ``stages()`` run without building a graph.

    Shapes:
        images: [B, 3, H, W] float32, normalised with ``image_stats``.
        forward: maps of 128, 256, 512, 512 and 1024 channels at strides 2, 4, 8, 16 and 16; sides are rounded down.
    """

    specs: tuple[FeatureSpec, ...] = (FeatureSpec("c1", 128, 2), FeatureSpec("c2", 256, 4), FeatureSpec("c3", 512, 8), FeatureSpec("c4", 512, 16), FeatureSpec("c4b", _FC_CHANNELS, 16))
    image_stats = ImageStats()
    size_rule = SizeRule()

    def __init__(self) -> None:
        super().__init__()
        self.slices = nn.ModuleList(nn.Sequential() for _ in self.specs)
        ends = ("relu2_2", "relu3_2", "relu4_2", "norm5_2")
        current = 0
        for _, name, layer in vgg_layers():
            self.slices[current].add_module(name, layer)
            current += name in ends
        self.slices[current].add_module("pool5", nn.MaxPool2d(3, 1, 1))
        self.slices[current].add_module("fc6", nn.Conv2d(512, _FC_CHANNELS, 3, padding=_DILATION, dilation=_DILATION))
        self.slices[current].add_module("fc7", nn.Conv2d(_FC_CHANNELS, _FC_CHANNELS, 1))
        self.frozen_stages = 0
        init_convolutions(self)

    def stages(self) -> Sequence[nn.Module]:
        """The five parts between the maps, stem first."""
        return list(self.slices)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map normalised images to five maps, finest first."""
        return self._run(images, 0, len(self.slices), self.frozen_stages)

    def is_chain(self) -> bool:
        """It can begin behind any of its stages."""
        return True

    def lead(self, images: Tensor, stages: int) -> FrozenFeatures:
        """Run only the first ``stages`` stages on normalised images [B, 3, H, W]."""
        return FrozenFeatures(tuple(self._run(images, 0, stages, stages)), None, stages, (int(images.shape[-2]), int(images.shape[-1])))

    def follow(self, features: FrozenFeatures) -> list[Tensor]:
        """Run the other stages, and give all maps as for images."""
        return [*features.maps, *self._run(features.maps[-1], features.stages, len(self.slices), self.frozen_stages)]

    def _run(self, value: Tensor, first: int, end: int, frozen_stages: int) -> list[Tensor]:
        maps: list[Tensor] = []
        for index in range(first, end):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= frozen_stages):
                value = self.slices[index](value)
            maps.append(value)
        return maps


def init_convolutions(module: nn.Module) -> None:
    """Start convolutions as the published code does: Xavier uniform weights, no bias."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
