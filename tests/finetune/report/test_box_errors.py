"""Kinds of errors and what they cost, by hand; average precision against the evaluator of COCO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.data.types import BoxSplit
from finetune.evaluation import create_evaluator
from finetune.evaluation.store import Rows
from finetune.report.average_precision import area_rule, class_aps, eleven_point_rule, mean_ap
from finetune.report.box_errors import KINDS, ap_lost, count_errors, find_box_errors, working_score
from finetune.report.matching import THRESHOLDS, match_classes
from finetune.report.saved import Found, Truth
from tests.finetune.report.saved_makers import make_found, make_shapes, make_truth

OBJECTS = [(0, 0, (0, 0, 10, 10)), (0, 0, (20, 0, 30, 10)), (0, 1, (40, 0, 50, 10)), (0, 1, (60, 0, 70, 10))]


def kinds(found: Found, truth: Truth) -> list[str]:
    return [KINDS[kind] if kind >= 0 else "" for kind in find_box_errors(truth, found).kind]


def test_each_kind_by_hand() -> None:
    truth = make_truth(OBJECTS)
    found = make_found([
        (0, 0, (0, 0, 10, 10), 0.9),  # right
        (0, 0, (0, 0, 10, 9), 0.8),  # IoU 0.9 with the same object: duplicate
        (0, 0, (26, 0, 36, 10), 0.7),  # 40 / 160 = 0.25 with an object of its class: localisation
        (0, 0, (40, 0, 50, 10), 0.6),  # on an object of class 1: classification
        (0, 0, (64, 0, 74, 10), 0.5),  # 60 / 140 = 0.43 with an object of class 1: both
        (0, 1, (80, 80, 90, 90), 0.4),  # on nothing: background
        (0, 1, (69, 0, 79, 10), 0.3),  # 10 / 190 = 0.05 with an object of its class: background
    ])
    assert kinds(found, truth) == ["", "duplicate", "localisation", "classification", "both", "background", "background"]
    errors = find_box_errors(truth, found)
    assert errors.missed.tolist() == [False, False, False, True]  # the others are found, or meant by an error
    assert count_errors(truth, found, errors, 0.65) == {"right": 1, "classification": 0, "localisation": 1, "both": 0, "duplicate": 1, "background": 0, "missed": 2}


def test_ignored_objects_make_no_errors() -> None:
    truth = make_truth([(0, 0, (0, 0, 50, 50)), (0, 0, (60, 60, 70, 70))], ignore=[0])
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9), (0, 0, (10, 10, 20, 20), 0.8), (0, 0, (60, 60, 70, 70), 0.7)])
    assert kinds(found, truth) == ["", "", ""]
    assert not find_box_errors(truth, found).missed.any()


def test_what_errors_cost_by_hand() -> None:
    # one class, two objects: a duplicate between the two right ones halves nothing but the second precision
    truth = make_truth(OBJECTS[:2], classes=1)
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9), (0, 0, (0, 0, 10, 9), 0.8), (0, 0, (20, 0, 30, 10), 0.7)])
    lost = ap_lost(truth, found, find_box_errors(truth, found))
    plain = (51 * 1 + 50 * 2 / 3) / 101  # recalls 0 .. 0.50 at precision 1, the others at 2 / 3
    assert lost["AP50"] == pytest.approx(plain)
    assert lost["duplicate"] == pytest.approx(1 - plain)
    assert lost["background"] == lost["localisation"] == lost["missed"] == pytest.approx(0)


def test_mending_a_class_finds_the_object() -> None:
    truth = make_truth(OBJECTS[:1] + OBJECTS[2:3])
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9), (0, 0, (40, 0, 50, 10), 0.95), (0, 0, (40, 0, 50, 9), 0.85)])
    lost = ap_lost(truth, found, find_box_errors(truth, found))
    # class 0: wrong, right, wrong: AP 0.5; class 1: nothing found: 0
    assert lost["AP50"] == pytest.approx(0.25)
    assert lost["classification"] == pytest.approx(0.75)  # both classes perfect


def test_missed_objects_cost_their_recall() -> None:
    truth = make_truth(OBJECTS[:2], classes=1)
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9)])
    lost = ap_lost(truth, found, find_box_errors(truth, found))
    assert lost["AP50"] == pytest.approx(51 / 101)
    assert lost["missed"] == pytest.approx(50 / 101)


def test_the_working_score_is_that_of_the_best_f1() -> None:
    truth = make_truth(OBJECTS[:2], classes=1)
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9), (0, 0, (20, 0, 30, 10), 0.6), (0, 0, (80, 80, 90, 90), 0.5), (0, 0, (80, 0, 90, 9), 0.5)])
    errors = find_box_errors(truth, found)
    assert working_score(errors, found.scores, 2) == pytest.approx(0.6)


def test_empty_input_everywhere() -> None:
    empty, nobody = make_truth([]), make_found([])
    assert find_box_errors(empty, nobody).kind.tolist() == []
    found = make_found([(0, 0, (0, 0, 10, 10), 0.9)])
    assert kinds(found, empty) == ["background"]
    errors = find_box_errors(make_truth(OBJECTS), nobody)
    assert errors.missed.all()
    assert working_score(errors, nobody.scores, 4) == 1.0


@pytest.fixture(scope="module")
def random_case() -> tuple[Truth, Found]:
    rng = np.random.default_rng(5)
    objects, detections = [], []
    for picture in range(30):
        for _ in range(int(rng.integers(0, 6))):
            x, y, w, h = rng.integers(0, 60), rng.integers(0, 60), rng.integers(8, 40), rng.integers(8, 40)
            label = int(rng.integers(0, 3))
            objects.append((picture, label, (x, y, x + w, y + h)))
            for _ in range(int(rng.integers(0, 4))):
                shift = rng.integers(-6, 7, 4)
                box = (x + shift[0], y + shift[1], max(x + shift[0] + 1, x + w + shift[2]), max(y + shift[1] + 1, y + h + shift[3]))
                detections.append((picture, int(rng.choice([label, rng.integers(0, 3)])), box, round(float(rng.random()), 2)))
    hidden = rng.choice(len(objects), 6, replace=False).tolist()
    return make_truth(objects, classes=3, pictures=30, ignore=hidden), make_found(detections)


def objects_per_class(truth: Truth) -> np.ndarray:
    counts = np.zeros((len(truth.class_names), len(truth.pictures)), np.int64)
    np.add.at(counts, (truth.shapes.label[~truth.ignore], truth.shapes.image[~truth.ignore]), 1)
    return counts


def test_mean_ap_is_that_of_the_coco_evaluator(random_case: tuple[Truth, Found]) -> None:
    truth, found = random_case
    shapes = truth.shapes
    split = BoxSplit(
        "test", truth.class_names, tuple(range(30)), tuple(Path(f"{i}.jpg") for i in range(30)), np.full((30, 2), 100, np.int32), np.searchsorted(shapes.image, np.arange(31)),
        shapes.boxes, shapes.label, truth.ignore, np.zeros(len(shapes), np.bool_), np.prod(shapes.boxes[:, 2:] - shapes.boxes[:, :2], axis=1), tuple(range(len(shapes))), (1, 2, 3),
    )  # fmt: skip
    evaluator = create_evaluator("coco", split)
    boxes = found.shapes.boxes.copy()
    boxes[:, 2:] -= boxes[:, :2]
    evaluator.add(Rows(found.shapes.image, boxes, found.scores, found.shapes.label))
    expected = evaluator.evaluate()
    matches = match_classes(truth, found, THRESHOLDS)
    weights = np.ones((1, 30))
    arguments = (found.scores, found.shapes.label, found.shapes.image, matches.partner >= 0, matches.neutral, objects_per_class(truth), weights)
    assert mean_ap(*arguments)[0] == pytest.approx(expected.values["AP"], abs=1e-9)
    assert float(class_aps(*arguments)[:, 0, 0].mean()) == pytest.approx(expected.values["AP50"], abs=1e-9)
    assert 0.2 < expected.values["AP50"] < 0.95  # type: ignore[operator]


def test_weighting_a_picture_twice_is_having_it_twice(random_case: tuple[Truth, Found]) -> None:
    truth, found = random_case
    matches = match_classes(truth, found, THRESHOLDS[:1])
    right, neutral, objects = matches.partner >= 0, matches.neutral, objects_per_class(truth)
    weights = np.random.default_rng(0).integers(0, 3, (5, 30)).astype(float)
    quick = mean_ap(found.scores, found.shapes.label, found.shapes.image, right, neutral, objects, weights, area_rule)
    for row, expected in zip(weights, quick, strict=True):
        copies = np.repeat(np.arange(len(found.scores)), row[found.shapes.image].astype(int))
        repeated = (objects * row).sum(axis=1, keepdims=True)
        slow = mean_ap(found.scores[copies], found.shapes.label[copies], np.zeros(len(copies), np.int64), right[:, copies], neutral[:, copies], repeated, np.ones((1, 1)), area_rule)
        assert slow[0] == pytest.approx(expected, abs=0.02)  # copies of a score stand one after the other, where weights come at once


def test_eleven_points_by_hand() -> None:
    # recalls 0.5 and 1 at precisions 1 and 0.5: 6 points (0 .. 0.5) at 1, 5 at 0.5
    assert eleven_point_rule(np.array([[0.5, 1.0]]), np.array([[1.0, 0.5]]))[0] == pytest.approx((6 + 2.5) / 11)


def test_shapes_of_makers_have_boxes() -> None:
    assert make_shapes(OBJECTS, words=True).boxes.shape == (4, 4)
