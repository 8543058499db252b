"""Pictures of a split, resized or augmented, one at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from detectors.types import BoxTarget, ImageMeta
from finetune.data.images import read_image, shrunk_hw
from finetune.data.mixing import Mixing, Piece, build_mosaic, mix_up, paste_objects
from finetune.data.packed import PackedStrings
from finetune.data.preprocess import Affine, Preprocess, map_boxes, to_tensor
from finetune.data.slots import SlotFile
from finetune.data.types import BoxSplit

if TYPE_CHECKING:
    from finetune.data.transforms import Transform


class SampleKey(NamedTuple):
    """What a sampler asks for: with these three and the seed, an augmented sample is always the same, whichever worker makes it."""

    epoch: int
    rank: int
    image: int


class DetectionDataset(Dataset[tuple[Tensor, BoxTarget, ImageMeta]]):
    """Samples of a split: (uint8 image [C, H, W], BoxTarget in input pixels, ImageMeta).

    Args:
        split: Pictures and boxes.
        preprocess: How a picture becomes an input.
        augment: "none", "light", "medium" or "strong".
        seed: With epoch, rank and index it decides every random choice.
        mixing: Samples made of several pictures; needs an ``augment`` other than "none".
    """

    def __init__(self, split: BoxSplit, preprocess: Preprocess, augment: str = "none", seed: int = 0, mixing: Mixing | None = None) -> None:
        self.split = split
        self.preprocess = preprocess
        self.seed = seed
        self.epoch = 0
        self._paths = PackedStrings([str(path) for path in split.paths])
        self._image_ids = PackedStrings([json.dumps(image_id) for image_id in split.image_ids])
        self._mixing = mixing or Mixing()
        self.slots: SlotFile | None = None
        self._transform: Transform | None = None
        if augment != "none":
            from finetune.data.transforms import build_transform

            self._transform = build_transform(augment, preprocess)

    def __len__(self) -> int:
        return len(self.split)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of plain integer indices; samplers that give SampleKeys say it themselves."""
        self.epoch = epoch

    def __getitem__(self, key: int | SampleKey) -> tuple[Tensor, BoxTarget, ImageMeta]:
        epoch, rank, index = key if isinstance(key, tuple) else (self.epoch, 0, key)
        rows, hw = self.split.rows(index), self._picture_hw(index)
        if self._transform is None:
            tensor, affine = self._whole(index), self.preprocess.placement(hw).affine(self.preprocess.input_hw)
            piece = Piece(tensor.numpy(), map_boxes(self.split.boxes[rows], affine), self.split.labels[rows], self._ignore(rows))
        else:
            piece, (a, b, tx, c, d, ty) = self._augment(self._transform, (self.seed, epoch, rank, index))
            x, y = self._scale(index)
            affine = (a / x, b, tx, c, d / y, ty)
            tensor = to_tensor(piece.image)
        target = BoxTarget(torch.from_numpy(piece.boxes.astype(np.float32)), torch.from_numpy(piece.labels.copy()), torch.from_numpy(piece.ignore.copy()))
        return tensor, target, self._meta(index, hw, affine)

    @property
    def slot_paths(self) -> tuple[Path, ...]:
        """The pictures that a cache is filled from."""
        return self.split.paths

    def slot_sizes(self) -> NDArray[np.int64]:
        """[N] bytes of what a cache keeps of each picture: the finished input, or, where samples are augmented, the picture as it is decoded for that."""
        channels = self.preprocess.channels
        if self._transform is None:
            return np.full(len(self), channels * math.prod(self.preprocess.input_hw), np.int64)
        return np.array([channels * math.prod(self._read_hw(index)) for index in range(len(self))], np.int64)

    def slot_facts(self) -> tuple[object, ...]:
        """What decides the bytes beside the files."""
        return ("boxes", self.preprocess.channels, None if self._transform else self.preprocess.to_dict(), self.split.original_hw.tobytes())

    def _whole(self, index: int) -> Tensor:
        """The plain input [C, H, W] of a picture."""

        def load() -> NDArray[np.uint8]:
            return self.preprocess.apply(read_image(self._paths[index], self.preprocess.channels, self._picture_hw(index)))[0].numpy()

        return torch.from_numpy(load() if self.slots is None else np.array(self.slots.get(index, load)))

    def _read(self, index: int) -> Piece:
        """A picture with its boxes, in pixels of the picture as it was decoded, which may be smaller than the file's."""

        def load() -> NDArray[np.uint8]:
            hw = self._picture_hw(index)
            return read_image(self._paths[index], self.preprocess.channels, hw, self._shrink(hw))

        rows, scale = self.split.rows(index), self._scale(index)
        image = load() if self.slots is None else self.slots.get(index, load)
        return Piece(image, self.split.boxes[rows] / (*scale, *scale), self.split.labels[rows], self._ignore(rows))

    def _augment(self, transform: Transform, seed: tuple[int, int, int, int]) -> tuple[Piece, Affine]:
        """A training sample in input pixels, and the affine of its own picture as decoded."""
        rng, mixing = np.random.default_rng(seed), self._mixing
        if not mixing.is_on(seed[1]):
            piece, affine = self._drawn(transform, rng, seed[3])
            return piece._replace(image=transform.recolour(rng, piece.image)), affine
        chances = rng.random(3)
        if chances[0] < mixing.mosaic:
            four = [self._read(int(other)) for other in (seed[3], *rng.integers(len(self), size=3))]
            piece, affine = build_mosaic(rng, four, self.preprocess, transform.geometry)
        else:
            piece, affine = self._drawn(transform, rng, seed[3])
        if chances[1] < mixing.mixup:
            piece = mix_up(rng, piece, self._drawn(transform, rng, int(rng.integers(len(self))))[0])
        if chances[2] < mixing.copy_paste:
            piece = paste_objects(rng, piece, self._drawn(transform, rng, int(rng.integers(len(self))))[0])
        return piece._replace(image=transform.recolour(rng, piece.image)), affine

    def _drawn(self, transform: Transform, rng: np.random.Generator, index: int) -> tuple[Piece, Affine]:
        """One picture after the geometric step."""
        piece = self._read(index)
        image, boxes, kept, affine = transform.draw(rng, piece.image, piece.boxes, piece.ignore)
        return Piece(image if image.flags.writeable else image.copy(), boxes, piece.labels[kept], piece.ignore[kept]), affine

    def _shrink(self, picture_hw: tuple[int, int]) -> int:
        """How far a large photograph is shrunk while it is decoded: for augmented samples only, and to no less than twice the input."""
        if self._transform is None:
            return 1
        ratio = min(side / target for side, target in zip(picture_hw, self.preprocess.input_hw, strict=True))
        return 4 if ratio >= 8 else 2 if ratio >= 4 else 1

    def _read_hw(self, index: int) -> tuple[int, int]:
        """Height and width as decoded."""
        hw = self._picture_hw(index)
        return shrunk_hw(hw, self._shrink(hw))

    def _scale(self, index: int) -> tuple[float, float]:
        """How many times wider and higher the picture is than as decoded."""
        (height, width), (small_h, small_w) = self._picture_hw(index), self._read_hw(index)
        return width / small_w, height / small_h

    def _picture_hw(self, index: int) -> tuple[int, int]:
        height, width = self.split.original_hw[index].tolist()
        return height, width

    def _ignore(self, rows: slice) -> NDArray[np.bool_]:
        ignore: NDArray[np.bool_] = self.split.crowd[rows] | self.split.difficult[rows]
        return ignore

    def _meta(self, index: int, original_hw: tuple[int, int], affine: Affine) -> ImageMeta:
        return ImageMeta(json.loads(self._image_ids[index]), self._paths[index], original_hw, self.preprocess.input_hw, affine)
