"""Drawings: boxes in their colours where they belong, readable labels, and nothing that makes them crash."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from detectors.types import BoxDetections
from finetune.drawing import IGNORED, class_colour, contact_sheet, draw_comparison, draw_detections


def detections(boxes, scores=None, labels=None):
    count = len(boxes)
    return BoxDetections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores or [0.9] * count), torch.tensor(labels or [0] * count, dtype=torch.int64)
    )


def grey(width=200, height=150, channels=3):
    return np.full((height, width, channels), 128, np.uint8)


def has_colour(picture, colour):
    return int((np.asarray(picture) == np.array(colour)).all(axis=2).sum())


def test_frame_lies_on_the_edge_of_the_box_and_the_rest_is_untouched():
    image = grey()
    drawn = np.asarray(draw_detections(image, detections([[60, 50, 120, 110]]), ["cat"]))
    assert drawn.shape == image.shape
    assert (image == 128).all()  # a copy was drawn on
    colour = np.array(class_colour(0))
    for y, x in ((80, 60), (80, 119), (109, 90), (109, 119)):
        assert (drawn[y, x] == colour).all(), (y, x)
    assert (drawn[70:100, 70:110] == 128).all()
    assert (drawn[120:, :] == 128).all()


def test_classes_differ_in_colour_and_every_colour_is_seen_on_black():
    colours = [class_colour(label) for label in range(20)]
    assert len(set(colours)) == 20
    for one, two in itertools.pairwise(colours):
        assert np.abs(np.array(one) - np.array(two)).max() > 80
    assert all(0.299 * r + 0.587 * g + 0.114 * b > 80 for r, g, b in map(class_colour, range(100)))


def test_thickness_grows_with_the_picture():
    def thickness(width, height):
        drawn = draw_detections(grey(width, height), detections([[width * 0.2, height * 0.3, width * 0.8, height * 0.9]]), ["cat"])
        row = np.asarray(drawn)[int(height * 0.6), : width // 2]
        return int((row == np.array(class_colour(0))).all(axis=1).sum())

    assert thickness(200, 150) == 1
    assert thickness(3200, 2400) >= 5


@pytest.mark.parametrize(
    "box",
    [
        [float("nan"), 0, 5, 5],
        [0, 0, float("inf"), 5],
        [50, 50, 10, 10],
        [5, 5, 5, 5],
        [-500, -500, -400, -400],
        [900, 900, 950, 950],
        [-1e9, -1e9, 1e9, 1e9],
        [199.9, 149.9, 200, 150],
        [0, 0, 200, 150],
    ],
)
@pytest.mark.parametrize("size", [(200, 150), (3, 2), (1, 1)])
def test_odd_boxes_do_not_crash(box, size):
    image = grey(*size)
    found = detections([box], labels=[7])
    assert draw_detections(image, found, ["cat"]).size == size
    assert draw_comparison(image, found, np.array([box]), np.array([0]), ["cat"]).width >= size[0]


def test_boxes_outside_leave_the_picture_alone_and_inverted_ones_are_drawn():
    image = grey()
    assert (np.asarray(draw_detections(image, detections([[-500, -500, -400, -400]]), ["cat"])) == 128).all()
    assert has_colour(draw_detections(image, detections([[120, 110, 60, 50]]), ["cat"]), class_colour(0)) > 100


def test_nothing_found_grey_pictures_and_names_in_any_script():
    assert (np.asarray(draw_detections(grey(), detections([]), ["cat"])) == 128).all()
    drawn = draw_detections(grey(channels=1), detections([[20, 40, 100, 90]]), ["[bold]äβ猫 with a very long name that does not fit"])
    assert drawn.mode == "RGB"
    assert drawn.size == (200, 150)


def test_weak_detections_are_left_out():
    found = detections([[10, 30, 60, 80], [100, 30, 160, 80]], scores=[0.9, 0.2], labels=[0, 1])
    drawn = draw_detections(grey(), found, ["cat", "dog"], least_score=0.5)
    assert has_colour(drawn, class_colour(0))
    assert not has_colour(drawn, class_colour(1))


def test_labels_of_neighbours_do_not_cover_each_other():
    boxes = [[40, 60, 110, 110], [45, 62, 115, 112]]
    both = draw_detections(grey(), detections(boxes, labels=[0, 1]), ["cat", "dog"])
    alone = [draw_detections(grey(), detections([box], labels=[label]), ["cat", "dog"]) for label, box in enumerate(boxes)]
    for label, single in enumerate(alone):
        assert has_colour(both, class_colour(label)) > 0.75 * has_colour(single, class_colour(label))


@pytest.mark.parametrize(("width", "height", "beside"), [(200, 150, True), (400, 100, False)])
def test_comparison_has_truth_on_one_panel_and_detections_on_the_other(width, height, beside):
    found = detections([[100, 30, 160, 80]], labels=[1])
    drawn = draw_comparison(grey(width, height), found, np.array([[10, 30, 60, 80], [70, 40, 90, 60]]), np.array([0, 0]), ["cat", "dog"], np.array([False, True]))
    pixels = np.asarray(drawn)
    assert (drawn.width > 1.8 * width) == beside
    assert (drawn.height > 1.8 * height) == (not beside)
    one, two = (pixels[:, :width], pixels[:, -width:]) if beside else (pixels[: pixels.shape[0] // 2], pixels[pixels.shape[0] // 2 :])
    assert has_colour(one, class_colour(0)) > 100
    assert has_colour(one, IGNORED) > 30
    assert not has_colour(one, class_colour(1))
    assert has_colour(two, class_colour(1)) > 100
    assert not has_colour(two, class_colour(0))


def test_large_pictures_are_compared_small():
    drawn = draw_comparison(grey(4000, 3000), detections([[1000, 1000, 3000, 2000]]), np.zeros((0, 4)), np.zeros(0, np.int64), ["cat"])
    assert max(drawn.size) < 2700
    assert has_colour(drawn, class_colour(0)) > 500


def test_contact_sheet_places_pictures_in_rows():
    images = [np.full((30, 40, 3), value, np.uint8) for value in (10, 90, 200)] + [Image.new("L", (20, 40), 255)]
    sheet = np.asarray(contact_sheet(images, columns=3, cell_width=80))
    assert sheet.shape == (60 + 160 + 6, 3 * 82 + 2, 3)
    assert [int(sheet[30, 40 + 82 * i, 0]) for i in range(3)] == [10, 90, 200]
    assert sheet[100, 40, 0] == 255
    assert contact_sheet([], columns=3).width > 0
