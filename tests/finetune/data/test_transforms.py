"""Augmentation: boxes follow the pixels, flags follow the boxes, randomness follows the key."""

from __future__ import annotations

import numpy as np
import pytest

from backbones.errors import UsageError
from finetune.data.geometry import visible
from finetune.data.preprocess import Preprocess, map_boxes
from finetune.data.transforms import Transform, build_transform

LEVELS = ["light", "medium", "strong"]
NONE = np.zeros(0, np.bool_)


def bright_box(drawn: np.ndarray) -> list[int]:
    """The box around the brighter half of the values."""
    grey = drawn.astype(float).mean(2)
    ys, xs = np.nonzero(grey > (grey.min() + grey.max()) / 2)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("resize", "input_hw"), [("stretch", (160, 160)), ("letterbox", (128, 224)), ("stretch", (224, 128))])
def test_boxes_match_the_pixels(level: str, resize: str, input_hw: tuple[int, int]) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[90:210, 120:300] = 255
    box, ignore = np.array([[120.0, 90.0, 300.0, 210.0]]), np.array([False])
    transform = build_transform(level, Preprocess(input_hw, resize, pad=0))  # type: ignore[arg-type]
    seen = 0
    for index in range(60):
        drawn, boxes, rows, affine = transform(picture, box, ignore, (0, 0, 0, index))
        assert drawn.shape == (*input_hw, 3)
        assert drawn.dtype == np.uint8
        if not len(rows):
            continue
        np.testing.assert_allclose(boxes, np.clip(map_boxes(box, affine), 0, [input_hw[1], input_hw[0]] * 2))
        if np.ptp(drawn.astype(float).mean(2)) < 60 or (boxes[0] == [0, 0, input_hw[1], input_hw[0]]).all():
            continue  # nothing but the object is left
        assert np.abs(np.array(bright_box(drawn)) - boxes[0]).max() <= 1.6, index
        seen += 1
    assert seen >= 45


def test_the_check_above_sees_a_shift_of_two_pixels() -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[90:210, 120:300] = 255
    drawn, boxes, _, _ = build_transform("light", Preprocess((160, 160), pad=0))(picture, np.array([[120.0, 90.0, 300.0, 210.0]]), np.array([False]), (0, 0, 0, 1))
    assert np.abs(np.array(bright_box(np.roll(drawn, 3, axis=1))) - boxes[0]).max() > 1.6


@pytest.mark.parametrize("level", LEVELS)
def test_levels_do_what_they_say(level: str) -> None:
    """Mirrored half of the time; zoomed in and out; colours change; the stronger the level, the wider."""
    picture = np.full((300, 400, 3), (200, 120, 60), np.uint8)
    box = np.array([[150.0, 100.0, 250.0, 200.0]])
    transform = build_transform(level, Preprocess((150, 200)))
    flips, zooms, colours = 0, [], set()
    for index in range(200):
        drawn, _, _, (a, _, _, _, d, _) = transform(picture, box, np.array([False]), (1, 0, 0, index))
        flips += a < 0
        zooms.append(d / 0.5)
        colours.add(tuple(drawn[75, 100]))
    assert 70 <= flips <= 130
    assert min(zooms) < {"light": 0.9, "medium": 0.75, "strong": 0.5}[level]
    assert max(zooms) > {"light": 1.15, "medium": 1.4, "strong": 2.0}[level]
    assert min(zooms) > {"light": 0.75, "medium": 0.5, "strong": 0.25}[level]
    assert len(colours) > 50


