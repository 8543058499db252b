"""The protocols of scene text: published figures, and equality with a port of the official scripts."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation import outlines, text_deteval
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.polygon_area import areas, intersections
from finetune.evaluation.text_deteval import DetEvalEvaluator
from finetune.evaluation.text_files import read_submission, read_truth
from finetune.evaluation.text_iou import TextIouEvaluator
from tests.finetune.evaluation import official_port
from tests.finetune.evaluation.text_makers import random_quad, random_quads, random_rectangles, write_zip


def score(truth_path, results_path, protocol, confidences=False):
    truth = read_truth(truth_path, protocol)
    submission = read_submission(results_path, truth, confidences)
    evaluator = DetEvalEvaluator(truth.split) if protocol == "icdar2013-deteval" else TextIouEvaluator(truth.split, protocol, confidences)
    evaluator.add(submission.rows, submission.images)
    return evaluator.evaluate()


def assert_images(result, expected):
    """The figures of every single image."""
    rows = {image_id.removeprefix("img_"): [row["precision"], row["recall"], row["hmean"]] for image_id, row in result.per_image.items()}
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row == pytest.approx(expected[key], abs=1e-12), key


@pytest.mark.parametrize(
    ("truth", "results", "protocol", "expected"),
    [
        ("gt_ic15", "submit_pixellink_ic15", "icdar2015-iou", (0.828935, 0.816562, 0.822702)),
        ("gt_ic15", "submit_pixellink_ic15", "polygon-iou", (0.828935, 0.816562, 0.822702)),
        ("gt_ic13", "submit_ic13_perturbed", "icdar2013-deteval", (0.830435, 0.792694, 0.811126)),
        ("gt_ic13", "submit_ic13_perturbed", "icdar2015-iou", (0.824275, 0.831050, 0.827649)),
        ("gt_ic15_dev101_140", "submit_craft_mlt25k_dev101_140", "icdar2015-iou", (0.906977, 0.795918, 0.847826)),
    ],
)
def test_official_figures(shared_data, truth, results, protocol, expected):
    folder = shared_data / "evaluators" / "icdar"
    result = score(folder / f"{truth}.zip", folder / f"{results}.zip", protocol)
    assert list(result.values) == ["precision", "recall", "hmean"]
    assert tuple(round(value, 6) for value in result.values.values()) == expected
    assert result.primary == "hmean"
    assert result.notes == ()


@pytest.mark.parametrize("seed", range(6))
def test_random_quads_score_as_the_port_does(tmp_path, seed):
    random = np.random.default_rng(seed)
    truth, results = random_quads(random, tmp_path, size=40 if seed % 2 else 300)
    values, images = official_port.score_iou(truth, results)
    result = score(truth, results, "icdar2015-iou")
    assert dict(result.values) == pytest.approx(values, abs=1e-12)
    assert_images(result, images)
    assert 0.05 < result.values["hmean"] < 0.95  # neither nothing nor everything matches


@pytest.mark.parametrize("seed", range(3))
def test_confidences_rank_words_as_the_port_does(tmp_path, seed):
    random = np.random.default_rng(100 + seed)
    truth, results = random_quads(random, tmp_path, confidences=True)
    values, images = official_port.score_iou(truth, results, confidence=True)
    result = score(truth, results, "icdar2015-iou", confidences=True)
    assert dict(result.values) == pytest.approx(values, abs=1e-12)
    assert_images(result, images)
    assert 0.01 < result.values["AP"] < 0.95


@pytest.mark.parametrize("seed", range(12))
def test_random_rectangles_score_as_the_port_does(tmp_path, seed):
    random = np.random.default_rng(seed)
    truth, results = random_rectangles(random, tmp_path, size=60 if seed % 2 else 200)
    values, images = official_port.score_deteval(truth, results)
    result = score(truth, results, "icdar2013-deteval")
    assert dict(result.values) == pytest.approx(values, abs=1e-12)
    assert_images(result, images)
    assert 0.05 < result.values["hmean"] < 0.95
    as_iou, images = official_port.score_iou(truth, results, rectangles=True)
    result = score(truth, results, "icdar2015-iou")
    assert dict(result.values) == pytest.approx(as_iou, abs=1e-12)
    assert_images(result, images)


def test_planted_faults_are_seen(tmp_path, monkeypatch):
    """The comparison fails when a rule is changed: it is not blind."""
    random = np.random.default_rng(1)
    truth, results = random_quads(random, tmp_path, images=40)
    values, _ = official_port.score_iou(truth, results)
    monkeypatch.setattr(outlines, "intersections", lambda one, two: 0.8 * intersections(one, two))
    assert dict(score(truth, results, "icdar2015-iou").values) != pytest.approx(values, abs=1e-12)
    truth, results = random_rectangles(random, tmp_path, images=40)
    values, _ = official_port.score_deteval(truth, results)
    monkeypatch.setattr(text_deteval, "SPLIT_SCORE", 0.7)
    assert dict(score(truth, results, "icdar2013-deteval").values) != pytest.approx(values, abs=1e-12)


def test_iou_of_exactly_one_half_is_no_match(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": "0,0,10,0,10,10,0,10,a\n100,0,120,20,100,40,80,20,b"})
    half = write_zip(tmp_path / "half.zip", {"res_img_1.txt": "0,0,10,0,10,5,0,5\n100,0,110,10,90,30,80,20"})
    more = write_zip(tmp_path / "more.zip", {"res_img_1.txt": "0,0,10,0,10,6,0,6\n100,0,111,11,91,31,80,20"})
    assert score(truth, half, "icdar2015-iou").values["hmean"] == official_port.score_iou(truth, half)[0]["hmean"] == 0
    assert score(truth, more, "icdar2015-iou").values["hmean"] == official_port.score_iou(truth, more)[0]["hmean"] == 1


def test_first_detection_in_file_order_takes_the_word(tmp_path):
    truth = write_zip(tmp_path / "gt.zip", {"gt_img_1.txt": "0,0,10,0,10,10,0,10,a\n0,5,10,5,10,15,0,15,b"})
    results = write_zip(tmp_path / "submit.zip", {"res_img_1.txt": "0,2,10,2,10,12,0,12\n0,0,10,0,10,10,0,10"})
    result = score(truth, results, "icdar2015-iou")
    assert result.values["recall"] == 0.5  # word a takes the first line, and the exact one fits b too little
    assert result.values == official_port.score_iou(truth, results)[0]


def test_intersections_are_exact_for_every_kind_of_quad():
    random = np.random.default_rng(0)
    quads = np.array([[random_quad(random, 50), random_quad(random, 50)] for _ in range(600)], np.float64)
    expected = [official_port.exact_intersection([tuple(map(int, p)) for p in a], [tuple(map(int, p)) for p in b]) for a, b in quads]
    assert intersections(quads[:, 0], quads[:, 1]) == pytest.approx(expected, abs=1e-9)
    assert (np.array(expected) > 0).mean() > 0.2


def test_areas_of_bow_ties_and_of_what_they_cover():
    bow_tie = np.array([[[0, 0], [10, 10], [10, 0], [0, 10]]], np.float64)
    square = np.array([[[0, 0], [10, 0], [10, 10], [0, 10]]], np.float64)
    assert areas(bow_tie)[0] == 0  # the two halves cancel, as in the official scripts' library
    assert intersections(bow_tie, square)[0] == pytest.approx(50)  # even-odd


def test_curved_outlines_beside_quads():
    ring = np.stack([np.cos(np.linspace(0, 2 * np.pi, 14, endpoint=False)), np.sin(np.linspace(0, 2 * np.pi, 14, endpoint=False))], axis=1) * 20 + 30
    outlines = Outlines.of_list([ring, ring[::2], np.array([[10.0, 10], [50, 10], [50, 50], [10, 50]])])
    corners = outlines.padded()
    assert corners.shape == (3, 14, 2)
    assert areas(corners) == pytest.approx([areas(ring[None])[0], areas(ring[None, ::2])[0], 1600])
    assert intersections(corners[[0, 0, 1]], corners[[0, 2, 0]]) == pytest.approx([areas(ring[None])[0], areas(ring[None])[0], areas(ring[None, ::2])[0]])
