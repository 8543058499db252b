"""Pictures as crops of text read them: whole, or shrunk while they are decoded; from a cache where there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from finetune.data.images import read_image, shrunk_hw
from finetune.data.packed import PackedStrings
from finetune.data.preprocess import Affine
from finetune.data.slots import SlotFile
from finetune.data.text.geometry import LEVELS
from finetune.data.text_preprocess import TextPreprocess

_SHRINKS = (1, 2, 4)
_ROUNDING = 1e-9


class CropPictures:
    """The pictures of a set of samples, by number.

    Args:
        paths: Their files.
        sizes: [N, 2] height and width that annotations declare.
        preprocess: At which scale evaluation sees a picture.
        augment: Its zoom decides how far a picture may be shrunk; with "none" it is read whole.
    """

    def __init__(self, paths: Sequence[Path], sizes: NDArray[np.int32], preprocess: TextPreprocess, augment: str) -> None:
        self._paths, self._sizes, self._preprocess, self._augment = PackedStrings([str(path) for path in paths]), sizes, preprocess, augment
        self.slots: SlotFile | None = None

    @property
    def slot_paths(self) -> tuple[Path, ...]:
        """The pictures that a cache is filled from."""
        return tuple(Path(self._paths[index]) for index in range(len(self._paths)))

    def path(self, index: int) -> str:
        """The file of a picture."""
        return self._paths[index]

    def hw(self, index: int) -> tuple[int, int]:
        """Height and width of a picture."""
        height, width = self._sizes[index].tolist()
        return height, width

    def crop(self, index: int, affine: Affine, crop_hw: tuple[int, int], pad: int) -> NDArray[np.uint8]:
        """Draw a picture through an affine: [crop_h, crop_w, channels] uint8.

        A picture that shrinks to less than half is shrunk by whole numbers first (JPEG while it is decoded), so that no pixel is skipped.
        """
        shrink = _shrink(_scale(affine))

        def load() -> NDArray[np.uint8]:
            return read_image(self._paths[index], self._preprocess.channels, self.hw(index), shrink)

        kept = self.slots is not None and self._augment != "none"
        image = self.slots.get(len(_SHRINKS) * index + _SHRINKS.index(shrink), load) if kept and self.slots is not None else load()
        return draw_crop(image, self.hw(index), affine, crop_hw, pad)

    def whole(self, index: int) -> tuple[NDArray[np.uint8], Affine]:
        """The plain input [C, H, W] of a picture, and its affine."""

        def load() -> NDArray[np.uint8]:
            return self._preprocess.apply(read_image(self._paths[index], self._preprocess.channels, self.hw(index)))[0].numpy()

        planes = load() if self.slots is None else np.array(self.slots.get(index, load))
        return planes, self._preprocess.affine(self.hw(index))

    def slot_sizes(self) -> NDArray[np.int64]:
        """Bytes of what a cache keeps: the plain inputs [N], or for crops each size that a picture may be read at, [3 N]."""
        channels = self._preprocess.channels
        if self._augment == "none":
            return np.array([channels * math.prod(self._preprocess.sizes(self.hw(index))[1]) for index in range(len(self._paths))], np.int64)
        low, high = LEVELS[self._augment].zoom
        sizes = []
        for index in range(len(self._paths)):
            ratio = self._preprocess.ratio(self.hw(index))
            first, last = _shrink(ratio * high * (1 + _ROUNDING)), _shrink(ratio * low * (1 - _ROUNDING))
            sizes += [channels * math.prod(shrunk_hw(self.hw(index), shrink)) * (first <= shrink <= last) for shrink in _SHRINKS]
        return np.array(sizes, np.int64)

    def slot_facts(self) -> tuple[object, ...]:
        """What decides the bytes beside the files."""
        plain = self._preprocess.to_dict() if self._augment == "none" else None
        return ("words", self._preprocess.channels, plain, np.asarray(self._sizes, np.int64).tobytes())


def draw_crop(image: NDArray[np.uint8], picture_hw: tuple[int, int], affine: Affine, crop_hw: tuple[int, int], pad: int) -> NDArray[np.uint8]:
    """Draw a picture, which may have been read smaller than ``picture_hw``, through an affine of its own pixels: [crop_h, crop_w, channels] uint8."""
    a, b, tx, c, d, ty = affine
    height, width, channels = image.shape
    left = int(1 / _scale(affine) * height / picture_hw[0])
    if left >= 2:
        small = max(1, height // left), max(1, width // left)
        image = cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA).reshape(*small, channels)  # type: ignore[assignment]
    x, y = picture_hw[1] / image.shape[1], picture_hw[0] / image.shape[0]
    linear = np.array([[a * x, b * y], [c * x, d * y]])
    shift = np.array([tx, ty]) + linear.sum(1) / 2 - 0.5  # OpenCV counts from the centres of pixels
    matrix = np.concatenate([linear, shift[:, None]], axis=1)
    drawn = cv2.warpAffine(image, matrix, crop_hw[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(pad,) * channels)
    return drawn.reshape(*crop_hw, channels)  # type: ignore[return-value]


def _scale(affine: Affine) -> float:
    """How many times longer a side is in the crop than in the picture."""
    a, b, _, c, d, _ = affine
    return float(np.sqrt(abs(a * d - b * c)))


def _shrink(scale: float) -> int:
    times = int(1 / scale)
    return 4 if times >= 4 else 2 if times >= 2 else 1
