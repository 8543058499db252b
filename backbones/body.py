"""What the providers build: a body that maps images to feature maps, cut into stages, with the rules of its input size around it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones.errors import UsageError
from backbones.frozen import FrozenFeatures
from backbones.types import FeatureSpec, ImageStats, SizeRule


class ChainBody(nn.Module):
    """Layers that run one after the other, cut into stages; a tapped stage gives its output as a feature map.

    Args:
        stages: Layers of each stage by name, stem first.
        tapped: For each stage, whether its output is a feature map.
        channels_last: Maps come as [B, H, W, C] and are turned.
        concatenate: A tuple output is joined along the channels; otherwise its first map counts.
    """

    def __init__(self, stages: Sequence[dict[str, nn.Module]], tapped: Sequence[bool], *, channels_last: bool = False, concatenate: bool = False) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Sequential() for _ in stages)
        for part, layers in zip(self.parts, stages, strict=True):
            for name, layer in layers.items():
                part.add_module(name.replace(".", "_"), layer)
        self.tapped = tuple(tapped)
        self.channels_last = channels_last
        self.concatenate = concatenate

    def forward(self, images: Tensor, frozen_stages: int = 0) -> list[Tensor]:
        """Map images [B, C, H, W] to maps, finest first; the first ``frozen_stages`` stages build no graph."""
        return self.run_stages(images, range(len(self.parts)), frozen_stages)[0]

    def run_stages(self, value: Tensor, stages: Iterable[int], frozen_stages: int = 0) -> tuple[list[Tensor], Tensor]:
        """Run some stages on the images, or on what the stage before them gave: their maps, and what the last of them gave."""
        maps: list[Tensor] = []
        for index in stages:
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= frozen_stages):
                value = self.parts[index](value)
            if self.tapped[index]:
                maps.append(self._as_map(value))
        return maps, value

    def _as_map(self, value: Tensor | Sequence[Tensor]) -> Tensor:
        if not isinstance(value, Tensor):
            value = torch.cat(list(value), 1) if self.concatenate else value[0]
        return value.permute(0, 3, 1, 2).contiguous() if self.channels_last else value

    def stage_names(self) -> list[list[str]]:
        """Names of the modules of each stage."""
        return [[f"parts.{index}"] for index in range(len(self.parts))]


class WholeBody(nn.Module):
    """A network that cannot be cut, giving a list of maps of which some are kept.

    Where no parameter of the leading layers requires a gradient, autograd builds no graph for them either.
    """

    def __init__(self, network: nn.Module, keep: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.keep = tuple(keep)

    def forward(self, images: Tensor, frozen_stages: int = 0) -> list[Tensor]:
        """Map images [B, C, H, W] to maps, finest first."""
        maps = self.network(images)
        maps = list(maps.values()) if isinstance(maps, dict) else list(maps)
        return [maps[index] for index in self.keep]


class StageView(nn.Module):
    """Parts of one body under one handle: the same modules, parameters and buffers, not copies."""

    def __init__(self, body: nn.Module, names: Iterable[str]) -> None:
        super().__init__()
        for name in names:
            owner_name, _, last = name.rpartition(".")
            owner = body.get_submodule(owner_name)
            flat = name.replace(".", "_")
            if last in owner._modules:
                self.add_module(flat, body.get_submodule(name))
            elif last in owner._parameters:
                self.register_parameter(flat, owner._parameters[last])
            else:
                self.register_buffer(flat, owner._buffers[last], persistent=last not in owner._non_persistent_buffers_set)


class ProviderBackbone(nn.Module):
    """A ``Backbone`` around a body.

    Attributes:
        frozen_stages: The first so many of ``stages()`` run without building a graph.

    Args:
        name: What the user asked for; errors say it.
        body: Maps (images, frozen_stages) to one map per spec, finest first.
        specs: One per map.
        image_stats: Statistics of the loaded weights.
        size_rule: Input sizes taken.
        stage_names: For each stage the names of its modules, parameters and buffers in ``body``.
        pad_multiple: Inputs are padded at the right and bottom to multiples of this with 0, the mean colour, and maps are cut back.
        pad_to: Inputs are padded to this (height, width) instead.
    """

    def __init__(
        self,
        name: str,
        body: nn.Module,
        specs: Sequence[FeatureSpec],
        image_stats: ImageStats,
        size_rule: SizeRule,
        stage_names: Sequence[Sequence[str]],
        pad_multiple: int = 1,
        pad_to: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.body = body
        self.specs = tuple(specs)
        self.image_stats = image_stats
        self.size_rule = size_rule
        self.pad_multiple = pad_multiple
        self.pad_to = pad_to
        self.frozen_stages = 0
        self._stage_names = tuple(tuple(names) for names in stage_names)

    def stages(self) -> list[nn.Module]:
        """The pretrained parts in order, stem first: every parameter and buffer exactly once."""
        return [self.body.get_submodule(names[0]) if len(names) == 1 and not _is_bare(self.body, names[0]) else StageView(self.body, names) for names in self._stage_names]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map normalised images [B, C, H, W] to one [B, channels, h, w] map per spec, finest first."""
        padded = self._pad(images)
        if self.frozen_stages >= len(self._stage_names):
            with torch.no_grad():
                maps = self.body(padded, self.frozen_stages)
        else:
            maps = self.body(padded, self.frozen_stages)
        return self._fit(maps, (int(images.shape[-2]), int(images.shape[-1])))

    def is_chain(self) -> bool:
        """Whether it can begin behind any of its stages."""
        return isinstance(self.body, ChainBody)

    def lead(self, images: Tensor, stages: int) -> FrozenFeatures:
        """Run only the first ``stages`` stages of a chain on normalised images [B, C, H, W]."""
        body = cast(ChainBody, self.body)
        maps, value = body.run_stages(self._pad(images), range(stages), stages)
        if not isinstance(value, Tensor):
            raise UsageError(f"{self.name} cannot be cut behind {stages} of its stages: the next one reads several maps")
        return FrozenFeatures(tuple(maps), None if maps and value is maps[-1] else value, stages, (int(images.shape[-2]), int(images.shape[-1])))

    def follow(self, features: FrozenFeatures) -> list[Tensor]:
        """Run the other stages of a chain, and give one map per spec as for images."""
        body = cast(ChainBody, self.body)
        value = features.maps[-1] if features.value is None else features.value
        maps, _ = body.run_stages(value, range(features.stages, len(body.parts)), self.frozen_stages)
        return self._fit([*features.maps, *maps], features.input_hw)

    def _pad(self, images: Tensor) -> Tensor:
        height, width = int(images.shape[-2]), int(images.shape[-1])
        self.size_rule.check((height, width), self.name)
        below, right = (self.pad_to[0] - height, self.pad_to[1] - width) if self.pad_to else (-height % self.pad_multiple, -width % self.pad_multiple)
        return functional.pad(images, (0, right, 0, below)) if below or right else images

    def _fit(self, maps: Sequence[Tensor], input_hw: tuple[int, int]) -> list[Tensor]:
        return [_fit(m, math.ceil(input_hw[0] / s.stride), math.ceil(input_hw[1] / s.stride)) if m.ndim == 4 else m for m, s in zip(maps, self.specs, strict=True)]


def _fit(grid: Tensor, height: int, width: int) -> Tensor:
    """Cut cells off that lie over padding; give lost border cells back evenly where a network pads too little (Inception)."""
    grid = grid[..., :height, :width]
    below, right = height - grid.shape[-2], width - grid.shape[-1]
    if below > 1 or right > 1:
        return functional.pad(grid, (right // 2, right - right // 2, below // 2, below - below // 2))
    return grid


def _is_bare(body: nn.Module, name: str) -> bool:
    owner_name, _, last = name.rpartition(".")
    return last not in body.get_submodule(owner_name)._modules


def level_specs(channels: Sequence[int], strides: Sequence[int]) -> tuple[FeatureSpec, ...]:
    """Name maps c1, c2, ... by stride; a further map of the same level gets a letter: c4, c4b."""
    specs: list[FeatureSpec] = []
    for width, stride in zip(channels, strides, strict=True):
        level = f"c{round(math.log2(stride))}"
        taken = sum(spec.name.rstrip("bcdefgh") == level for spec in specs)
        specs.append(FeatureSpec(level + ("" if taken == 0 else "bcdefgh"[taken - 1]), int(width), int(stride)))
    return tuple(specs)
