"""Pictures of a split, resized or augmented, one at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detectors.types import BoxTarget, ImageMeta
from finetune.data.images import read_image
from finetune.data.mixing import Mixing, Piece, build_mosaic, mix_up, paste_objects
from finetune.data.packed import PackedStrings
from finetune.data.preprocess import Affine, Preprocess, map_boxes, to_tensor
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
        height, width = self.split.original_hw[index].tolist()
        if self._transform is None:
            piece, shrink = self._read(index)
            tensor, affine = self.preprocess.apply(piece.image)
            piece = piece._replace(boxes=map_boxes(piece.boxes, affine))
        else:
            piece, (a, b, tx, c, d, ty), shrink = self._augment(self._transform, (self.seed, epoch, rank, index))
            affine = (a / shrink, b, tx, c, d / shrink, ty)
            tensor = to_tensor(piece.image)
        target = BoxTarget(torch.from_numpy(piece.boxes.astype(np.float32)), torch.from_numpy(piece.labels.copy()), torch.from_numpy(piece.ignore.copy()))
        return tensor, target, self._meta(index, (height, width), affine)

    def _read(self, index: int) -> tuple[Piece, int]:
        """A picture with its boxes, and how much smaller than the file it was decoded; boxes are in pixels of the decoded picture."""
        split, rows = self.split, self.split.rows(index)
        height, width = split.original_hw[index].tolist()
        image = read_image(self._paths[index], self.preprocess.channels, (height, width), self._shrink((height, width)))
        shrink = height // image.shape[0]
        return Piece(image, split.boxes[rows] / shrink, split.labels[rows], split.crowd[rows] | split.difficult[rows]), shrink

    def _augment(self, transform: Transform, seed: tuple[int, int, int, int]) -> tuple[Piece, Affine, int]:
        """A training sample in input pixels, the affine of its own picture, and how much smaller that was decoded."""
        rng, mixing = np.random.default_rng(seed), self._mixing
        if not mixing.is_on(seed[1]):
            piece, affine, shrink = self._drawn(transform, rng, seed[3])
            return piece._replace(image=transform.recolour(rng, piece.image)), affine, shrink
        chances = rng.random(3)
        if chances[0] < mixing.mosaic:
            own, shrink = self._read(seed[3])
            piece, affine = build_mosaic(rng, [own, *(self._read(int(other))[0] for other in rng.integers(len(self), size=3))], self.preprocess, transform.geometry)
        else:
            piece, affine, shrink = self._drawn(transform, rng, seed[3])
        if chances[1] < mixing.mixup:
            piece = mix_up(rng, piece, self._drawn(transform, rng, int(rng.integers(len(self))))[0])
        if chances[2] < mixing.copy_paste:
            piece = paste_objects(rng, piece, self._drawn(transform, rng, int(rng.integers(len(self))))[0])
        return piece._replace(image=transform.recolour(rng, piece.image)), affine, shrink

    def _drawn(self, transform: Transform, rng: np.random.Generator, index: int) -> tuple[Piece, Affine, int]:
        """One picture after the geometric step."""
        piece, shrink = self._read(index)
        image, boxes, kept, affine = transform.draw(rng, piece.image, piece.boxes, piece.ignore)
        return Piece(image, boxes, piece.labels[kept], piece.ignore[kept]), affine, shrink

    def _shrink(self, picture_hw: tuple[int, int]) -> int:
        """How far a large photograph may be shrunk while it is decoded: for augmented samples only, and to no less than twice the input."""
        if self._transform is None:
            return 1
        ratio = min(side / target for side, target in zip(picture_hw, self.preprocess.input_hw, strict=True))
        return 4 if ratio >= 8 else 2 if ratio >= 4 else 1

    def _meta(self, index: int, original_hw: tuple[int, int], affine: Affine) -> ImageMeta:
        return ImageMeta(json.loads(self._image_ids[index]), self._paths[index], original_hw, self.preprocess.input_hw, affine)
