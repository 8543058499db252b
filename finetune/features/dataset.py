"""Training samples whose pictures have run through the frozen stages before: features from a file that is mapped into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from detectors.types import FeatureBatch, ImageMeta
from finetune.data.dataset import SampleKey
from finetune.data.types import BoxSplit, TextSplit
from finetune.features.layout import FeatureFolder
from finetune.features.samples import read_sample_line


class FeatureDataset(Dataset[FeatureBatch]):
    """Batches of features with their targets; no picture is opened.

    Epoch e shows view e modulo the number of views, as the sampler of an uncached run does.

    Args:
        folder: Complete.
        split: The training split that it was made of.
    """

    def __init__(self, folder: FeatureFolder, split: BoxSplit | TextSplit) -> None:
        layout = folder.read_layout()
        if layout is None or not folder.is_complete(layout) or layout.images != len(split):
            raise ValueError(f"{folder.root} holds no complete features of these {len(split)} pictures")
        self.layout = layout
        self._folder, self._split = folder, split
        self._bounds = [0, *np.cumsum([math.prod(shape) for shape in layout.parts]).tolist()]
        self._mapped: Any = None  # each process maps the files by itself

    def __len__(self) -> int:
        return self.layout.images

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}

    def __getitem__(self, key: int | SampleKey) -> FeatureBatch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[int | SampleKey]) -> FeatureBatch:
        """A batch at once, as torch's loader asks for it."""
        places = [(key.epoch % self.layout.views, key.image) if isinstance(key, tuple) else (0, key) for key in keys]
        rows = np.array([view * self.layout.images + image for view, image in places], np.int64)
        values, lines, ends = self._files()
        features = self.layout.from_parts([torch.from_numpy(values[rows, start:end]) for start, end in pairwise(self._bounds)])
        targets, metas = [], []
        for row, (_, image) in zip(rows.tolist(), places, strict=True):
            target, affine = read_sample_line(lines[ends[row] : ends[row + 1]].tobytes())
            height, width = self._split.original_hw[image].tolist()
            targets.append(target)
            metas.append(ImageMeta(self._split.image_ids[image], str(self._split.paths[image]), (height, width), self.layout.input_hw, affine))
        return FeatureBatch(features, targets, metas)

    def _files(self) -> Any:
        if self._mapped is None:
            values = np.memmap(self._folder.rows, self.layout.stored, "r", shape=(self.layout.rows, self.layout.row_values))
            lines = np.memmap(self._folder.samples, np.uint8, "r")
            ends = np.concatenate([[0], np.flatnonzero(lines == ord("\n")) + 1])
            self._mapped = values, lines, ends
        return self._mapped


def as_it_is(batch: FeatureBatch) -> FeatureBatch:
    """Nothing is left to collate."""
    return batch
