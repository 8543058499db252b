"""Crops of pictures that a teacher marked, with the same crop of its maps as the target."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from backbones.errors import DataError
from detectors.types import ImageMeta, TextTarget
from finetune.data.dataset import SampleKey
from finetune.data.preprocess import Affine, to_tensor
from finetune.data.teacher_store import TaughtPicture, TeacherStore
from finetune.data.text.crop_pictures import CropPictures
from finetune.data.text.geometry import LEVELS, random_crop, random_linear
from finetune.data.text_preprocess import TextPreprocess

_STRIDE = 2  # input pixels per cell of our maps


class TaughtDataset(Dataset[tuple[Tensor, TextTarget, ImageMeta]]):
    """Samples of a store: (uint8 crop [C, H, W], TextTarget with ready-made maps [2, H / 2, W / 2], ImageMeta).

    Crops lie where the teacher found words, as crops of labelled pictures lie where words are. Maps go through the same affine as the
    picture; cells that no picture lies under are background.

    Args:
        store: Complete.
        preprocess: At which scale evaluation sees a picture; crops are that large, more or less.
        augment: "light", "medium" or "strong".
        seed: With epoch, rank and index it decides every random choice.
        crop_hw: Height and width of samples.

    Raises:
        DataError: The store holds no pictures, or pictures that are gone.
    """

    def __init__(self, store: TeacherStore, preprocess: TextPreprocess, augment: str, seed: int, crop_hw: tuple[int, int]) -> None:
        from finetune.data.transforms import build_colour

        self.store, self.preprocess, self.augment, self.seed, self.crop_hw = store, preprocess, augment, seed, crop_hw
        self._taught = [taught for taught in store.done if taught.maps]
        if not self._taught:
            raise DataError(f"{store.folder}: the store has no pictures that could be read; make it again with finetune distill")
        self.pictures = CropPictures(self.paths, np.array([taught.hw for taught in self._taught], np.int32), preprocess, augment)
        self._quads = [np.array(taught.quads, np.float64).reshape(-1, 4, 2) for taught in self._taught]
        self._colour = build_colour(augment, grey=preprocess.channels == 1)

    def __len__(self) -> int:
        return len(self._taught)

    @property
    def paths(self) -> list[Path]:
        """The pictures, in order."""
        return [Path(taught.picture) for taught in self._taught]

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, TextTarget, ImageMeta]:
        from finetune.data.transforms import recolour

        epoch, rank, index = key
        rng = np.random.default_rng((self.seed, epoch, rank, index))
        taught, limits, quads = self._taught[index], LEVELS[self.augment], self._quads[index]
        linear = random_linear(rng, limits, self.preprocess.ratio(taught.hw))
        affine = random_crop(rng, limits, linear, taught.hw, self.crop_hw, quads, np.zeros(len(quads), np.bool_))
        image = self.pictures.crop(index, affine, self.crop_hw, 0)
        maps = torch.from_numpy(self._maps(taught, affine))
        target = TextTarget(torch.zeros(0, 4, 2), torch.zeros(0, dtype=torch.bool), (), maps=maps)
        meta = ImageMeta(f"{self.store.folder.name}/{index}", taught.picture, taught.hw, self.crop_hw, affine)
        return to_tensor(recolour(self._colour, rng, image)), target, meta

    def _maps(self, taught: TaughtPicture, affine: Affine) -> NDArray[np.float32]:
        """[2, h, w], the teacher's maps drawn through the affine of the crop."""
        maps = self.store.maps_of(taught)
        a, b, tx, c, d, ty = affine
        scale = self.store.facts.stride / taught.ratio / _STRIDE  # cells of the crop for a cell of the teacher, before the affine
        linear = np.array([[a, b], [c, d]]) * scale
        shift = np.array([tx, ty]) / _STRIDE
        height, width = -(-self.crop_hw[0] // _STRIDE), -(-self.crop_hw[1] // _STRIDE)
        corners = (np.array([[0, 0], [width, 0], [width, height], [0, height]]) - shift) @ np.linalg.inv(linear).T
        left, top = (max(0, math.floor(value) - 2) for value in corners.min(0).tolist())
        right, bottom = (max(1, math.ceil(value) + 2) for value in corners.max(0).tolist())
        part = np.ascontiguousarray(maps[:, top:bottom, left:right].transpose(1, 2, 0), np.float32)
        if not part.size:
            return np.zeros((2, height, width), np.float32)
        shift = shift + linear @ np.array([left, top]) + linear.sum(1) / 2 - 0.5  # OpenCV counts from the centres of cells
        drawn = cv2.warpAffine(part, np.concatenate([linear, shift[:, None]], axis=1), (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        return np.ascontiguousarray(drawn.transpose(2, 0, 1))
