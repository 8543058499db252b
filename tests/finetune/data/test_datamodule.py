"""The data module in a trainer of one's own: order, shares, workers, stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from backbones.errors import UsageError
from detectors.types import Batch
from finetune.config import DataConfig
from finetune.data.samplers import EvalSampler, TrainSampler
from finetune.datamodule import DetectionDataModule, automatic_workers
from tests.finetune.data.makers import write_coco


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    for split, count in (("train", 11), ("val", 5), ("test", 3)):
        write_coco(tmp_path / f"annotations/instances_{split}.json", tmp_path / split, [f"{split}{i}.png" for i in range(count)])
    return DataConfig(root=str(tmp_path), input_size=(32, 48), batch_size=4, workers=0)


def ids(loader: Any) -> list[Any]:
    return [meta.image_id for batch in loader for meta in batch.metas]


def test_loaders(config: DataConfig) -> None:
    data = DetectionDataModule(config, seed=3)
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert [len(batch.metas) for batch in batches] == [4, 4]
    assert batches[0].images.shape == (4, 3, 32, 48)
    assert ids(data.val_dataloader()) == [10, 13, 16, 19, 22]
    assert ids(data.test_dataloader()) == ids(data.predict_dataloader()) == [10, 13, 16]
    assert sorted(ids(data.eval_loader("train"))) == [10 + 3 * i for i in range(11)]
    assert data.class_names == ("cat", "dog")
    assert data.category_ids == (1, 5)
    assert data.preprocess.input_hw == (32, 48)
    assert data.fingerprint == DetectionDataModule(config).fingerprint


def test_a_single_small_batch_is_kept(config: DataConfig) -> None:
    data = DetectionDataModule(DataConfig(**{**vars(config), "batch_size": 64}))
    assert [len(batch.metas) for batch in data.train_dataloader()] == [11]


def test_from_splits_and_missing_splits(config: DataConfig) -> None:
    splits = DetectionDataModule(config).splits
    data = DetectionDataModule.from_splits(splits.train, config=config)
    assert data.class_names == splits.class_names
    assert data.val_dataloader() == []
    with pytest.raises(UsageError, match="no split 'test'; it has train"):
        data.test_dataloader()
    with pytest.raises(UsageError, match="no split is given"):
        DetectionDataModule.from_splits()
    with pytest.raises(UsageError, match="no split 'train'"):
        DetectionDataModule.from_splits(val=splits.val).setup("fit")


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 5, 24])
def test_shares(world: int, count: int) -> None:
    for epoch in (0, 1):
        samplers = [TrainSampler(count, seed=1, rank=rank, world=world) for rank in range(world)]
        for sampler in samplers:
            sampler.set_epoch(epoch)
        keys = [list(sampler) for sampler in samplers]
        assert len({len(share) for share in keys}) == 1
        assert [len(share) for share in keys] == [len(sampler) for sampler in samplers]
        assert {key.image for share in keys for key in share} == set(range(count))
        assert {(key.epoch, key.rank) for rank, share in enumerate(keys) for key in share} == {(epoch, rank) for rank in range(world)}
    shares = [EvalSampler(count, rank, world) for rank in range(world)]
    indices = sorted(index for share in shares for index in share)
    assert indices == sorted([*range(count), *[count - 1] * (-count % world)]), "every image once, the last again to fill up"
    assert len({len(share) for share in shares}) == 1
    assert all(len(share) == len(list(share)) for share in shares)


def test_order_changes_with_epoch_and_seed() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = TrainSampler(50, seed)
        sampler.set_epoch(epoch)
        return [key.image for key in sampler]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*key)) for key in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    assert np.mean([one == other for one, other in zip(order(0, 0), order(0, 1), strict=True)]) < 0.2


def collect(config: DataConfig, workers: int, epochs: range) -> list[tuple[Any, torch.Tensor]]:
    loader = DetectionDataModule(DataConfig(**{**vars(config), "workers": workers, "augment": "strong"}), seed=2).train_dataloader()
    seen = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        seen += [(meta.image_id, image) for batch in loader for meta, image in zip(batch.metas, batch.images, strict=True)]
    return seen


def test_workers_and_resuming_change_nothing(config: DataConfig) -> None:
    """Persistent workers must hear of the epoch, and a run that starts at epoch 1 must continue what a longer run did there."""
    alone, helped, resumed = collect(config, 0, range(2)), collect(config, 2, range(2)), collect(config, 0, range(1, 2))
    assert len(alone) == len(helped) == 16
    for one, other in zip([*alone, *alone[8:]], [*helped, *resumed], strict=True):
        assert one[0] == other[0]
        assert torch.equal(one[1], other[1])
    by_epoch = [{number: image for number, image in part} for part in (alone[:8], alone[8:])]
    both = by_epoch[0].keys() & by_epoch[1].keys()
    assert both
    assert not any(torch.equal(by_epoch[0][number], by_epoch[1][number]) for number in both)


class Probe(pl.LightningModule):
    """Learns nothing; writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[str, int, Any]] = []

    def _note(self, stage: str, batch: Batch) -> torch.Tensor:
        assert isinstance(batch, Batch)
        self.seen += [(stage, self.current_epoch, meta.image_id) for meta in batch.metas]
        return self.weight * batch.images.float().mean()

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        return self._note("train", batch)

    def validation_step(self, batch: Batch, index: int) -> None:
        self._note("val", batch)

    def test_step(self, batch: Batch, index: int) -> None:
        self._note("test", batch)

    def predict_step(self, batch: Batch, index: int) -> list[Any]:
        return [meta.image_id for meta in batch.metas]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(path: Path, **more: Any) -> pl.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", devices=1, default_root_dir=path, **quiet, **more)


