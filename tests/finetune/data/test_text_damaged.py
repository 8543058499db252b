"""Files of scene text that are damaged in ways that the fuzzer found: one line, or the rest is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.text.splits import load_text_splits
from tests.finetune.data.text_makers import write_synthtext

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
