"""What the frozen leading stages of a backbone give for a batch: taken once, and gone on from as if the images had just run through them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from backbones.errors import UsageError
from backbones.types import Backbone


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Features of a batch at the end of the leading stages.

    Args:
        maps: The maps that these stages give, [B, C, h, w] each, finest first; one that nobody reads later is [B, 0].
        value: What the next stage reads, where that is not the last of the maps.
        stages: How many leading stages gave them.
        input_hw: Height and width of the images in pixels.
    """

    maps: tuple[Tensor, ...]
    value: Tensor | None
    stages: int
    input_hw: tuple[int, int]

    def changed(self, change: Callable[[Tensor], Tensor]) -> Self:
        """A copy with every tensor changed."""
        return replace(self, maps=tuple(change(m) for m in self.maps), value=None if self.value is None else change(self.value))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """A copy on ``device``."""
        return self.changed(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """A copy in pinned memory."""
        return self.changed(lambda tensor: tensor.pin_memory())


@runtime_checkable
class ChainBackbone(Protocol):
    """A backbone whose stages run one after the other, so that it can begin behind any of them."""

    def lead(self, images: Tensor, stages: int) -> FrozenFeatures:
        """Run only the first ``stages`` stages on normalised images [B, C, H, W]."""
        ...

    def follow(self, features: FrozenFeatures) -> list[Tensor]:
        """Run the other stages, and give all maps as for images."""
        ...

    def is_chain(self) -> bool:
        """Whether it can be cut between its stages."""
        ...


def can_cut(backbone: Backbone, stages: int) -> bool:
    """Whether a backbone can begin behind its first ``stages`` stages; behind the last one any can."""
    return stages >= len(backbone.stages()) or (isinstance(backbone, ChainBackbone) and backbone.is_chain())


@torch.no_grad()
def lead(backbone: Backbone, images: Tensor, stages: int, read: Collection[int] | None = None) -> FrozenFeatures:
    """Run the leading stages of a backbone without building a graph.

    Args:
        backbone: In the mode in which it trains.
        images: [B, C, H, W] float32, normalised.
        stages: How many.
        read: Indices of the maps that are read later, by a pyramid; None is all. One that only the next stage reads is kept, too.

    Raises:
        UsageError: The backbone cannot be cut there.
    """
    chain: Any = backbone
    last = stages >= len(backbone.stages())
    if not can_cut(backbone, stages):
        raise UsageError(f"{getattr(backbone, 'name', type(backbone).__name__)} cannot be cut behind {stages} of its {len(backbone.stages())} stages: they do not run one after the other")
    features = FrozenFeatures(tuple(backbone(images)), None, stages, input_size(images)) if last else chain.lead(images, stages)
    if read is None:
        return features
    kept = {*read} | ({len(features.maps) - 1} if not last and features.value is None else set())
    return replace(features, maps=tuple(m if index in kept else m.new_empty(len(m), 0) for index, m in enumerate(features.maps)))


def follow(backbone: Backbone, features: FrozenFeatures) -> list[Tensor]:
    """All maps of a backbone from what its leading stages gave."""
    if features.stages >= len(backbone.stages()):
        return list(features.maps)
    chain: Any = backbone
    maps: list[Tensor] = chain.follow(features)
    return maps


def input_size(inputs: Tensor | FrozenFeatures) -> tuple[int, int]:
    """Height and width in pixels of images [B, C, H, W], or of those that features come from."""
    return inputs.input_hw if isinstance(inputs, FrozenFeatures) else (int(inputs.shape[-2]), int(inputs.shape[-1]))
