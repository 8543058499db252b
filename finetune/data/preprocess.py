"""From a picture to the network's input and back: the one function that training, evaluation, prediction and export share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbones.errors import UsageError
from detectors.types import BoxDetections, ImageMeta

_BILINEAR = 2  # times that a side may shrink before bilinear sampling skips pixels

Affine = tuple[float, float, float, float, float, float]


class Placement(NamedTuple):
    """A rectangle of the picture and where it lands in the input, both (x1, y1, x2, y2) in whole pixels; ``flip`` mirrors the input."""

    source: tuple[int, int, int, int]
    target: tuple[int, int, int, int]
    flip: bool = False

    def affine(self, input_hw: tuple[int, int]) -> Affine:
        """The map from picture to input pixels, as in ImageMeta."""
        (sx1, sy1, sx2, sy2), (tx1, ty1, tx2, ty2) = self.source, self.target
        a, d = (tx2 - tx1) / (sx2 - sx1), (ty2 - ty1) / (sy2 - sy1)
        tx, ty = tx1 - a * sx1, ty1 - d * sy1
        return (-a, 0.0, input_hw[1] - tx, 0.0, d, ty) if self.flip else (a, 0.0, tx, 0.0, d, ty)


@dataclass(frozen=True)
class Preprocess:
    """How a picture becomes an input; travels with the weights.

    Sides that shrink to less than half average areas (cv2.INTER_AREA); all others are bilinear, which down to a half still looks at every
    pixel and is several times faster. Both keep pixel edges in place. Letterbox keeps the
    shape of the picture, centres it and fills the rest with ``pad``.

    Args:
        input_hw: Height and width of the input.
        resize: "stretch" or "letterbox".
        channels: 3 (RGB) or 1 (grey).
        pad: Value of the filled border, 0..255.
    """

    input_hw: tuple[int, int] = (320, 320)
    resize: Literal["stretch", "letterbox"] = "stretch"
    channels: int = 3
    pad: int = 114

    def __post_init__(self) -> None:
        if len(self.input_hw) != 2 or any(side < 1 for side in self.input_hw):
            raise UsageError(f"input size {self.input_hw} is not a height and a width of at least 1 pixel each")
        if self.resize not in ("stretch", "letterbox"):
            raise UsageError(f"resize {self.resize!r} is neither 'stretch' nor 'letterbox'")

    def placement(self, picture_hw: tuple[int, int]) -> Placement:
        """Where a picture of ``picture_hw`` lands in the input."""
        (height, width), (input_h, input_w) = picture_hw, self.input_hw
        whole = (0, 0, width, height)
        if self.resize == "stretch":
            return Placement(whole, (0, 0, input_w, input_h))
        scale = min(input_h / height, input_w / width)
        fit_h, fit_w = min(input_h, max(1, round(height * scale))), min(input_w, max(1, round(width * scale)))
        top, left = (input_h - fit_h) // 2, (input_w - fit_w) // 2
        return Placement(whole, (left, top, left + fit_w, top + fit_h))

    def apply(self, image: NDArray[np.uint8]) -> tuple[Tensor, Affine]:
        """Resize one picture.

        Args:
            image: [H, W, channels] uint8, upright.

        Returns:
            [channels, input_h, input_w] uint8, and the affine from picture to input pixels (see ImageMeta).
        """
        placement = self.placement((image.shape[0], image.shape[1]))
        return to_tensor(self.place(image, placement)), placement.affine(self.input_hw)

    def place(self, image: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
        """Draw a rectangle of a picture into an input: [H, W, channels] uint8 -> [input_h, input_w, channels] uint8."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != self.channels or 0 in image.shape:
            raise UsageError(f"a picture must be an array of uint8 with shape [H, W, {self.channels}], not {image.dtype} with shape {list(image.shape)}")
        (sx1, sy1, sx2, sy2), (tx1, ty1, tx2, ty2) = placement.source, placement.target
        drawn = _resample(image[sy1:sy2, sx1:sx2], (ty2 - ty1, tx2 - tx1))
        if drawn.shape[:2] != self.input_hw:
            canvas = np.full((*self.input_hw, self.channels), self.pad, np.uint8)
            canvas[ty1:ty2, tx1:tx2] = drawn
            drawn = canvas
        return cv2.flip(drawn, 1).reshape(drawn.shape) if placement.flip else drawn  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """Primitives only, for JSON and checkpoints."""
        return {**asdict(self), "input_hw": list(self.input_hw)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """The inverse of ``to_dict``."""
        return cls(**{**values, "input_hw": tuple(int(side) for side in values["input_hw"])})


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """[H, W, C] uint8 array -> [C, H, W] uint8 tensor with its own contiguous memory."""
    planes = np.empty((image.shape[2], *image.shape[:2]), np.uint8)
    cv2.split(image, list(planes))  # a third of the time of transposing
    return torch.from_numpy(planes)


def map_boxes(boxes: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """Map [N, 4] xyxy by an affine without rotation; a mirrored axis keeps x1 < x2."""
    a, _, tx, _, d, ty = affine
    xs, ys = boxes[:, 0::2] * a + tx, boxes[:, 1::2] * d + ty
    return np.stack([xs.min(1), ys.min(1), xs.max(1), ys.max(1)], axis=1)


def to_original(detections: BoxDetections, meta: ImageMeta) -> BoxDetections:
    """Map detections from input pixels back to the original picture, and clip them to it.

    Args:
        detections: Boxes in input pixels.
        meta: The image's meta.

    Returns:
        Boxes in pixel-edge coordinates of the original picture; scores, labels and order as they were.
    """
    a, b, tx, c, d, ty = meta.affine
    determinant = a * d - b * c
    boxes = detections.boxes.to(torch.float64)
    x, y = boxes[:, 0::2] - tx, boxes[:, 1::2] - ty
    height, width = meta.original_hw
    xs = ((d * x - b * y) / determinant).clamp(0, width)
    ys = ((a * y - c * x) / determinant).clamp(0, height)
    back = torch.stack([xs.amin(1), ys.amin(1), xs.amax(1), ys.amax(1)], dim=1) if len(boxes) else boxes
    return BoxDetections(back.to(detections.boxes.dtype), detections.scores, detections.labels)


def _resample(image: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if (height, width) == size_hw:
        return image
    channels = image.shape[2]
    small_hw = tuple(target if side > _BILINEAR * target else side for side, target in zip((height, width), size_hw, strict=True))
    if small_hw != (height, width):  # averages only the sides that shrink much: INTER_AREA on a side that grows would not average the other
        image = cv2.resize(image, small_hw[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if small_hw != size_hw:
        image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return image.reshape(*size_hw, channels)
