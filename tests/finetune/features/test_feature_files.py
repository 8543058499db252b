"""Files of features: exact, whole or not there, gone on with after an interruption."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from backbones.errors import UsageError
from backbones.frozen import FrozenFeatures
from detectors.types import BoxTarget, ImageMeta, TextTarget
from finetune.features.layout import FeatureFolder, Layout
from finetune.features.samples import read_sample_line, sample_line
from finetune.features.writer import FeatureWriter

META = ImageMeta(7, "a.png", (60, 80), (64, 64), (0.8, 0.0, 0.1, 0.0, 1.0666666666666667, -3.0))


def _features(first: int = 0, count: int = 3, scale: float = 1.0) -> FrozenFeatures:
    numbers = torch.arange(first, first + count, dtype=torch.float32).view(-1, 1, 1, 1) * scale
    return FrozenFeatures((numbers + torch.rand(2, 4, 5), torch.empty(count, 0), numbers + torch.rand(3, 2, 2)), numbers + torch.rand(1, 6, 6), 2, (64, 64))


def _layout(features: FrozenFeatures, images: int = 6, stored: str = "float32") -> Layout:
    return Layout.of(features, "abc", images, 1, stored)  # type: ignore[arg-type]


def _line(number: int) -> str:
    return sample_line(BoxTarget(torch.full((1, 4), float(number)), torch.tensor([number]), torch.tensor([False])), META)


def test_boxes_and_words_come_back_bit_for_bit() -> None:
    boxes = BoxTarget(torch.rand(5, 4) * 300 / 7, torch.arange(5), torch.rand(5) > 0.5)
    none = BoxTarget(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool))
    words = TextTarget(torch.rand(2, 4, 2), torch.tensor([True, False]), ("a\nb", "\u2028,\u00e9"), torch.rand(3, 4, 2), torch.tensor([0, 0, 1]))
    for target in (boxes, none, words):
        line = sample_line(target, META)
        assert "\n" not in line
        found, affine = read_sample_line(line.encode())
        assert affine == META.affine
        assert type(found) is type(target)
        for name, value in vars(target).items():
            mine = getattr(found, name)
            if isinstance(value, torch.Tensor):
                assert mine.dtype == value.dtype
                assert torch.equal(mine, value)
            else:
                assert mine == value


@pytest.mark.parametrize(("stored", "tolerance"), [("float32", 0.0), ("float16", 1e-3)])
def test_rows_come_back(stored: str, tolerance: float) -> None:
    features = _features()
    features = FrozenFeatures((features.maps[0].to(torch.bfloat16), *features.maps[1:]), features.value, 2, (64, 64))
    layout = _layout(features, stored=stored)
    assert layout.row_bytes == (40 + 12 + 36) * (4 if stored == "float32" else 2)
    assert Layout.from_json(layout.to_json()) == layout
    rows = layout.to_rows(features).clone()
    bounds = [0, 40, 40, 52, 88]
    again = layout.from_parts([rows[:, start:end] for start, end in pairwise(bounds)])
    for mine, theirs in zip((*again.maps, again.value), (*features.maps, features.value), strict=True):
        assert mine is not None
        assert theirs is not None
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        assert torch.allclose(mine.float(), theirs.float(), rtol=tolerance, atol=0)


def test_an_interrupted_making_goes_on_behind_the_last_row_that_is_on_disk(tmp_path: Path) -> None:
    folder, parts = FeatureFolder(tmp_path), [_features(0), _features(3)]
    layout = _layout(parts[0])
    with FeatureWriter(folder, layout) as writer:
        writer.write(parts[0], [_line(i) for i in range(3)])
        writer.sync()
        writer.write(parts[1], [_line(9)] * 3)  # killed before these were forced to disk
    assert not folder.is_complete(layout)
    with FeatureWriter(folder, layout) as writer:
        assert writer.rows == 3
        writer.write(parts[1], [_line(i) for i in range(3, 6)])
        writer.finish()
    assert folder.is_complete(layout)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["features.bin", "layout.json", "samples.jsonl"]
    wanted = torch.cat([layout.to_rows(part) for part in parts])
    assert folder.rows.read_bytes() == wanted.numpy().tobytes()
    assert [read_sample_line(line)[0].labels.item() for line in folder.samples.read_bytes().splitlines()] == list(range(6))  # type: ignore[union-attr]


@pytest.mark.parametrize("damage", ["shorter", "no progress", "other layout", "no json"])
def test_what_cannot_be_gone_on_with_is_begun_again(damage: str, tmp_path: Path) -> None:
    folder, features = FeatureFolder(tmp_path), _features()
    layout = _layout(features)
    with FeatureWriter(folder, layout) as writer:
        writer.write(features, [_line(0)] * 3)
        writer.sync()
    if damage == "shorter":
        folder.part(folder.rows).write_bytes(folder.part(folder.rows).read_bytes()[:-1])
    elif damage == "no progress":
        folder.progress.unlink()
    elif damage == "no json":
        folder.progress.write_text("{")
    else:
        layout = _layout(features, stored="float16")
    with FeatureWriter(folder, layout) as writer:
        assert writer.rows == 0
    assert folder.read_layout() == layout


def test_numbers_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    features = _features(1, 3, 1e5)
    with FeatureWriter(FeatureFolder(tmp_path), _layout(features, stored="float16")) as writer, pytest.raises(UsageError, match=r"beyond 65504.*take float32"):
        writer.write(features, [_line(0)] * 3)


def test_a_file_of_the_wrong_length_is_not_complete(tmp_path: Path) -> None:
    folder, features = FeatureFolder(tmp_path), _features(count=3)
    layout = _layout(features, images=3)
    with FeatureWriter(folder, layout) as writer:
        writer.write(features, [_line(i) for i in range(3)])
        writer.finish()
    assert folder.is_complete(layout)
    folder.rows.write_bytes(folder.rows.read_bytes()[:-4])
    assert not folder.is_complete(layout)
    assert pickle.loads(pickle.dumps(layout)) == layout
