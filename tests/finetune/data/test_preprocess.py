"""Placement, resampling and the way back, against hand-computed values and Pillow."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from backbones.errors import UsageError
from detectors.types import BoxDetections, ImageMeta
from finetune.data import Preprocess, to_original
from finetune.data.preprocess import Placement, map_boxes

BY_HAND = [
    # resize, input (h, w), picture (h, w), box in the picture, box in the input
    ("stretch", (320, 320), (480, 640), (100, 48, 200, 144), (50, 32, 100, 96)),
    ("stretch", (100, 300), (50, 100), (10, 10, 20, 30), (30, 20, 60, 60)),
    ("letterbox", (320, 320), (480, 640), (0, 0, 640, 480), (0, 40, 320, 280)),
    ("letterbox", (320, 320), (480, 640), (100, 48, 200, 144), (50, 64, 100, 112)),
    ("letterbox", (30, 90), (50, 100), (10, 20, 30, 40), (21, 12, 33, 24)),
    ("letterbox", (64, 64), (8, 4), (1, 2, 3, 4), (24, 16, 40, 32)),
]


@pytest.mark.parametrize(("resize", "input_hw", "picture_hw", "box", "expected"), BY_HAND)
def test_boxes_by_hand_and_back(resize: str, input_hw: tuple[int, int], picture_hw: tuple[int, int], box: tuple[float, ...], expected: tuple[float, ...]) -> None:
    tensor, affine = Preprocess(input_hw, resize).apply(np.zeros((*picture_hw, 3), np.uint8))  # type: ignore[arg-type]
    assert tensor.shape == (3, *input_hw)
    assert tensor.dtype == torch.uint8
    np.testing.assert_allclose(map_boxes(np.array([box], np.float64), affine), [expected], atol=1e-9)
    detections = BoxDetections(torch.tensor([expected], dtype=torch.float32), torch.tensor([0.5]), torch.tensor([1]))
    back = to_original(detections, ImageMeta(1, "x", picture_hw, input_hw, affine))
    np.testing.assert_allclose(back.boxes.numpy(), [box], atol=1e-4)
    assert back.boxes.dtype == torch.float32
    assert back.scores is detections.scores


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("picture_hw", [(1, 1), (1, 5000), (333, 517), (3000, 7), (320, 320)])
def test_whole_picture_fills_its_place(resize: str, picture_hw: tuple[int, int]) -> None:
    preprocess = Preprocess((160, 224), resize, pad=114)  # type: ignore[arg-type]
    tensor, affine = preprocess.apply(np.full((*picture_hw, 3), 255, np.uint8))
    height, width = picture_hw
    x1, y1, x2, y2 = map_boxes(np.array([[0, 0, width, height]], np.float64), affine)[0].round(6).tolist()
    inside = torch.zeros(160, 224, dtype=torch.bool)
    inside[int(y1) : int(y2), int(x1) : int(x2)] = True
    assert inside.any()
    assert (tensor[:, inside] == 255).all()
    assert (tensor[:, ~inside] == 114).all()
    assert inside.all() or resize == "letterbox"


def test_detections_are_clipped_to_the_picture_and_may_be_none() -> None:
    meta = ImageMeta(1, "x", (480, 640), (320, 320), Preprocess((320, 320), "letterbox").apply(np.zeros((480, 640, 3), np.uint8))[1])
    outside = BoxDetections(torch.tensor([[-5.0, 0.0, 400.0, 320.0], [0.0, 0.0, 10.0, 20.0]]), torch.ones(2), torch.zeros(2, dtype=torch.long))
    assert to_original(outside, meta).boxes.tolist() == [[0, 0, 640, 480], [0, 0, 20, 0]]
    none = BoxDetections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    assert to_original(none, meta).boxes.shape == (0, 4)


def test_mirrored_affine_goes_back() -> None:
    placement = Placement((40, 0, 240, 100), (0, 20, 100, 70), flip=True)
    affine = placement.affine((90, 120))
    box = np.array([[50.0, 10.0, 90.0, 30.0]])
    # unmirrored x: (50 - 40) / 2 = 5 .. 25, mirrored in 120: 95 .. 115; y: 20 + 5 .. 20 + 15
    np.testing.assert_allclose(map_boxes(box, affine), [[95, 25, 115, 35]])
    back = to_original(BoxDetections(torch.tensor([[95.0, 25.0, 115.0, 35.0]]), torch.ones(1), torch.zeros(1, dtype=torch.long)), ImageMeta(1, "x", (100, 300), (90, 120), affine))
    np.testing.assert_allclose(back.boxes.numpy(), box, atol=1e-4)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_shrinking_averages_areas_as_pillow_box_does() -> None:
    image = noise(96, 120)
    ours = Preprocess((32, 40)).apply(image)[0].permute(1, 2, 0).numpy().astype(int)
    truth = np.asarray(Image.fromarray(image).resize((40, 32), Image.Resampling.BOX)).astype(int)
    assert np.abs(ours - truth).max() <= 1
    assert np.abs(ours - np.asarray(Image.fromarray(image).resize((40, 32), Image.Resampling.NEAREST))).max() > 50  # a resize that skips pixels would be seen


def test_shrinking_to_a_half_averages_pairs() -> None:
    image = noise(80, 96)
    ours = Preprocess((40, 48)).apply(image)[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(ours - image.reshape(40, 2, 48, 2, 3).mean((1, 3))).max() <= 1


@pytest.mark.parametrize("side", [40, 44, 53, 61, 68, 72, 80])
def test_bilinear_shrinking_sees_every_pixel(side: int) -> None:
    dots = np.zeros((side, side, 3), np.uint8)
    for column in range(side):
        dots[:] = 0
        dots[:, column] = 255
        assert int(Preprocess((40, 40)).apply(dots)[0][0, 20].max()) >= 255 // 11


def test_enlarging_is_bilinear_as_in_pillow() -> None:
    image = noise(20, 30)
    ours = Preprocess((60, 90)).apply(image)[0].permute(1, 2, 0).numpy().astype(int)
    truth = np.asarray(Image.fromarray(image).resize((90, 60), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(ours - truth).max() <= 2


def test_a_side_that_shrinks_is_averaged_while_the_other_grows() -> None:
    image = noise(20, 120)
    ours = Preprocess((40, 30)).apply(image)[0].permute(1, 2, 0).numpy().astype(int)
    narrow = Image.fromarray(image).resize((30, 20), Image.Resampling.BOX)
    assert np.abs(ours - np.asarray(narrow.resize((30, 40), Image.Resampling.BILINEAR)).astype(int)).max() <= 2


def test_grey_and_round_trip_of_settings() -> None:
    preprocess = Preprocess((48, 64), "letterbox", 1, 7)
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess
    tensor, _ = preprocess.apply(np.zeros((10, 10, 1), np.uint8))
    assert tensor.shape == (1, 48, 64)
    assert tensor[0, 0, 0] == 7


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)])
def test_wrong_pictures_are_refused(image: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"uint8 with shape \[H, W, 3\]"):
        Preprocess().apply(image)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="input size"):
        Preprocess((0, 320))
    with pytest.raises(UsageError, match="neither 'stretch' nor 'letterbox'"):
        Preprocess((320, 320), "crop")  # type: ignore[arg-type]
