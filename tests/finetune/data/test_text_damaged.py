"""Files of scene text that are damaged in ways that the fuzzer found: one line, or the rest is read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.text.mat_file import read_mat
from finetune.data.text.splits import load_text_splits
from tests.finetune.data.makers import write_picture
from tests.finetune.data.text_makers import CONTENTS, write_synthtext, write_text_files

QUAD = np.array([[10, 70, 70, 10], [20, 20, 40, 40]], float)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"imnames": ["8/img_1.jpg"] * 4 + [np.zeros((0, 0))]}, r"gt\.mat: 1 image entry has no usable id or file name: gt\.mat#5"),
        ({"imnames": [f"8/img_{n}.jpg" for n in range(1, 5)]}, "imnames has 4, wordBB has 5"),
        ({"imnames": ["a\0b.jpg"] * 5}, r"5 pictures are missing"),
    ],
    ids=["no name", "counts differ", "impossible name"],
)
def test_synthtext_that_cannot_be_used_is_one_line(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        load_text_splits(DataConfig(root=str(write_synthtext(tmp_path, **changed))))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", [1.5, np.zeros((3, 4)), np.zeros((2, 4, 1, 1)) + 5j, "word"], ids=["number", "shape", "complex", "text"])
def test_synthtext_words_of_another_shape_are_left_out_with_their_characters(tmp_path: Path, word: Any) -> None:
    splits = load_text_splits(DataConfig(root=str(write_synthtext(tmp_path, wordBB=[word, *[QUAD] * 4])), val_fraction=0.2))
    both = (splits.get("train"), splits.get("val"))
    assert sum(len(split.quads) for split in both) == 4
    assert sum(len(split.char_quads) for split in both) == 16
    assert any("gt.mat#1 (all words of the picture" in line for line in splits.summary)


def test_synthtext_words_without_finite_corners_are_left_out(tmp_path: Path) -> None:
    broken = QUAD.copy()
    broken[0, 2] = np.nan
    splits = load_text_splits(DataConfig(root=str(write_synthtext(tmp_path, wordBB=[broken, *[QUAD] * 4]))))
    both = (splits.get("train"), splits.get("val"))
    assert sum(len(split.quads) for split in both) == 4
    assert all(np.isfinite(split.quads).all() and len(split.char_quads) == 4 * len(split.quads) for split in both)
    assert any("gt.mat#1.1 ('word'" in line for line in splits.summary)


@pytest.mark.parametrize("chars", [1, np.full((2, 4, 4), np.inf), np.zeros((2, 4, 3))], ids=["number", "infinite", "three"])
def test_synthtext_characters_that_cannot_be_used_leave_the_word(tmp_path: Path, chars: Any) -> None:
    good = np.stack([QUAD] * 4, axis=2)
    splits = load_text_splits(DataConfig(root=str(write_synthtext(tmp_path, charBB=[chars, *[good] * 4]))))
    both = (splits.get("train"), splits.get("val"))
    assert (sum(len(split.quads) for split in both), sum(len(split.char_quads) for split in both)) == (5, 16)


def test_synthtext_pictures_of_one_stem_have_ids_of_their_own(tmp_path: Path) -> None:
    names = [*(f"8/img_{n}.jpg" for n in range(1, 5)), "8/img_1.png"]
    write_picture(tmp_path / "8/img_1.png", 120, 80)
    splits = load_text_splits(DataConfig(root=str(write_synthtext(tmp_path, imnames=names))))
    assert {"8/img_1", "8/img_1.png"} <= {*splits.get("train").image_ids, *splits.get("val").image_ids}


def test_a_broken_word_of_totaltext_does_not_swallow_the_next(tmp_path: Path) -> None:
    broken = b"x: [[1 20 20 1]], y: [[1 1 9 9]], ornt: [u'c'], transcript: [u'lost']\n"
    root = write_text_files(tmp_path, "poly_gt_{n}.txt", "totaltext")
    file = root / "labels/poly_gt_img_1.txt"
    file.write_bytes(broken + CONTENTS["totaltext"])
    splits = load_text_splits(DataConfig(root=str(root)))
    assert sum(split.texts.count("word") for split in (splits.get("train"), splits.get("val"))) == 5
    assert any("poly_gt_img_1.txt#1 (it is no word: 'x: [[1 20 20 1]]" in line for line in splits.summary), splits.summary


def test_totaltext_that_never_closes_is_read_in_no_time(tmp_path: Path) -> None:
    root = write_text_files(tmp_path, "poly_gt_{n}.txt", "totaltext")
    (root / "labels/poly_gt_img_1.txt").write_bytes(CONTENTS["totaltext"] + b"x: [[" * 20000)
    start = time.process_time()
    splits = load_text_splits(DataConfig(root=str(root)))
    assert time.process_time() - start < 2
    assert any("poly_gt_img_1.txt#" in line for line in splits.summary)


def test_mat_files_are_read_as_scipy_reads_them(tmp_path: Path) -> None:
    from scipy.io import loadmat, savemat

    rng = np.random.default_rng(3)
    cells = np.empty((2, 3), object)
    for place, value in enumerate((rng.random((2, 4, 3)), "Häuser", np.array(["one", "seven"]), np.arange(5, dtype=np.uint8), np.zeros((0, 0)), rng.integers(-9, 9, (4, 1)))):
        cells.reshape(-1)[place] = value
    inner = np.empty((1, 1), object)
    inner[0, 0] = cells
    variables = {"cells": cells, "inner": inner, "flat": rng.random((3, 5)).astype(np.float32), "word": "text", "more": rng.integers(0, 5, (2, 2), np.int64)}

    def same(ours: Any, theirs: Any) -> bool:
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        if theirs.dtype == object:
            return ours.shape == theirs.shape and all(same(one, two) for one, two in zip(ours.reshape(-1), theirs.reshape(-1), strict=True))
        if theirs.dtype.kind == "U":
            return [str(text).rstrip() for text in ours.reshape(-1)] == [str(text).rstrip() for text in theirs.reshape(-1)]
        return ours.shape == theirs.shape and ours.dtype.kind == theirs.dtype.kind and bool((ours == theirs).all())

    for packed in (False, True):
        savemat(tmp_path / "x.mat", variables, do_compression=packed)
        theirs = loadmat(tmp_path / "x.mat")
        ours = read_mat(tmp_path / "x.mat", tuple(variables))
        assert ours.keys() == variables.keys()
        assert all(same(ours[name], theirs[name]) for name in variables)
        assert read_mat(tmp_path / "x.mat", ("word", "none")).keys() == {"word"}


@pytest.mark.parametrize("packed", [False, True])
def test_every_damaged_mat_file_is_one_line_or_is_read(tmp_path: Path, packed: bool) -> None:
    """Compiled readers end the process at some of these."""
    from scipy.io import savemat

    savemat(tmp_path / "x.mat", {"cells": np.array([["ab", np.arange(6.0), np.array([["c"]], object)]], object)}, do_compression=packed)
    good = (tmp_path / "x.mat").read_bytes()
    messages = []
    for place in range(124, len(good)):
        for value in (0, 0x7F, 0xFF):
            (tmp_path / "y.mat").write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
            try:
                read_mat(tmp_path / "y.mat", ("cells",))
            except DataError as error:
                messages.append(str(error))
    for end in range(0, len(good) - 1, 3):
        (tmp_path / "y.mat").write_bytes(good[:end])
        with pytest.raises(DataError, match=r"y\.mat: "):
            read_mat(tmp_path / "y.mat", ("cells",))
    assert len(messages) > len(good) / 2
    assert all("y.mat: " in message and message.isprintable() and len(message) < 400 for message in messages)
