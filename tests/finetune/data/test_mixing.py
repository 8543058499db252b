"""Mosaic, mixup and copy-paste: every box still holds its object, found again by its colour."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from finetune.config import DataConfig
from finetune.data import DetectionDataset, Preprocess, load_splits
from finetune.data.dataset import SampleKey
from finetune.data.geometry import GeometryLimits
from finetune.data.mixing import Mixing, Piece, build_mosaic, mix_up, paste_objects
from finetune.datamodule import DetectionDataModule
from tests.finetune.tiny import write_squares

COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], np.uint8)
LIMITS = GeometryLimits(flip=0.5, min_visibility=0.3)


def piece(label: int, hw: tuple[int, int] = (120, 160), box: tuple[int, int, int, int] = (40, 30, 120, 90), ignore: bool = False) -> Piece:
    """A grey picture with one rectangle in the colour of its label."""
    image = np.full((*hw, 3), 100, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = COLOURS[label]
    return Piece(image, np.array([box], np.float64), np.array([label]), np.array([ignore]))


def extent(image: np.ndarray, label: int) -> np.ndarray:
    """The rectangle around the pixels in the colour of a label; resampling makes edges impure."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - COLOURS[label]).max(2) < 60)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("seed", range(12))
def test_boxes_of_a_mosaic_hold_their_objects(seed: int) -> None:
    pieces = [piece(0), piece(1, (300, 100), (10, 100, 90, 220)), piece(2, (64, 64), (8, 8, 50, 40)), piece(3)]
    mosaic, affine = build_mosaic(np.random.default_rng(seed), pieces, Preprocess((192, 256)), LIMITS)
    assert mosaic.image.shape == (192, 256, 3)
    assert len(mosaic.boxes) == len(mosaic.labels) == len(mosaic.ignore) >= 2
    for box, label in zip(mosaic.boxes, mosaic.labels, strict=True):
        np.testing.assert_allclose(box, extent(mosaic.image, int(label)), atol=2.0)
    a, _, tx, _, d, ty = affine
    if 0 in mosaic.labels:
        xs = np.sort(pieces[0].boxes[0, 0::2] * a + tx)
        shown = mosaic.boxes[mosaic.labels.tolist().index(0)]
        assert xs[0] <= shown[0] + 1e-6
        assert shown[2] <= xs[1] + 1e-6
        assert pieces[0].boxes[0, 1] * d + ty <= shown[1] + 1e-6


def test_a_mosaic_shows_its_pictures_whole_or_enlarged() -> None:
    areas = [build_mosaic(np.random.default_rng(seed), [piece(i) for i in range(4)], Preprocess((240, 320)), LIMITS)[0] for seed in range(40)]
    sides = np.concatenate([sample.boxes[:, 2] - sample.boxes[:, 0] for sample in areas])
    assert 20 < sides.min() < 60  # 80 of 160 pixels in a cell of a third of 320
    assert 100 < sides.max() < 200


def test_mixup_keeps_the_boxes_of_both() -> None:
    first, second = piece(0), piece(1, box=(10, 10, 50, 50), ignore=True)
    mixed = mix_up(np.random.default_rng(0), first, second)
    assert mixed.boxes.tolist() == [[40, 30, 120, 90], [10, 10, 50, 50]]
    assert mixed.labels.tolist() == [0, 1]
    assert mixed.ignore.tolist() == [False, True]
    red, green, _ = mixed.image[60, 100] / 255  # 255 of the first, 100 of the second: red = s + (1 - s) * 100 / 255
    share = (red - 100 / 255) / (1 - 100 / 255)
    assert 0.15 < share < 0.85
    assert green == pytest.approx((1 - share) * 100 / 255, abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_pasted_objects_are_where_their_boxes_say(seed: int) -> None:
    base, source = piece(0, box=(0, 0, 40, 40)), piece(2, box=(60, 60, 100, 80))
    pasted = paste_objects(np.random.default_rng(seed), base, source)
    assert pasted.boxes[0].tolist() == [0, 0, 40, 40]
    if len(pasted.boxes) == 2:
        assert pasted.labels.tolist() == [0, 2]
        np.testing.assert_array_equal(pasted.boxes[1], extent(pasted.image, 2))
        shared = np.maximum(np.minimum(pasted.boxes[1, 2:], 40) - np.maximum(pasted.boxes[1, :2], 0), 0).prod()
        assert shared <= 0.3 * 800
    assert base.image[60, 100].tolist() == [100, 100, 100], "the picture itself is left as it was"


def test_what_is_ignored_or_huge_is_not_pasted() -> None:
    for source in (piece(2, ignore=True), piece(2, box=(0, 0, 150, 110))):
        assert all(len(paste_objects(np.random.default_rng(seed), piece(0), source).boxes) == 1 for seed in range(5))


def test_samples_repeat_and_end_with_the_mixed_epochs(tmp_path: Path) -> None:
    split = load_splits(DataConfig(root=str(write_squares(tmp_path / "squares", {"train": 8, "valid": 4})))).get("train")
    mixed, again, plain = (DetectionDataset(split, Preprocess((64, 64)), "light", 3, mixing) for mixing in (Mixing(1.0, 0.5, 0.5, epochs=2), Mixing(1.0, 0.5, 0.5, epochs=2), None))
    same = 0
    for epoch in range(4):
        for index in range(8):
            image, target, meta = mixed[SampleKey(epoch, 0, index)]
            other, other_target, _ = again[SampleKey(epoch, 0, index)]
            assert torch.equal(image, other)
            assert torch.equal(target.boxes, other_target.boxes)
            assert (target.boxes[:, 2:] > target.boxes[:, :2]).all()
            assert target.boxes.min() >= 0
            assert target.boxes.max() <= 64
            assert meta.image_id == split.image_ids[index]
            unmixed = torch.equal(image, plain[SampleKey(epoch, 0, index)][0])
            assert unmixed is (epoch >= 2)
            same += unmixed
    assert same == 16


def test_the_data_module_mixes_training_samples_only(tmp_path: Path) -> None:
    config = DataConfig(root=str(write_squares(tmp_path / "squares", {"train": 8, "valid": 4})), input_size=(64, 64), batch_size=8, workers=0)
    plain, mixed = DetectionDataModule(config), DetectionDataModule(replace(config, mosaic=1.0))
    assert not torch.equal(next(iter(plain.train_dataloader())).images, next(iter(mixed.train_dataloader())).images)
    assert torch.equal(next(iter(plain.val_dataloader())).images, next(iter(mixed.val_dataloader())).images)
