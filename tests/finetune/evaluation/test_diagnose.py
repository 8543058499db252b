"""An AP of 0 names its cause: every planted cause is found, and a sound result says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation.coco import CocoEvaluator
from finetune.evaluation.store import Rows
from tests.finetune.evaluation.splits import make_rows, make_split


@pytest.fixture
def split():
    rng = np.random.default_rng(0)
    corners = rng.uniform(20, 300, (6, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(40, 120, (6, 3, 2))], axis=2)
    return make_split(boxes[:3].tolist() + [[]] * 3, [[0] * 3] * 3 + [[]] * 3, class_names=["cat", "dog"])


def perfect(split):
    sizes = split.boxes[:, 2:] - split.boxes[:, :2]
    boxes = np.concatenate([split.boxes[:, :2], sizes], axis=1)
    return Rows(np.repeat(np.arange(len(split)), np.diff(split.offsets)), boxes, np.linspace(0.9, 0.5, len(boxes)), split.labels.copy())


def notes(split, rows):
    evaluator = CocoEvaluator(split)
    evaluator.add(rows)
    result = evaluator.evaluate()
    return result.values["AP"], [note for note in result.notes if note.startswith("AP is")]


def test_a_sound_result_has_no_diagnosis(split):
    value, found = notes(split, perfect(split))
    assert value == pytest.approx(1)
    assert found == []


def planted(split, cause):
    rows = perfect(split)
    if cause == "none":
        return make_rows([])
    if cause == "images":
        return rows._replace(image=rows.image + 3)
    if cause == "classes":
        return rows._replace(labels=rows.labels + 1)
    if cause == "xyxy":
        return rows._replace(boxes=split.boxes.copy())
    if cause == "normalised":
        return rows._replace(boxes=rows.boxes / 640)
    if cause == "percent":
        return rows._replace(boxes=rows.boxes + 300, scores=rows.scores * 100)
    if cause == "constant":
        return rows._replace(boxes=rows.boxes + 300, scores=np.ones_like(rows.scores))
    return rows._replace(boxes=rows.boxes + 300, scores=rows.scores * 0.01)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("none", "there are no detections at all"),
        ("images", "none in common: are these predictions of another split"),
        ("classes", r"detected classes (dog) and classes of the truth (cat) have none in common"),
        ("classes", "100% of the detections overlap an object by IoU 0.5 or more when classes are ignored"),
        ("normalised", "look normalised to 0..1"),
        ("percent", "scores range from 50 to 90"),
        ("constant", "all 9 scores are 1"),
        ("untrained", "the highest score is 0.009"),
        ("untrained", "no detection overlaps any object of its image by IoU 0.5"),
    ],
)
def test_planted_cause_is_named(split, cause, words):
    value, found = notes(split, planted(split, cause))
    assert value is not None
    assert value < 1e-4
    assert any(words in note for note in found), found


def test_corners_for_width_and_height_are_noticed():
    split = make_split([[[200, 150, 420, 330], [300, 200, 500, 400]]] * 2, [[0, 0]] * 2, class_names=["cat"])
    value, found = notes(split, planted(split, "xyxy"))
    assert value < 1e-4
    assert any("look like x1, y1, x2, y2" in note for note in found), found
