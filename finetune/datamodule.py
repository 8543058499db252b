"""Data for a Lightning trainer: ours or a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed
from torch.utils.data import DataLoader, Dataset

from backbones.errors import UsageError
from detectors.types import Batch, FeatureBatch
from finetune.budget import images_of_an_epoch
from finetune.config import DataConfig
from finetune.data.batch import collate
from finetune.data.dataset import DetectionDataset, SampleKey
from finetune.data.image_cache import build_cache, keepable
from finetune.data.mixing import Mixing
from finetune.data.preprocess import Affine, Preprocess
from finetune.data.samplers import EvalSampler, TrainSampler
from finetune.data.sources import EMBEDDED
from finetune.data.splits import DataSplits, load_splits, locate, splits_of
from finetune.data.text.dataset import TextDataset
from finetune.data.text.mix import MixedDataset, MixedSampler, Source, build_sources, source_lines
from finetune.data.text.splits import locate_text
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import BoxSplit, TextSplit
from finetune.features.dataset import FeatureDataset, as_it_is
from finetune.loaders import automatic_workers, build_loader
from finetune.overfit import few_images


class DetectionDataModule(pl.LightningDataModule):
    """Loaders of ``detectors.types.Batch`` for train, val, test and predict.

    Sample order and augmentation depend only on (seed, epoch, rank, index): not on workers, nor on when a run was resumed.

    Args:
        config: The data settings.
        seed: Decides the order, the augmentation, and the validation share where there is no validation split.
        splits: Data that are loaded already; default: read what ``config`` says, at the first use.
        preprocess: How pictures become inputs; a ``TextPreprocess`` asks for words of scene text (``TextTarget``): training samples are then
            crops of the input size, all others whole pictures. Default: the input size and resizing of ``config``, for boxes.
    """

    def __init__(self, config: DataConfig | None = None, seed: int = 0, splits: DataSplits[Any] | None = None, preprocess: Preprocess | TextPreprocess | None = None) -> None:
        super().__init__()
        self.config = config or DataConfig()
        self.seed = seed
        self._preprocess = preprocess
        self._splits = splits
        self._epoch = 0
        self._sources: list[Source] | None = None
        self._word_sets: list[TextDataset] | None = None
        self._windows: list[tuple[Affine, ...]] = [(), ()]  # fixed crops of train and val, in a test of the set-up
        self._mixing = Mixing(self.config.mosaic, self.config.mixup, self.config.copy_paste)
        self._features: FeatureDataset | None = None
        self._cache = build_cache(self.config)
        self._cache_lines: list[str] = []

    def set_epoch(self, epoch: int) -> None:
        """The epoch that comes next: for a resumed run, whose loader workers start before Lightning tells the sampler."""
        self._epoch = epoch

    def mix_until(self, epoch: int) -> None:
        """Mosaic, mixup and copy-paste only before this epoch (from 0), so that a run ends on pictures as they are."""
        self._mixing = replace(self._mixing, epochs=epoch)

    def read_features(self, features: FeatureDataset) -> None:
        """From now on training reads these instead of pictures."""
        self._features = features

    def training_samples(self) -> Any:
        """Samples of the training split by SampleKey, augmented as the settings say."""
        return self.word_sets[0] if self.finds_words else self._dataset(self.splits.get("train"), self.config.augment)

    def view_loader(self, keys: Sequence[SampleKey]) -> DataLoader[Any]:
        """Batches of the given training samples, in their order."""
        return self._loader(self.training_samples(), keys, self.config.batch_size, drop_last=False)

    @classmethod
    def from_splits(cls, train: BoxSplit | None = None, val: BoxSplit | None = None, test: BoxSplit | None = None, config: DataConfig | None = None, seed: int = 0) -> DetectionDataModule:
        """Wrap splits that are in memory; input size, augmentation and loading follow ``config``."""
        return cls(config, seed, splits_of(train, val, test))

    @property
    def splits(self) -> DataSplits[Any]:
        """The data; read at the first use."""
        if self._splits is None:
            preprocess = self._preprocess if isinstance(self._preprocess, TextPreprocess) else None
            self._splits = load_splits(self.config, self.seed, wants="boxes" if preprocess is None else "text", preprocess=preprocess)
            if self.config.overfit:
                self._splits, *self._windows = few_images(self._splits, self.config, self.preprocess)
        return self._splits

    @property
    def sources(self) -> list[Source]:
        """Where training samples come from with ``data.mix``; none without it."""
        if self._sources is None:
            self._sources = []
            if self.config.mix and isinstance(self._preprocess, TextPreprocess) and not self.config.overfit:
                held_out = [path for split in (self.splits.val, self.splits.test) if split is not None for path in split.paths]
                self._sources = build_sources(self.config, self.splits.get("train"), held_out, self._preprocess, self.seed)
        return self._sources

    @property
    def word_sets(self) -> list[TextDataset]:
        """Sets of labelled words that training samples come from: always the same objects, so that they can be given characters."""
        if self._word_sets is None:
            samples = [source.samples for source in self.sources] or [self._dataset(self.splits.get("train"), self.config.augment)]
            self._word_sets = [one for one in samples if isinstance(one, TextDataset)]
        return self._word_sets

    @property
    def train_images(self) -> int:
        """Samples of an epoch."""
        return images_of_an_epoch(self.config, len(self.splits.get("train")))

    @property
    def finds_words(self) -> bool:
        """Whether samples are scene text rather than boxes."""
        return isinstance(self._preprocess, TextPreprocess)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in label order."""
        return self.splits.class_names

    @property
    def category_ids(self) -> tuple[int, ...]:
        """Ids to write in COCO results, in label order."""
        return self.splits.category_ids

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines about the data for the user."""
        return (*self.splits.summary, *(source_lines(self.sources, self.train_images) if self.splits.train is not None and self.sources else ()), *self._cache_lines)

    @property
    def fingerprint(self) -> str:
        """Equal for equal data."""
        return self.splits.fingerprint

    @property
    def preprocess(self) -> Preprocess | TextPreprocess:
        """How pictures become inputs."""
        return self._preprocess or Preprocess((self.config.input_size[0], self.config.input_size[1]), self.config.resize, self.config.channels)

    def prepare_data(self) -> None:
        """Draw the sample set if it is asked for: once, by one process."""
        if self._splits is None and self.config.root in EMBEDDED:
            locate_text(self.config) if self.finds_words else locate(self.config)

    def setup(self, stage: str | None = None) -> None:
        """Read annotations and check every picture; with ``data.cache``, see that the pictures fit."""
        if stage == "fit":
            train = self.splits.get("train")
            if self._cache is not None and not self._cache_lines:
                training = MixedDataset(self.sources) if self.sources else self._dataset(train, self.config.augment)
                validation = [] if self.splits.val is None else keepable(self._dataset(self.splits.val, "none"))
                self._cache_lines = self._cache.plan([*keepable(training), *validation])

    def without_cache(self) -> None:
        """Keep no pictures, whatever ``data.cache`` says: for trials that write nothing."""
        self._cache = None

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled and augmented; the last, smaller batch is left out unless it is the only one."""
        split, (rank, world) = self.splits.get("train"), self._processes()
        sources = self.sources
        mixed = [len(source.rows) for source in sources]
        shares = [source.share for source in sources]
        sampler = MixedSampler(mixed, shares, self.train_images, self.seed, rank, world) if sources else TrainSampler(len(split), self.seed, rank, world, self.config.views)
        sampler.set_epoch(self._epoch)
        samples = self._features if self._features is not None else MixedDataset(sources) if sources else self.training_samples()
        return self._loader(samples, sampler, self.config.batch_size, drop_last=len(sampler) > self.config.batch_size)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Every image once; no loader when there is no validation split."""
        return self._eval_loader("val") if self.splits.val is not None else []

    def test_dataloader(self) -> DataLoader[Any]:
        """Every image once."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test split, or the validation split where there is no test split."""
        return self._eval_loader("test" if self.splits.test is not None else "val")

    def eval_loader(self, split: str) -> DataLoader[Any]:
        """Every image of train, val or test once, in order, not augmented."""
        return self._eval_loader(split)

    def samples(self, split: str, images: Sequence[int]) -> list[Any]:
        """Some images of train, val or test with targets and metas, as an evaluation sees them."""
        dataset = self._dataset(self.splits.get(split), "none")
        return [dataset[index] for index in images]

    def transfer_batch_to_device(self, batch: Batch | FeatureBatch, device: torch.device, dataloader_idx: int) -> Batch | FeatureBatch:
        """Move images and targets; metas stay."""
        return batch.to(device, non_blocking=True)

    def _eval_loader(self, split: str) -> DataLoader[Any]:
        data, (rank, world) = self.splits.get(split), self._processes()
        batch_size = 1 if self.finds_words and not self.config.overfit else self.config.batch_size  # whole pictures of text are large, and of many sizes
        return self._loader(self._dataset(data, "none"), EvalSampler(len(data), rank, world), batch_size, drop_last=False)

    def _loader(self, samples: Dataset[Any], sampler: Any, batch_size: int, drop_last: bool) -> DataLoader[Any]:
        workers = self.config.workers if self.config.workers >= 0 else automatic_workers(len(sampler), self._local_processes())
        self._keep(samples)
        return build_loader(samples, sampler, batch_size, drop_last, workers, as_it_is if samples is self._features else collate)

    def _keep(self, samples: Any) -> None:
        """Let samples keep their pictures, where ``data.cache`` asks for it."""
        for one in keepable(samples) if self._cache is not None else ():
            self._cache.attach(one)  # type: ignore[union-attr]

    def _dataset(self, split: BoxSplit | TextSplit, augment: str) -> DetectionDataset | TextDataset:
        seed = 0 if self.config.views else self.seed  # fixed views are those of every seed, so that runs can share what was computed from them
        if isinstance(split, TextSplit) and isinstance(self.preprocess, TextPreprocess):
            return TextDataset(split, self.preprocess, augment, seed, (self.config.input_size[0], self.config.input_size[1]), windows=self._windows[split.name == "val"])
        if isinstance(split, BoxSplit) and isinstance(self.preprocess, Preprocess):
            return DetectionDataset(split, self.preprocess, augment, seed, self._mixing)
        raise UsageError("words need a TextPreprocess, boxes a Preprocess: the splits that were given are of the other kind")

    def _processes(self) -> tuple[int, int]:
        if self.trainer is not None:
            return self.trainer.global_rank, self.trainer.world_size
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def _local_processes(self) -> int:
        return max(1, self._processes()[1] // max(1, self.trainer.num_nodes)) if self.trainer is not None else 1
