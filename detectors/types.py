"""What goes into a detector and what comes out: targets, batches, detections, and the detector contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from backbones.frozen import FrozenFeatures
from backbones.types import ImageStats


class TensorRecord:
    """Base of frozen dataclasses that hold tensors: ``.to`` and ``.pin_memory`` return the same type."""

    def _map_tensors(self, change: Any) -> Self:
        moved = {f.name: change(value) for f in fields(self) if isinstance(value := getattr(self, f.name), Tensor)}  # type: ignore[arg-type]
        return replace(self, **moved)  # type: ignore[type-var]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """Return a copy with every tensor on ``device``."""
        return self._map_tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return a copy with every tensor in pinned memory."""
        return self._map_tensors(lambda tensor: tensor.pin_memory())


@dataclass(frozen=True, eq=False)
class ImageMeta:
    """The way back from input pixels to the original picture.

    ``affine`` is (a, b, tx, c, d, ty): input_x = a * x + b * y + tx, input_y = c * x + d * y + ty, for pixel-edge
    coordinates (0 is the left edge of the first pixel) of the original picture after EXIF rotation.
    """

    image_id: int | str
    source: str
    original_hw: tuple[int, int]
    input_hw: tuple[int, int]
    affine: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, eq=False)
class BoxTarget(TensorRecord):
    """Ground truth of one image: boxes [N, 4] f32 xyxy in input pixels, labels [N] i64 in 0..C-1, ignore [N] bool (crowd or difficult)."""

    boxes: Tensor
    labels: Tensor
    ignore: Tensor


@dataclass(frozen=True, eq=False)
class BoxDetections(TensorRecord):
    """Detections of one image, score descending: boxes [N, 4] f32 xyxy, scores [N] f32 in 0..1, labels [N] i64 in 0..C-1. N = 0 is normal."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class TextTarget(TensorRecord):
    """Ground truth of one image of scene text, in input pixels.

    ``quads`` [N, 4, 2] f32 are words, clockwise from the top-left corner of the text; ``ignore`` [N] bool are words that neither count as
    truth nor as background (ICDAR ``###``); ``texts`` are their N transcriptions ("" where unknown). Where characters are known,
    ``char_quads`` [K, 4, 2] f32 with ``char_words`` [K] i64, the rows of ``quads`` they belong to, in reading order within a word.
    ``word_confidence`` [N] f32 in 0..1 is how far the characters of each word are to be trusted (those that a model found, see
    ``detectors.craft.pseudo``): it weighs the loss inside the word; None is 1 for all. Words that count and have no characters are divided
    equally, with the confidence of an equal division.
    Ready-made maps (of a teacher, or pseudo-labels) are ``maps`` [2, h, w] f32, region and affinity in 0..1, with ``confidence`` [h, w] f32 in 0..1.
    """

    quads: Tensor
    ignore: Tensor
    texts: tuple[str, ...] = ()
    char_quads: Tensor | None = None
    char_words: Tensor | None = None
    word_confidence: Tensor | None = None
    maps: Tensor | None = None
    confidence: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TextDetections(TensorRecord):
    """Words of one image, score descending: quads [N, 4, 2] f32 clockwise from top-left, scores [N] f32 in 0..1, labels [N] i64 (all 0).

    ``polygons`` holds one outline [K_i, 2] f32 per word where curved text was asked for, else nothing.
    """

    quads: Tensor
    scores: Tensor
    labels: Tensor
    polygons: tuple[Tensor, ...] = ()


Target = BoxTarget | TextTarget
Detections = BoxDetections | TextDetections


@dataclass(frozen=True, eq=False)
class Batch:
    """What a task gets: images [B, C, H, W] (uint8 0..255 or float 0..1, not normalised), one target and one meta per image."""

    images: Tensor
    targets: Sequence[Target]
    metas: Sequence[ImageMeta]

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return int(self.images.shape[-2]), int(self.images.shape[-1])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Move images and targets; metas stay on the CPU."""
        return replace(self, images=self.images.to(device, non_blocking=non_blocking), targets=[t.to(device, non_blocking) for t in self.targets])

    def pin_memory(self) -> Batch:
        """Pin images and targets."""
        return replace(self, images=self.images.pin_memory(), targets=[t.pin_memory() for t in self.targets])


@dataclass(frozen=True, eq=False)
class FeatureBatch:
    """A batch whose images have run through the frozen stages of the backbone already: features, one target and one meta per image."""

    features: FrozenFeatures
    targets: Sequence[Target]
    metas: Sequence[ImageMeta]

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.features.input_hw

    def to(self, device: torch.device | str, non_blocking: bool = False) -> FeatureBatch:
        """Move features and targets; metas stay on the CPU."""
        return replace(self, features=self.features.to(device, non_blocking), targets=[t.to(device, non_blocking) for t in self.targets])

    def pin_memory(self) -> FeatureBatch:
        """Pin features and targets."""
        return replace(self, features=self.features.pin_memory(), targets=[t.pin_memory() for t in self.targets])


class Detector(Protocol):
    """A backbone, a pyramid and a head; ``forward`` has one return type in every mode.

    ``loss`` returns named scalar losses whose sum is minimised. ``decode`` gives one BoxDetections (or, for scene text, TextDetections) per
    image in input pixels.
    ``new_modules`` are the parts without pretrained weights (pyramid and head).
    """

    backbone: Any
    image_stats: ImageStats

    def __call__(self, images: Tensor) -> Any:
        """Map normalised images [B, C, H, W] to raw outputs (a NamedTuple of tensors)."""
        ...

    def loss(self, outputs: Any, targets: Sequence[Any]) -> Mapping[str, Tensor]:
        """Named scalar losses of raw outputs against targets."""
        ...

    def decode(self, outputs: Any, input_hw: tuple[int, int]) -> Sequence[Detections]:
        """Detections per image, in input pixels, score descending."""
        ...

    def new_modules(self) -> Sequence[nn.Module]:
        """Modules that start from random weights."""
        ...
