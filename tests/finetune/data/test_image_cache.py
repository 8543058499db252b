"""Kept pictures: the same samples bit by bit, read once, shared, found again, and refused where they do not fit."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backbones.errors import UsageError
from finetune.config import DataConfig
from finetune.data import DetectionDataset, Preprocess, load_splits
from finetune.data import dataset as box_samples
from finetune.data.dataset import SampleKey
from finetune.data.image_cache import ImageCache, key_of
from finetune.data.images import read_image
from finetune.data.mixing import Mixing
from finetune.data.slots import SlotFile
from finetune.data.text import crop_pictures
from finetune.data.text.dataset import TextDataset
from finetune.data.text.splits import load_text_splits
from finetune.data.text_preprocess import TextPreprocess
from finetune.datamodule import DetectionDataModule
from finetune.finders.memory import Available
from finetune.options import TrainOptions
from finetune.training import fit
from finetune.weights_file import load_weights
from tests.finetune.data.makers import write_coco
from tests.finetune.tiny import tiny_config, write_squares

KINDS = ("ram", "disk")


def write_noise(path: Path, width: int, height: int) -> None:
    values = np.random.default_rng(width + height).integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    Image.fromarray(values).resize((width, height)).save(path)


@pytest.fixture
def boxes(tmp_path: Path) -> Any:
    """A small picture, a photograph, one whose sides no number divides, and a PNG as large."""
    names, sizes = ["a.png", "b.jpg", "c.jpg", "d.png"], [(40, 30), (640, 480), (643, 481), (320, 242)]
    file = write_coco(tmp_path / "all.json", tmp_path, names)
    text = file.read_text()
    for name, (width, height) in zip(names, sizes, strict=True):
        write_noise(tmp_path / name, width, height)
        text = text.replace(f'"file_name": "{name}", "width": 40, "height": 30', f'"file_name": "{name}", "width": {width}, "height": {height}')
    file.write_text(text)
    return load_splits(DataConfig(root=str(tmp_path), train=("all.json",), val=("all.json",))).get("train")


@pytest.fixture
def words(tmp_path: Path) -> Any:
    (tmp_path / "train_images").mkdir()
    (tmp_path / "train_gts").mkdir()
    for number, (width, height) in enumerate([(240, 160), (900, 700), (481, 301)]):
        write_noise(tmp_path / "train_images" / f"img_{number}.jpg", width, height)
        (tmp_path / "train_gts" / f"gt_img_{number}.txt").write_text("60,40,140,40,140,80,60,80,word\n")
    return load_text_splits(DataConfig(root=str(tmp_path))).get("train")


def keys(count: int) -> list[SampleKey]:
    return [SampleKey(epoch, 0, index) for epoch in range(6) for index in range(count)]


def assert_equal(one: Any, other: Any) -> None:
    assert torch.equal(one[0], other[0])
    assert vars(one[2]) == vars(other[2])
    for a, b in zip(vars(one[1]).values(), vars(other[1]).values(), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("augment", "channels", "mixing"), [("none", 3, None), ("light", 3, None), ("strong", 1, None), ("medium", 3, Mixing(0.5, 0.5, 0.5))])
def test_samples_of_boxes_are_equal_and_files_are_read_once(kind: Any, augment: str, channels: int, mixing: Mixing | None, boxes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, kept = (DetectionDataset(boxes, Preprocess((64, 80), "letterbox", channels), augment, 3, mixing) for _ in range(2))
    ImageCache(kind, tmp_path / "cache").attach(kept)
    expected = [plain[key] for key in keys(len(plain))]
    for key, sample in zip(keys(len(plain)), expected, strict=True):
        assert_equal(kept[key], sample)
    assert kept.slots is not None
    assert kept.slots.filled == len(boxes)
    monkeypatch.setattr(box_samples, "read_image", None)  # everything is there
    for key, sample in zip(keys(len(plain)), expected, strict=True):
        assert_equal(kept[key], sample)


@pytest.mark.parametrize("augment", ["none", "light", "strong"])
def test_samples_of_words_are_equal_and_files_are_read_once(augment: str, words: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, kept = (TextDataset(words, TextPreprocess(256, 1.5), augment, 3, (96, 128)) for _ in range(2))
    ImageCache("disk", tmp_path / "cache").attach(kept.pictures)
    for key in keys(len(plain)):
        assert_equal(kept[key], plain[key])
    slots = kept.pictures.slots
    assert slots is not None
    expected = [plain[key] for key in keys(len(plain))]
    monkeypatch.setattr(crop_pictures, "read_image", None)
    for key, sample in zip(keys(len(plain)), expected, strict=True):
        assert_equal(kept[key], sample)
    assert slots.filled <= np.count_nonzero(kept.pictures.slot_sizes()) <= 9


def test_sizes_are_what_augmentation_reads(boxes: Any) -> None:
    """Nothing is stored larger than augmentation reads it: at most a quarter of photographs of eight times the input."""
    assert DetectionDataset(boxes, Preprocess((64, 80)), "none").slot_sizes().tolist() == [3 * 64 * 80] * 4
    assert DetectionDataset(boxes, Preprocess((60, 80)), "light").slot_sizes().tolist() == [3 * 40 * 30, 3 * 160 * 120, 3 * 160 * 120, 3 * 160 * 121]
    assert read_image(boxes.paths[2], 3, (481, 643), 4).shape == (120, 160, 3)


def test_loader_workers_and_pickled_samples_share_one_cache(boxes: Any, tmp_path: Path) -> None:
    config = DataConfig(root="x", input_size=(64, 64), batch_size=1, workers=2, cache="ram", cache_folder=str(tmp_path / "cache"))
    data = DetectionDataModule.from_splits(boxes, boxes, config=config)
    loader = data.train_dataloader()
    assert len(list(loader)) == 4  # two workers read them, this process none
    dataset: Any = loader.dataset
    assert dataset.slots.filled == 4
    copy = pickle.loads(pickle.dumps(dataset))  # as for workers that are not forked
    assert copy.slots.filled == 4
    assert_equal(copy[SampleKey(1, 0, 2)], dataset[SampleKey(1, 0, 2)])


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_finds_what_is_there(kind: Any, boxes: Any, tmp_path: Path) -> None:
    data, cache = DetectionDataset(boxes, Preprocess((64, 64))), ImageCache(kind, tmp_path)
    cache.attach(data)
    first = data[1][0]
    code = "import sys, numpy as np; from finetune.data.slots import SlotFile; s = SlotFile(sys.argv[1], np.full(4, 3 * 64 * 64), sys.argv[2]); print(s.filled, int(s.get(1, None).sum()))"
    assert data.slots is not None
    path = str(next(tmp_path.glob("*.pictures"))) if kind == "disk" else next(tmp_path.glob("*.ram")).read_text()
    done = subprocess.run([sys.executable, "-c", code, path, data.slots.key], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", str(int(first.sum()))]
    again = DetectionDataset(boxes, Preprocess((64, 64)))
    ImageCache(kind, tmp_path).attach(again)
    assert again.slots is not None
    assert again.slots.filled == 1


def test_memory_is_given_back_with_the_cache(boxes: Any, tmp_path: Path) -> None:
    cache, data = ImageCache("ram", tmp_path), DetectionDataset(boxes, Preprocess((64, 64)))
    cache.attach(data)
    path = next(tmp_path.glob(".*.ram")).read_text()
    assert Path(path).exists()
    del cache
    assert not Path(path).exists()
    assert ImageCache("ram", tmp_path).plan([data])[0].endswith("each kept when it is first read")  # a notice that leads nowhere is no cache


def test_disk_caches_go_on_and_see_changes(boxes: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    data = DetectionDataset(boxes, Preprocess((64, 64)), "light")
    cache = ImageCache("disk", folder)
    assert "each kept when it is first read" in cache.plan([data])[0]
    assert not folder.exists()  # a plan writes nothing
    cache.attach(data)
    before = [data[SampleKey(0, 0, index)] for index in range(3)]
    assert "3 of them are there" in ImageCache("disk", folder).plan([data])[0]
    assert data.slots is not None
    with Path(data.slots.path).open("r+b") as stream:  # a power cut: the row is there, the pixels are not
        stream.seek(-data.slot_sizes()[-2:].sum().item() - 2000, os.SEEK_END)
        stream.write(b"\0" * 2000)
    again = DetectionDataset(boxes, Preprocess((64, 64)), "light")
    ImageCache("disk", folder).attach(again)
    assert again.slots is not None
    assert not again.slots._is_whole(1)
    for index, sample in enumerate(before):
        assert_equal(again[SampleKey(0, 0, index)], sample)
    assert again.slots._is_whole(1)
    os.utime(boxes.paths[0], ns=(1, 1))
    assert key_of(again) != again.slots.key
    fresh = ImageCache("disk", folder)
    lines = fresh.plan([again])
    assert "each kept when it is first read" in lines[0]
    assert "1 files of other pictures or sizes" in lines[1]


def test_a_file_for_something_else_is_not_taken(tmp_path: Path, boxes: Any) -> None:
    data = DetectionDataset(boxes, Preprocess((64, 64)))
    ImageCache("disk", tmp_path).attach(data)
    assert data.slots is not None
    with pytest.raises(OSError, match="not what it was laid out for"):
        SlotFile(data.slots.path, data.slot_sizes(), "another")
    Path(data.slots.path).write_bytes(b"damaged")
    again = DetectionDataset(boxes, Preprocess((64, 64)))
    ImageCache("disk", tmp_path).attach(again)
    assert_equal(again[0], DetectionDataset(boxes, Preprocess((64, 64)))[0])
    assert not list(tmp_path.glob(".*.tmp"))


def test_what_does_not_fit_is_refused_in_one_line(boxes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DetectionDataset(boxes, Preprocess((320, 320)))
    monkeypatch.setattr("finetune.data.image_cache.available_bytes", lambda: Available(2**20, "the container's limit of 0.1 GiB"))
    line = r"^data.cache ram needs 1 MiB, but only 1 MiB of memory \(1 MiB of the container's limit of 0.1 GiB are free\) may be taken for it: choose data.cache disk or none$"
    with pytest.raises(UsageError, match=line):
        ImageCache("ram", tmp_path).plan([data])
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**30 + 2**19}))
    with pytest.raises(UsageError, match=r"^data.cache disk needs 1 MiB, but only 0 MiB of .* \(1.0 GiB are free\) may be taken for it: choose another data.cache_folder, or data.cache none$"):
        ImageCache("disk", tmp_path).plan([data])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UsageError, match=r"^data.cache disk: cannot make the cache in .*: No space left on device; choose data.cache none$"):
        ImageCache("disk", tmp_path).attach(data)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".tmp", ".pictures")]


def test_a_run_with_a_cache_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    config = tiny_config(write_squares(tmp_path / "squares", {"train": 8, "valid": 4}))
    cached = replace(config, data=replace(config.data, cache="disk", cache_folder="kept"))
    from finetune.commands.train import run

    assert run(TrainOptions(run=cached, dry_run=True)) == 0
    assert "cache: " in capsys.readouterr().out
    assert not Path("kept").exists()
    fit(config, "plain")
    fit(cached, "cached")
    one, other = (load_weights(Path(folder) / "model.safetensors")[0] for folder in ("plain", "cached"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {path.suffix for path in Path("kept").iterdir() if not path.name.startswith(".")} == {".pictures"}
    capsys.readouterr()
    assert run(TrainOptions(run=cached, dry_run=True)) == 0
    assert "12 of them are there" in capsys.readouterr().out