@pytest.mark.filterwarnings("ignore")
def test_in_a_trainer_of_ones_own(config: DataConfig, tmp_path: Path) -> None:
    data, probe = DetectionDataModule(config, seed=3), Probe()
    lightning = trainer(tmp_path, max_epochs=2, num_sanity_val_steps=0)
    lightning.fit(probe, data)
    expected = []
    for epoch in (0, 1):
        sampler = TrainSampler(11, seed=3)
        sampler.set_epoch(epoch)
        expected += [("train", epoch, 10 + 3 * key.image) for key in list(sampler)[:8]]
        expected += [("val", epoch, 10 + 3 * i) for i in range(5)]
    assert probe.seen == expected
    probe.seen.clear()
    lightning.test(probe, data, verbose=False)
    assert [number for _, _, number in probe.seen] == [10, 13, 16]
    assert lightning.predict(probe, data) == [[10, 13, 16]]


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_without_validation(config: DataConfig, tmp_path: Path) -> None:
    data, probe = DetectionDataModule.from_splits(DetectionDataModule(config).splits.train, config=config), Probe()
    trainer(tmp_path, max_epochs=1).fit(probe, data)
    assert {stage for stage, _, _ in probe.seen} == {"train"}


def test_automatic_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)), raising=False)
    assert automatic_workers(1000) == 8
    assert automatic_workers(1000, processes=4) == 3
    assert automatic_workers(20) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert automatic_workers(1000) == 0
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert automatic_workers(1000) == 2


class RankProbe(Probe):
    """Writes what its rank was given to a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_end(self) -> None:
        (self.folder / f"seen{self.global_rank}.json").write_text(json.dumps(self.seen))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_share_the_images(config: DataConfig, tmp_path: Path) -> None:
    """Lightning keeps the samplers, their epoch moves on in both ranks, and both get equally many images to validate."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    lightning = pl.Trainer(accelerator="cpu", devices=2, strategy="ddp_spawn", max_epochs=2, num_sanity_val_steps=0, default_root_dir=tmp_path, **quiet)  # type: ignore[arg-type]
    lightning.fit(RankProbe(tmp_path), DetectionDataModule(config, seed=3))
    seen = [[tuple(row) for row in json.loads((tmp_path / f"seen{rank}.json").read_text())] for rank in (0, 1)]
    for rank in (0, 1):
        for epoch in (0, 1):
            sampler = TrainSampler(11, seed=3, rank=rank, world=2)
            sampler.set_epoch(epoch)
            assert [number for stage, at, number in seen[rank] if (stage, at) == ("train", epoch)] == [10 + 3 * key.image for key in list(sampler)[:4]]
            assert [number for stage, at, number in seen[rank] if (stage, at) == ("val", epoch)] == [[10, 16, 22], [13, 19, 22]][rank]  # five images: the last one twice
