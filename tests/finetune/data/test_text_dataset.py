"""Samples of scene text: exact geometry, words that are cut or too small, the same sample from every worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from finetune.config import DataConfig
from finetune.data.batch import collate
from finetune.data.dataset import SampleKey
from finetune.data.text.dataset import TextDataset
from finetune.data.text.splits import load_text_splits
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit

BOX = (60, 40, 140, 80)


@pytest.fixture
def split(tmp_path: Path) -> TextSplit:
    """Grey pictures of 240 x 160 with one bright word, and a file that says where."""
    for folder in ("train_images", "train_gts"):
        (tmp_path / folder).mkdir()
    x1, y1, x2, y2 = BOX
    for n in range(6):
        picture = np.full((160, 240, 3), 60, np.uint8)
        picture[y1:y2, x1:x2] = 250
        Image.fromarray(picture).save(tmp_path / "train_images" / f"img_{n}.png")
        (tmp_path / "train_gts" / f"gt_img_{n}.txt").write_text(f"{x1},{y1},{x2},{y1},{x2},{y2},{x1},{y2},word\n200,100,220,100,220,120,200,120,###\n")
    return load_text_splits(DataConfig(root=str(tmp_path))).get("train")


@pytest.mark.parametrize("level", ["light", "medium", "strong"])
def test_quads_lie_on_what_is_drawn(split: TextSplit, level: str) -> None:
    data = TextDataset(split, TextPreprocess(320, 1.0), level, crop_hw=(128, 160))
    shares = []
    for epoch in range(30):
        image, target, meta = data[SampleKey(epoch, 0, 0)]
        assert tuple(image.shape) == (3, 128, 160) == (3, *meta.input_hw)
        bright = image.float().mean(0).numpy()
        for quad, ignore, text in zip(target.quads.numpy(), target.ignore.tolist(), target.texts, strict=True):
            if text != "word" or ignore:
                continue
            inside = np.zeros((128, 160), np.uint8)
            cv2.fillPoly(inside, [np.round(quad - 0.5).astype(np.int32)], 1)
            core = cv2.erode(inside, np.ones((5, 5), np.uint8)).astype(bool)
            around = cv2.dilate(inside, np.ones((9, 9), np.uint8)).astype(bool) & ~cv2.dilate(inside, np.ones((5, 5), np.uint8)).astype(bool)
            if core.any() and around.any():
                shares.append(float(bright[core].min() - bright[around].max()))
    assert len(shares) > 8
    assert min(shares) > 20  # all of the word is brighter than all around it


def test_the_same_key_gives_the_same_sample(split: TextSplit) -> None:
    one, two = (TextDataset(split, TextPreprocess(320, 1.0), "strong", seed=3, crop_hw=(96, 96)) for _ in range(2))
    two[SampleKey(0, 0, 1)]  # what was drawn before does not matter
    for key in (SampleKey(1, 0, 2), SampleKey(4, 1, 0)):
        assert torch.equal(one[key][0], two[key][0])
        assert torch.equal(one[key][1].quads, two[key][1].quads)
    assert not torch.equal(one[SampleKey(1, 0, 2)][0], one[SampleKey(2, 0, 2)][0])


def test_words_that_are_cut_are_ignored(split: TextSplit) -> None:
    data = TextDataset(split, TextPreprocess(960, 4.0), "medium", crop_hw=(64, 64))  # a word of 320 x 160 pixels never fits
    for epoch in range(10):
        _, target, _ = data[SampleKey(epoch, 0, 0)]
        assert target.ignore.all()


def test_whole_pictures_keep_every_word_and_lead_back(split: TextSplit) -> None:
    image, target, meta = TextDataset(split, TextPreprocess(480, 2.0), "none")[0]
    assert tuple(image.shape) == (3, 320, 480)
    assert target.quads[0].tolist() == [[120, 80], [280, 80], [280, 160], [120, 160]]
    assert target.ignore.tolist() == [False, True]
    assert meta.affine[0] == 2


def test_pictures_of_several_sizes_are_filled_up(split: TextSplit) -> None:
    small, large = (TextDataset(split, TextPreprocess(side, 2.0), "none")[0] for side in (240, 480))
    batch = collate([small, large])
    assert tuple(batch.images.shape) == (2, 3, 320, 480)
    assert torch.equal(batch.images[0, :, :160, :256], small[0])
    assert not batch.images[0, :, 160:].any()


def test_characters_follow_their_words(split: TextSplit) -> None:
    x1, y1, x2, y2 = BOX
    half = (x1 + x2) / 2
    chars = np.array([[[x1, y1], [half, y1], [half, y2], [x1, y2]], [[half, y1], [x2, y1], [x2, y2], [half, y2]]], float)
    counts = np.tile([2, 0], len(split))
    known = replace(split, char_quads=np.tile(chars, (len(split), 1, 1)), char_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
    data = TextDataset(known, TextPreprocess(320, 1.0), "medium", crop_hw=(128, 160))
    for epoch in range(6):
        _, target, _ = data[SampleKey(epoch, 0, 1)]
        assert target.char_quads is not None
        for row in range(len(target.quads)):
            own = target.char_quads[target.char_words == row]
            if target.texts[row] == "word":
                torch.testing.assert_close(own[0, 0], target.quads[row, 0])
                torch.testing.assert_close(own[1, 2], target.quads[row, 2])
            else:
                assert len(own) == 0