def test_flags_and_labels_travel_with_their_boxes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 250, (12, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (12, 2))], axis=1)
    ignore = np.arange(12) % 3 == 0
    picture = np.zeros((300, 300, 3), np.uint8)
    transform = build_transform("strong", Preprocess((100, 100)))
    lost = 0
    for index in range(40):
        _, moved, rows, affine = transform(picture, boxes, ignore, (0, 0, 0, index))
        expected = np.clip(map_boxes(boxes, affine), 0, 100)
        np.testing.assert_allclose(moved, expected[rows])
        lost += len(boxes) - len(rows)
        whole = map_boxes(boxes, affine)
        share = (expected[:, 2:] - expected[:, :2]).prod(1) / (whole[:, 2:] - whole[:, :2]).prod(1)
        wanted = np.flatnonzero((share > 0) & ((share >= 0.3) | ignore))
        assert rows.tolist() == wanted.tolist()
    assert lost > 20


def test_mostly_cut_boxes_are_dropped_and_ignored_ones_only_clipped() -> None:
    boxes = np.array([[-8.0, 0, 2, 10], [-8, 0, 2, 10], [-5, 0, 5, 10], [200, 0, 210, 10], [200, 0, 210, 10]])
    clipped, keep = visible(boxes, (100, 100), 0.3, np.array([False, True, False, False, True]))
    assert keep.tolist() == [False, True, True, False, False]
    assert clipped[1].tolist() == [0, 0, 2, 10]


@pytest.mark.parametrize("level", LEVELS)
def test_same_key_same_sample_whatever_came_before(level: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    boxes, ignore = np.array([[5.0, 5, 40, 40]]), np.array([False])
    first, second = (build_transform(level, Preprocess((48, 48))) for _ in range(2))
    for index in range(7):
        second(picture, boxes, ignore, (9, 9, 9, index))
    draws = [first(picture, boxes, ignore, key)[0] for key in ((0, 0, 0, 0), (0, 0, 0, 1), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0))]
    assert np.array_equal(draws[0], second(picture, boxes, ignore, (0, 0, 0, 0))[0])
    for one in range(5):
        for other in range(one):
            assert not np.array_equal(draws[one], draws[other])


def test_steps_are_drawn_independently() -> None:
    """albumentations' set_random_seed gives every step the same stream: two steps with p=0.5 would always be taken together."""
    import albumentations as A

    base = build_transform("light", Preprocess((2, 2)))
    picture = np.array([[[0], [10]], [[20], [30]]], np.uint8).repeat(3, axis=2)
    transform = Transform(base.geometry.__class__(flip=0.0), A.Compose([A.InvertImg(p=0.5), A.VerticalFlip(p=0.5)]), base.preprocess)
    counts: dict[tuple[bool, bool], int] = {}
    for index in range(200):
        drawn = transform(picture, np.zeros((0, 4)), NONE, (0, 0, 0, index))[0][:, :, 0].astype(int)
        inverted = bool(drawn.max() > 100)
        plain = 255 - drawn if inverted else drawn
        key = (inverted, bool(plain[0, 0] == 20))
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 4
    assert min(counts.values()) > 25


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("picture_hw", [(1, 1), (3, 400), (500, 20)])
def test_odd_pictures_without_boxes(level: str, channels: int, picture_hw: tuple[int, int]) -> None:
    transform = build_transform(level, Preprocess((32, 48), "letterbox", channels))
    for index in range(20):
        drawn, boxes, rows, _ = transform(np.full((*picture_hw, channels), 99, np.uint8), np.zeros((0, 4)), NONE, (0, 0, 0, index))
        assert drawn.shape == (32, 48, channels)
        assert boxes.shape == (0, 4)
        assert len(rows) == 0


def test_unknown_level() -> None:
    with pytest.raises(UsageError, match="none, light, medium, strong"):
        build_transform("wild", Preprocess())


@pytest.mark.parametrize("level", LEVELS)
def test_bright_pictures_are_not_washed_out(level: str) -> None:
    """Unlimited, 35% brightness turns one microscope picture in six white, objects included."""
    picture = np.random.default_rng(0).integers(180, 226, (60, 80, 3), dtype=np.uint8)
    transform = build_transform(level, Preprocess((60, 80)))
    white = [float((transform(picture, np.zeros((0, 4)), NONE, (0, 0, 0, index))[0] == 255).mean()) for index in range(100)]
    assert max(white) < 0.02
