"""From files to a batch: decode, augment, resize, collate; ours against torchvision's transforms.v2 on the same pictures and boxes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import io, tv_tensors
from torchvision.transforms import v2

from bench.scenes import SIZE, set_threads
from detectors.types import Batch
from finetune.allocator import keep_freed_memory
from finetune.config import DataConfig
from finetune.data.batch import collate
from finetune.data.dataset import DetectionDataset, SampleKey
from finetune.data.image_cache import ImageCache
from finetune.data.preprocess import Preprocess
from finetune.data.splits import load_splits
from finetune.data.types import BoxSplit


class Ours:
    """Our dataset at augmentation "light"."""

    def __init__(self, split: BoxSplit, cache: bool = False) -> None:
        self.data = DetectionDataset(split, Preprocess(SIZE), "light")
        self.cache = ImageCache("ram", Path(tempfile.mkdtemp())) if cache else None
        if self.cache is not None:
            self.cache.attach(self.data)

    def batch(self, epoch: int, rows: range) -> Batch:
        """One batch of an epoch."""
        return collate([self.data[SampleKey(epoch, 0, row % len(self.data))] for row in rows])


class Theirs:
    """The same strength of zoom, flip and colour with transforms.v2 on uint8 tensors, which its documentation calls the fastest way."""

    def __init__(self, split: BoxSplit, decoder: str = "torchvision") -> None:
        self.split = split
        self.decoder = decoder
        zoom = v2.RandomResizedCrop(SIZE, scale=(0.6, 1.0), ratio=(1.2, 1.47), antialias=True)  # about the shape of the pictures, 4:3
        self.transform = v2.Compose([
            v2.RandomChoice([zoom, v2.Resize(SIZE, antialias=True)], p=[0.7, 0.3]),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.15, contrast=0.15)], p=0.5),
            v2.RandomApply([v2.ColorJitter(saturation=0.2, hue=5 / 360)], p=0.3),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(),
        ])

    def _read(self, path: str) -> Tensor:
        if self.decoder == "torchvision":
            return io.decode_image(io.read_file(path), mode=io.ImageReadMode.RGB)
        from PIL import Image

        with Image.open(path) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)

    def sample(self, row: int) -> tuple[Tensor, dict[str, Tensor]]:
        """A picture and its target."""
        index = row % len(self.split)
        image = tv_tensors.Image(self._read(str(self.split.paths[index])))
        rows = self.split.rows(index)
        boxes = tv_tensors.BoundingBoxes(torch.from_numpy(self.split.boxes[rows]).float(), format="XYXY", canvas_size=image.shape[-2:])  # type: ignore[call-overload]
        return self.transform(image, {"boxes": boxes, "labels": torch.from_numpy(self.split.labels[rows])})

    def batch(self, epoch: int, rows: range) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """One batch of an epoch."""
        torch.manual_seed(epoch * 10_007 + rows.start)
        images, targets = zip(*(self.sample(row) for row in rows), strict=True)
        return torch.stack(images), list(targets)


def load_split(settings: Mapping[str, Any]) -> BoxSplit:
    """The training split of the data set that is timed."""
    split = load_splits(DataConfig(root=settings["data"])).train
    if split is None:
        raise RuntimeError(f"no training split in {settings['data']}")
    return split


class DataSide:
    """Batches of so many pictures, an epoch after the other."""

    def __init__(self, side: str, settings: Mapping[str, Any]) -> None:
        split = load_split(settings)
        self.source: Ours | Theirs = Ours(split, settings.get("cache", False)) if side == "ours" else Theirs(split, settings.get("decoder", "torchvision"))
        self.batch_size, self.batches, self.epoch = settings["batch"], settings["batches"], 0

    def time(self) -> float:
        """Seconds of some batches."""
        start = time.perf_counter()
        for number in range(self.batches):
            self.source.batch(self.epoch, range(number * self.batch_size, (number + 1) * self.batch_size))
        self.epoch += 1
        return time.perf_counter() - start

    def result(self) -> list[float]:
        """Sums of the pixels of our samples, with and without cache; nothing against another library, whose augmentation is drawn by chance."""
        return [float(self.source.data[SampleKey(1, 0, row)][0].sum()) for row in range(32)] if isinstance(self.source, Ours) else []


def build(side: str, settings: Mapping[str, Any]) -> DataSide:
    """A side: "ours" or "theirs"."""
    if side == "ours":
        keep_freed_memory()
    set_threads(settings["threads"])
    return DataSide(side, settings)
