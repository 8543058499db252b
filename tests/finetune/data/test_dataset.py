"""Samples and batches."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.types import Batch
from finetune.config import DataConfig
from finetune.data import DetectionDataset, Preprocess, collate, load_splits, read_image
from finetune.data.dataset import SampleKey
from finetune.data.packed import PackedStrings
from tests.finetune.data.makers import coco_content, write_coco, write_picture


def test_real_samples(shared_data: Path) -> None:
    split = load_splits(DataConfig(root=str(shared_data / "coco"))).get("train")
    preprocess = Preprocess((256, 320), "letterbox")
    dataset = DetectionDataset(split, preprocess)
    assert len(dataset) == 60
    batch = collate([dataset[index] for index in range(60)])
    assert isinstance(batch, Batch)
    assert batch.images.shape == (60, 3, 256, 320)
    assert batch.images.dtype == torch.uint8
    assert sum(len(target.boxes) for target in batch.targets) == len(split.boxes)
    assert sum(int(target.ignore.sum()) for target in batch.targets) == int(split.crowd.sum()) > 0
    for index in (0, 31, 59):
        image, target, meta = dataset[index]
        assert torch.equal(image, preprocess.apply(read_image(split.paths[index]))[0])
        assert (meta.image_id, meta.source, meta.original_hw) == (split.image_ids[index], str(split.paths[index]), tuple(split.original_hw[index]))
        assert (target.boxes.dtype, target.labels.dtype, target.ignore.dtype) == (torch.float32, torch.int64, torch.bool)
        a, _, tx, _, d, ty = meta.affine
        back = (target.boxes.double() - torch.tensor([tx, ty, tx, ty])) / torch.tensor([a, d, a, d])
        np.testing.assert_allclose(back.numpy(), split.boxes[split.rows(index)], atol=1e-3)
        assert target.labels.tolist() == split.labels[split.rows(index)].tolist()


def test_augmented_metas_lead_back(shared_data: Path) -> None:
    split = load_splits(DataConfig(root=str(shared_data / "bccd"))).get("val")
    dataset = DetectionDataset(split, Preprocess((320, 320)), "strong", seed=4)
    for index in range(12):
        _, target, meta = dataset[SampleKey(2, 0, index)]
        a, _, tx, _, d, ty = meta.affine
        truth = split.boxes[split.rows(index)]
        xs = np.sort(truth[:, 0::2] * a + tx, axis=1).clip(0, 320)
        ys = np.sort(truth[:, 1::2] * d + ty, axis=1).clip(0, 320)
        mapped = np.stack([xs[:, 0], ys[:, 0], xs[:, 1], ys[:, 1]], axis=1)
        for box in target.boxes.numpy():
            assert np.abs(mapped - box).max(1).min() < 1e-3


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "odd.jpg"])
def test_large_photographs_are_decoded_small_and_boxes_stay_right(name: str, tmp_path: Path) -> None:
    width, height = (1280, 960) if name[0] == "a" else (1281, 961)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[240:720, 320:960] = 255
    Image.fromarray(picture).save(tmp_path / name)
    write_picture(tmp_path / "b.png")
    (tmp_path / "all.json").write_text(json.dumps(coco_content([name, "b.png"], boxes=[[0, 1, 320, 240, 640, 480]])))
    split = load_splits(DataConfig(root=str(tmp_path), train=("all.json",), val=("all.json",))).get("train")
    assert read_image(tmp_path / name, 3, None, 4).shape == (240, 320, 3)
    dataset = DetectionDataset(split, Preprocess((120, 160), pad=0), "light")
    for epoch in range(12):
        image, target, meta = dataset[SampleKey(epoch, 0, 0)]
        grey = image.float().mean(0)
        ys, xs = torch.nonzero(grey > (grey.min() + grey.max()) / 2, as_tuple=True)
        seen = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert (seen - target.boxes[0]).abs().max() <= 1.6
        a, _, tx, _, d, ty = meta.affine
        assert sorted([320 * a + tx, 960 * a + tx]) == pytest.approx(target.boxes[0, 0::2].tolist(), abs=1e-3)
        assert [240 * d + ty, 720 * d + ty] == pytest.approx(target.boxes[0, 1::2].tolist(), abs=1e-3)


def test_keys_and_plain_indices(tmp_path: Path) -> None:
    write_coco(tmp_path / "all.json", tmp_path, [f"{i}.png" for i in range(4)], boxes=[[0, 1, 2, 3, 20, 20]])
    split = load_splits(DataConfig(root=str(tmp_path), train=("all.json",), val=("all.json",))).get("train")
    dataset = DetectionDataset(split, Preprocess((32, 32)), "medium", seed=1)
    copy = pickle.loads(pickle.dumps(dataset))
    dataset.set_epoch(5)
    one, other = dataset[0], copy[SampleKey(5, 0, 0)]
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1].boxes, other[1].boxes)
    assert not torch.equal(one[0], copy[SampleKey(6, 0, 0)][0])
    empty = dataset[1][1]
    assert (empty.boxes.shape, empty.labels.shape, empty.ignore.shape) == ((0, 4), (0,), (0,))


def test_samples_own_their_memory(tmp_path: Path) -> None:
    write_coco(tmp_path / "all.json", tmp_path, ["a.png", "b.png"])
    split = load_splits(DataConfig(root=str(tmp_path), train=("all.json",), val=("all.json",))).get("train")
    for level in ("none", "light"):
        target = DetectionDataset(split, Preprocess((32, 32)), level)[0][1]
        target.labels.add_(7)
        target.boxes.add_(7)
        target.ignore.fill_(True)
    assert split.labels.max() == 0
    assert split.boxes.max() == 15
    assert not split.crowd.any()


def test_packed_strings() -> None:
    values = ["", "a b", "ü/é.png", "x" * 300, "bad\udcff"]
    packed = pickle.loads(pickle.dumps(PackedStrings(values)))
    assert [packed[i] for i in range(len(packed))] == values
    assert len(PackedStrings([])) == 0
