"""The feature pyramid adapter: a backbone over a backbone, wired by stride."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from backbones.errors import UsageError
from backbones.frozen import FrozenFeatures, follow, input_size, lead
from backbones.types import Backbone, FeatureSpec, ImageStats, SizeRule

PyramidKind = Literal["ssd", "fpn", "pan"]
NormLayer = partial[nn.BatchNorm2d]
DEFAULT_NORM: NormLayer = partial(nn.BatchNorm2d)

_SSD_EXTRA_CHANNELS = (512, 256, 256, 128)  # MobileNetV2 paper and its public code; further maps repeat the last one
_SSD_FINEST_STRIDE = 16


def conv_norm_act(inp: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, norm: NormLayer = DEFAULT_NORM) -> nn.Sequential:
    """Convolution (no bias), BatchNorm, ReLU6; odd kernels keep the size at stride 1."""
    return nn.Sequential(nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False), norm(out), nn.ReLU6(inplace=True))


def conv3x3(inp: int, out: int, stride: int = 1, depthwise: bool = True, norm: NormLayer = DEFAULT_NORM) -> nn.Sequential:
    """A 3x3 convolution block, plain or depthwise-separable."""
    if not depthwise:
        return conv_norm_act(inp, out, 3, stride, norm=norm)
    return nn.Sequential(conv_norm_act(inp, inp, 3, stride, groups=inp, norm=norm), conv_norm_act(inp, out, norm=norm))


class Neck(nn.Module):
    """The own layers of a pyramid: the maps of a backbone, finest first, and the (height, width) of its input -> one map per spec, finest first."""

    specs: tuple[FeatureSpec, ...]

    def read_maps(self) -> tuple[int, ...] | None:
        """Indices of the backbone maps that are read; None is all of them."""
        return None

    def forward(self, maps: list[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        """Build the maps of the pyramid."""
        raise NotImplementedError


class _ExtraMaps(Neck):
    """Raw backbone maps from stride 16 up, then extra maps down to one cell (SSD-lite)."""

    def __init__(self, specs: Sequence[FeatureSpec], input_size: tuple[int, int], norm: NormLayer) -> None:
        super().__init__()
        wanted = [i for i, spec in enumerate(specs) if spec.stride >= _SSD_FINEST_STRIDE]
        self.taken = wanted or list(range(len(specs)))[-2:]
        last = specs[self.taken[-1]]
        maps = [(specs[i].channels, specs[i].stride) for i in self.taken]
        side = math.ceil(max(input_size) / last.stride)
        blocks: list[nn.Sequential] = []
        channels, stride = last.channels, last.stride
        while side > 1:
            width = _SSD_EXTRA_CHANNELS[min(len(blocks), len(_SSD_EXTRA_CHANNELS) - 1)]
            blocks.append(_extra_block(channels, width, norm))
            channels, stride, side = width, stride * 2, math.ceil(side / 2)
            maps.append((channels, stride))
        self.blocks = nn.ModuleList(blocks)
        self.specs = _name_by_order(maps)

    def read_maps(self) -> tuple[int, ...]:
        return tuple(self.taken)

    def forward(self, maps: list[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        out = [maps[i] for i in self.taken]
        for block in self.blocks:
            out.append(block(out[-1]))
        return out


def _extra_block(inp: int, out: int, norm: NormLayer) -> nn.Sequential:
    block = nn.Sequential(conv_norm_act(inp, out // 2, norm=norm), conv_norm_act(out // 2, out // 2, 3, 2, out // 2, norm), conv_norm_act(out // 2, out, norm=norm))
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.03)
    return block


def _name_by_order(maps: Sequence[tuple[int, int]]) -> tuple[FeatureSpec, ...]:
    """Names p<log2 stride> where free, else the next number: names are unique, strides need not be."""
    specs: list[FeatureSpec] = []
    number = 0
    for channels, stride in maps:
        number = max(number + 1, round(math.log2(stride)))
        specs.append(FeatureSpec(f"p{number}", channels, stride))
    return tuple(specs)


class _TopDown(Neck):
    """FPN (arXiv:1612.03144) at any levels, with ``bottom_up`` a PAN (arXiv:1803.01534).

    The way down begins at the coarsest map of the backbone or at the coarsest level, whichever is higher, so that no stage is idle.
    Laterals where the backbone has the stride, coarser levels by stride-2 convolutions, others by upsampling alone.
    """

    def __init__(self, specs: Sequence[FeatureSpec], levels: Sequence[int], width: int, depthwise: bool, bottom_up: bool, norm: NormLayer) -> None:
        super().__init__()
        self.source = {round(math.log2(spec.stride)): i for i, spec in enumerate(specs)}  # the deepest map of each level
        coarsest = max(self.source)
        self.wanted = sorted(set(levels))
        self.built = list(range(min(coarsest, *levels), max(coarsest, *levels) + 1))
        climbed = list(range(self.built[0], self.wanted[-1] + 1)) if bottom_up else []
        self.lateral = nn.ModuleDict({str(n): nn.Sequential(nn.Conv2d(specs[self.source[n]].channels, width, 1, bias=False), norm(width)) for n in self.built if n in self.source})
        self.down = nn.ModuleDict({str(n): conv3x3(width, width, 2, depthwise, norm) for n in self.built if n > coarsest})
        self.smooth = nn.ModuleDict({str(n): conv3x3(width, width, 1, depthwise, norm) for n in climbed or self.wanted})
        self.climb = nn.ModuleDict({str(n): conv3x3(width, width, 2, depthwise, norm) for n in climbed[1:]})
        self.merge = nn.ModuleDict({str(n): conv3x3(width, width, 1, depthwise, norm) for n in climbed[1:]})
        self.specs = tuple(FeatureSpec(f"p{n}", width, 2**n) for n in self.wanted)

    def read_maps(self) -> tuple[int, ...]:
        return tuple(self.source[int(name)] for name in self.lateral)

    def forward(self, maps: list[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        built = {int(name): lateral(maps[self.source[int(name)]]) for name, lateral in self.lateral.items()}
        for name, down in self.down.items():
            built[int(name)] = down(built[int(name) - 1])
        above = built[self.built[-1]]
        for n in reversed(self.built[:-1]):
            size = built[n].shape[-2:] if n in built else [math.ceil(side / 2**n) for side in input_hw]
            raised = F.interpolate(above, size=size, mode="nearest")
            above = built[n] = built[n] + raised if n in built else raised
        out = {int(name): smooth(built[int(name)]) for name, smooth in self.smooth.items()}
        for name, climb in self.climb.items():
            n = int(name)
            climbed = climb(out[n - 1])
            if climbed.shape[-2:] != out[n].shape[-2:]:  # a backbone that rounds odd sizes down
                climbed = F.interpolate(climbed, size=out[n].shape[-2:], mode="nearest")
            out[n] = self.merge[name](out[n] + climbed)
        return [out[n] for n in self.wanted]


class FeaturePyramid(nn.Module):
    """A backbone over a backbone: same images in, the pyramid's maps out, finest first.

    Its own layers are new modules; ``stages`` names the pretrained stages of the backbone below and nothing else.

    Shapes:
        images: [B, C, H, W] float32, normalised with ``image_stats``.
        forward: one [B, spec.channels, h, w] map per spec.
    """

    def __init__(self, backbone: Backbone, neck: Neck) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.specs: tuple[FeatureSpec, ...] = neck.specs

    @property
    def image_stats(self) -> ImageStats:
        """Statistics of the backbone's weights."""
        return self.backbone.image_stats

    @property
    def size_rule(self) -> SizeRule:
        """Input sizes that the backbone takes."""
        return self.backbone.size_rule

    def stages(self) -> Sequence[nn.Module]:
        """The pretrained stages, stem first."""
        return self.backbone.stages()

    def new_modules(self) -> Sequence[nn.Module]:
        """The pyramid's own layers."""
        return [self.neck]

    def lead(self, images: Tensor, stages: int) -> FrozenFeatures:
        """What the first ``stages`` stages give for normalised images, without the maps that nobody reads."""
        return lead(self.backbone, images, stages, self.neck.read_maps())

    def forward(self, images: Tensor | FrozenFeatures) -> list[Tensor]:
        """Map normalised images, or what the leading stages gave for them, to pyramid maps."""
        found = follow(self.backbone, images) if isinstance(images, FrozenFeatures) else self.backbone(images)
        maps: list[Tensor] = self.neck(found, input_size(images))
        return maps


