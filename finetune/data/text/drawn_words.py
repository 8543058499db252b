"""Pictures of words that are drawn while a training runs: none is ever seen twice, and nothing of them lies on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from detectors.types import ImageMeta, TextTarget
from finetune.data.dataset import SampleKey
from finetune.data.held_out import HeldOut
from finetune.data.preprocess import to_tensor
from finetune.data.text.checks import LEAST_LETTERS
from finetune.data.text.quads import letter_sizes
from finetune.samples.text.word_pictures import WordPictures

MANY = 1_000_000  # pictures until the first comes again


class DrawnWords(Dataset[tuple[Tensor, TextTarget, ImageMeta]]):
    """Samples: (uint8 picture [C, H, W], TextTarget with words and characters, ImageMeta). Camera and light are part of the drawing, so nothing is augmented.

    Args:
        size_hw: Height and width of samples.
        seed: Which pictures.
        backgrounds: Folder of photographs without text; None draws them.
        channels: 3 (RGB) or 1 (grey).
        held_out: Photographs that must not be used.

    Raises:
        UsageError, DataError: As for ``WordPictures``.
    """

    def __init__(self, size_hw: tuple[int, int], seed: int = 0, backgrounds: str | None = None, channels: int = 3, held_out: HeldOut | None = None) -> None:
        self.size_hw, self.channels = size_hw, channels
        self._pictures = WordPictures(size_hw, seed, backgrounds=backgrounds, held_out=held_out)

    @property
    def photographs(self) -> tuple[Path, ...]:
        """What words are drawn on; none where the grounds are drawn, too."""
        return self._pictures.grounds.photographs

    @property
    def left_out(self) -> int:
        """How many photographs of the folder are held out."""
        return self._pictures.grounds.left_out

    def __len__(self) -> int:
        return MANY

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, TextTarget, ImageMeta]:
        picture = self._pictures.draw(key.image)
        image = picture.image
        if self.channels == 1:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None], np.uint8)
        letters = np.array([len(text.replace(" ", "")) for text in picture.texts], np.int64)
        ignore = picture.ignore | (letter_sizes(picture.quads, letters) < LEAST_LETTERS)
        target = TextTarget(
            torch.from_numpy(picture.quads.astype(np.float32)), torch.from_numpy(ignore), picture.texts,
            torch.from_numpy(picture.char_quads.astype(np.float32)), torch.from_numpy(picture.char_words),
        )  # fmt: skip
        return to_tensor(np.ascontiguousarray(image)), target, ImageMeta(f"words/{key.image}", "", self.size_hw, self.size_hw, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
