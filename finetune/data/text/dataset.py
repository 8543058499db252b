"""Pictures of a text split, whole or as augmented crops, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from detectors.types import ImageMeta, TextTarget
from finetune.data.dataset import SampleKey
from finetune.data.packed import PackedStrings
from finetune.data.preprocess import Affine, to_tensor
from finetune.data.text.checks import LEAST_LETTERS
from finetune.data.text.crop_pictures import CropPictures
from finetune.data.text.found_characters import FoundCharacters, KnownCharacters, known_characters
from finetune.data.text.geometry import LEVELS, is_whole, random_crop, random_linear, seen
from finetune.data.text.quads import Quads, letter_sizes, map_points, mend
from finetune.data.text.windows import cover_words
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit

_HARDLY = 0.02  # share of a word in the crop: less is no part of the sample


class TextDataset(Dataset[tuple[Tensor, TextTarget, ImageMeta]]):
    """Samples of a split: (uint8 image [C, H, W], TextTarget in input pixels, ImageMeta).

    With ``augment`` "none" a sample is the whole picture at the size that ``preprocess`` gives it, with every word of the split in
    its order. Else it is a crop with the words in it: words that the crop cuts are ignored unless their characters are known (or found,
    see ``room_for_characters``), and so are words lower than 6 pixels. Corners that are not clockwise are put in order; words without area are left out of crops.

    Args:
        split: Pictures and words.
        preprocess: How a whole picture becomes an input.
        augment: "none", "light", "medium" or "strong".
        seed: With epoch, rank and index it decides every random choice.
        crop_hw: Height and width of augmented samples.
        pad: Value 0..255 of what lies outside the picture in a crop.
        windows: With ``augment`` "none": the affine of one fixed crop of ``crop_hw`` of each picture, which then is the sample, ignored words painted over.
    """

    def __init__(
        self, split: TextSplit, preprocess: TextPreprocess, augment: str = "none", seed: int = 0, crop_hw: tuple[int, int] = (640, 640), pad: int = 0, windows: Sequence[Affine] = ()
    ) -> None:
        self.split, self.preprocess, self.augment, self.seed = split, preprocess, augment, seed
        self.crop_hw, self.pad, self.epoch = crop_hw, pad, 0
        self.pictures = CropPictures(split.paths, split.original_hw, preprocess, augment)
        self._image_ids = PackedStrings(split.image_ids)
        self._texts = PackedStrings([text.encode("utf-8", "replace").decode() for text in split.texts])
        self._letters = np.array([len(text.replace(" ", "")) for text in split.texts], np.int64)
        mended = mend(split.quads)
        self._quads, self._empty = mended.quads, mended.empty
        self._colour, self._windows = None, tuple(windows)
        self._found: FoundCharacters | None = None
        if augment != "none":
            from finetune.data.transforms import build_colour

            self._colour = build_colour(augment, grey=preprocess.channels == 1)

    def __len__(self) -> int:
        return len(self.split)

    def room_for_characters(self) -> FoundCharacters:
        """Where characters may be put that a model finds in words that bring none: samples carry them from then on. To be asked for before loaders start."""
        if self._found is None:
            self._found = FoundCharacters(self.split, self._quads)
        return self._found

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of plain integer indices; samplers that give SampleKeys say it themselves."""
        self.epoch = epoch

    def __getitem__(self, key: int | SampleKey) -> tuple[Tensor, TextTarget, ImageMeta]:
        epoch, rank, index = key if isinstance(key, tuple) else (self.epoch, 0, key)
        if self._colour is not None:
            return self._crop(np.random.default_rng((self.seed, epoch, rank, index)), index)
        rows = np.arange(self.split.offsets[index], self.split.offsets[index + 1])
        if self._windows:
            affine = self._windows[index]
            covered = map_points(self._quads[rows[self.split.ignore[rows]]], affine)
            tensor = to_tensor(cover_words(self.pictures.crop(index, affine, self.crop_hw, self.pad), covered))
        else:
            planes, affine = self.pictures.whole(index)
            tensor = torch.from_numpy(planes)
        quads = map_points(self._quads[rows], affine)
        target = self._target(rows, quads, self.split.ignore[rows] | self._empty[rows], known_characters(self.split, rows, self._found), affine)
        return tensor, target, self._meta(index, (tensor.shape[1], tensor.shape[2]), affine)

    def _crop(self, rng: np.random.Generator, index: int) -> tuple[Tensor, TextTarget, ImageMeta]:
        """An augmented crop, drawn in one resampling step."""
        from finetune.data.transforms import recolour

        limits, hw = LEVELS[self.augment], self.pictures.hw(index)
        rows = np.arange(self.split.offsets[index], self.split.offsets[index + 1])
        rows = rows[~self._empty[rows]]
        linear = random_linear(rng, limits, self.preprocess.ratio(hw))
        affine = random_crop(rng, limits, linear, hw, self.crop_hw, self._quads[rows], self.split.ignore[rows])
        image = self.pictures.crop(index, affine, self.crop_hw, self.pad)
        quads = map_points(self._quads[rows], affine)
        share = seen(quads, self.crop_hw)
        there = share > _HARDLY
        rows, quads, share = rows[there], quads[there], share[there]
        known = known_characters(self.split, rows, self._found)
        cut = ~is_whole(share) & (np.bincount(known.words, minlength=len(rows)) == 0)
        ignore = self.split.ignore[rows] | cut | (letter_sizes(quads, self._letters[rows]) < LEAST_LETTERS)
        target = self._target(rows, quads, ignore, known, affine)
        return to_tensor(recolour(self._colour, rng, image)), target, self._meta(index, self.crop_hw, affine)

    def _target(self, rows: NDArray[np.intp], quads: Quads, ignore: NDArray[np.bool_], known: KnownCharacters, affine: Affine) -> TextTarget:
        """Words of the given rows, with their characters where any are known."""
        texts = tuple(self._texts[row] for row in rows.tolist())
        words = TextTarget(torch.from_numpy(quads.astype(np.float32)), torch.from_numpy(ignore.copy()), texts)
        if not len(self.split.char_quads) and self._found is None:
            return words
        chars = torch.from_numpy(map_points(known.quads, affine).astype(np.float32))
        return replace(words, char_quads=chars, char_words=torch.from_numpy(known.words), word_confidence=None if self._found is None else torch.from_numpy(known.confidence))

    def _meta(self, index: int, input_hw: tuple[int, int], affine: Affine) -> ImageMeta:
        return ImageMeta(self._image_ids[index], self.pictures.path(index), self.pictures.hw(index), input_hw, affine)