def create_pyramid(
    backbone: Backbone,
    kind: PyramidKind = "fpn",
    *,
    levels: Sequence[int] = (3, 4, 5),
    width: int = 96,
    depthwise: bool = True,
    input_size: tuple[int, int] = (320, 320),
    norm: NormLayer = DEFAULT_NORM,
) -> FeaturePyramid:
    """Build a pyramid over any backbone, from its specs.

    Args:
        backbone: Anything that meets the ``Backbone`` contract.
        kind: "ssd" (raw maps from stride 16 up plus extra maps down to one cell), "fpn" or "pan".
        levels: fpn and pan: levels to give; level n has stride 2 ** n.
        width: fpn and pan: channels of every map.
        depthwise: fpn and pan: depthwise-separable 3x3 convolutions.
        input_size: ssd: height and width in pixels, which decide how many extra maps there are.
        norm: Factory of the BatchNorm layers.

    Returns:
        The pyramid, itself a backbone.

    Raises:
        UsageError: An unknown kind, or levels that make no pyramid.
    """
    backbone.size_rule.check(input_size, "the backbone")
    if kind == "ssd":
        return FeaturePyramid(backbone, _ExtraMaps(backbone.specs, input_size, norm))
    if kind not in ("fpn", "pan"):
        raise UsageError(f"pyramid.kind is {kind!r}; allowed are ssd, fpn and pan")
    if not levels or min(levels) < 1 or max(levels) > 9 or width < 1:
        raise UsageError(f"pyramid.levels {tuple(levels)} with width {width}: levels are numbers from 1 to 9 (stride 2 ** level), the width is positive")
    return FeaturePyramid(backbone, _TopDown(backbone.specs, levels, width, depthwise, kind == "pan", norm))
