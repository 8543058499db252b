"""From a picture to the input of a text detector and back: the rule of the published CRAFT code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones.errors import UsageError
from detectors.types import ImageMeta, TextDetections
from finetune.data.preprocess import Affine, to_tensor


@dataclass(frozen=True)
class TextPreprocess:
    """How a picture becomes an input of a text detector; travels with the weights.

    The longer side is enlarged ``mag_ratio`` times but never beyond ``canvas``, the shape of the picture is kept, sampling is bilinear,
    and black is added at the right and at the bottom up to multiples of ``multiple``. So inputs differ in size from picture to picture.

    Args:
        canvas: Greatest length of the longer side in pixels.
        mag_ratio: Enlargement of pictures that are small enough.
        multiple: What both sides of the input are multiples of.
        channels: 3 (RGB) or 1 (grey).
    """

    canvas: int = 1280
    mag_ratio: float = 1.5
    multiple: int = 32
    channels: int = 3

    def __post_init__(self) -> None:
        if self.canvas < self.multiple or self.multiple < 1:
            raise UsageError(f"canvas {self.canvas} is too small: at least {max(1, self.multiple)} pixels are wanted, 1280 is usual")
        if not 0 < self.mag_ratio <= 100:
            raise UsageError(f"mag_ratio {self.mag_ratio} is not allowed: a number above 0 and up to 100 is wanted, 1.5 is usual")

    def ratio(self, picture_hw: tuple[int, int]) -> float:
        """How many times larger than the picture the input is."""
        longer = max(picture_hw)
        return min(self.mag_ratio * longer, self.canvas) / longer

    def sizes(self, picture_hw: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of the resized picture, and of the input around it."""
        ratio = self.ratio(picture_hw)
        height, width = (max(1, int(side * ratio)) for side in picture_hw)
        return (height, width), (-(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple)

    def apply(self, image: NDArray[np.uint8]) -> tuple[Tensor, Affine]:
        """Resize one picture.

        Args:
            image: [H, W, channels] uint8, upright.

        Returns:
            [channels, input_h, input_w] uint8, and the affine from picture to input pixels (see ImageMeta), as the published code has it:
            a multiplication by the ratio alone.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != self.channels or 0 in image.shape:
            raise UsageError(f"a picture must be an array of uint8 with shape [H, W, {self.channels}], not {image.dtype} with shape {list(image.shape)}")
        picture_hw = (image.shape[0], image.shape[1])
        (height, width), input_hw = self.sizes(picture_hw)
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, self.channels)
        if (height, width) != input_hw:
            resized = cv2.copyMakeBorder(resized, 0, input_hw[0] - height, 0, input_hw[1] - width, cv2.BORDER_CONSTANT, value=0).reshape(*input_hw, self.channels)
        return to_tensor(resized), self.affine(picture_hw)  # type: ignore[arg-type]

    def affine(self, picture_hw: tuple[int, int]) -> Affine:
        """The map from picture to input pixels of a picture of ``picture_hw``."""
        ratio = self.ratio(picture_hw)
        return ratio, 0.0, 0.0, 0.0, ratio, 0.0

    def to_dict(self) -> dict[str, Any]:
        """Primitives only, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TextPreprocess:
        """The inverse of ``to_dict``."""
        return cls(**values)


def stack_padded(inputs: Sequence[Tensor]) -> Tensor:
    """Inputs [C, H, W] of different sizes as one batch [B, C, H, W]: black at the right and at the bottom, so affines stay as they are."""
    height, width = max(image.shape[1] for image in inputs), max(image.shape[2] for image in inputs)
    if all(image.shape[1:] == (height, width) for image in inputs):
        return torch.stack(list(inputs))
    batch = inputs[0].new_zeros(len(inputs), inputs[0].shape[0], height, width)
    for place, image in zip(batch, inputs, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch


def to_original_text(detections: TextDetections, meta: ImageMeta) -> TextDetections:
    """Map words from input pixels back to the original picture. Quads that reach beyond its border are left as they are.

    Args:
        detections: Quads and polygons in input pixels.
        meta: The image's meta.

    Returns:
        Quads and polygons in pixels of the original picture; scores, labels and order as they were.
    """
    a, b, tx, c, d, ty = meta.affine
    forward = torch.tensor([[a, b], [c, d]], dtype=torch.float64)
    back, shift = torch.linalg.inv(forward).T, torch.tensor([tx, ty], dtype=torch.float64)

    def map_points(points: Tensor) -> Tensor:
        return ((points.to("cpu", torch.float64) - shift) @ back).to(points.dtype)

    return replace(detections, quads=map_points(detections.quads), polygons=tuple(map_points(polygon) for polygon in detections.polygons))
