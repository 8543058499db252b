"""VOC figures against the published fixture and a plain loop after the development kit's VOCevaldet.m."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.evaluation import create_evaluator
from finetune.evaluation.store import Rows
from finetune.evaluation.voc import VocEvaluator, area_ap, eleven_point_ap
from tests.finetune.evaluation.splits import make_rows, make_split


def score(split, rows, protocol="voc2012-area", iou=0.5):
    evaluator = VocEvaluator(split, protocol, iou)
    evaluator.store.add(rows)
    return evaluator.evaluate()


def read_fixture(folder):
    truth, entries = [], []
    for index, path in enumerate(sorted((folder / "gts").glob("*.txt"))):
        boxes = [[float(v) for v in line.split()[1:]] for line in path.read_text().splitlines()]
        truth.append([[x, y, x + w, y + h] for x, y, w, h in boxes])
        for line in (folder / "dets" / path.name).read_text().splitlines():
            confidence, *box = (float(v) for v in line.split()[1:])
            entries.append((index, box, confidence, 0))
    return make_split(truth, [[0] * len(boxes) for boxes in truth], class_names=["object"]), make_rows(entries)


@pytest.mark.parametrize(
    ("iou", "eleven", "area"), [(0.1, 0.33333, 0.33720), (0.3, 0.26840, 0.24569), (0.5, 0.03030, 0.02222), (0.75, 0.0, 0.0)]
)
def test_public_fixture_gives_the_published_figures(shared_data, iou, eleven, area):
    split, rows = read_fixture(shared_data / "evaluators" / "voc" / "test_case_1")
    assert score(split, rows, "voc2007-11pt", iou).values["mAP"] == pytest.approx(eleven, abs=5e-6)
    assert score(split, rows, "voc2012-area", iou).values["mAP"] == pytest.approx(area, abs=5e-6)


def devkit_ap(truth, found, protocol):
    """VOCevaldet.m, line by line: truth {image: [(box, difficult)]}, found [(score, image, box)], inclusive coordinates."""
    taken = {image: [False] * len(boxes) for image, boxes in truth.items()}
    objects = sum(not difficult for boxes in truth.values() for _, difficult in boxes)
    hits, misses = [], []
    for _, image, (x1, y1, x2, y2) in sorted(found, key=lambda entry: -entry[0]):
        best, chosen = -np.inf, None
        for j, ((a1, b1, a2, b2), _) in enumerate(truth[image]):
            w, h = min(x2, a2) - max(x1, a1) + 1, min(y2, b2) - max(y1, b1) + 1
            if w > 0 and h > 0:
                union = (x2 - x1 + 1) * (y2 - y1 + 1) + (a2 - a1 + 1) * (b2 - b1 + 1) - w * h
                if w * h / union > best:
                    best, chosen = w * h / union, j
        hit = miss = 0
        if best >= 0.5:
            if not truth[image][chosen][1]:
                if taken[image][chosen]:
                    miss = 1
                else:
                    hit, taken[image][chosen] = 1, True
        else:
            miss = 1
        hits.append(hit)
        misses.append(miss)
    tp, fp = np.cumsum(hits), np.cumsum(misses)
    recall, precision = tp / objects, tp / np.maximum(tp + fp, 1e-300)
    if protocol == "voc2007-11pt":
        return sum((max(precision[recall >= t], default=0.0)) / 11 for t in np.arange(0.0, 1.1, 0.1))
    mrec, mpre = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return sum((mrec[i] - mrec[i - 1]) * mpre[i] for i in range(1, len(mrec)) if mrec[i] != mrec[i - 1])


@pytest.mark.parametrize("protocol", ["voc2007-11pt", "voc2012-area"])
@pytest.mark.parametrize("one_based", [False, True])
def test_equals_the_kit_on_random_small_boxes(protocol, one_based):
    """Small boxes make the +1 pixel matter; difficult objects, repeated detections and empty images are among them."""
    rng = np.random.default_rng(3)
    shift = 1 if one_based else 0
    inclusive, difficult, found = {}, [], []
    for image in range(12):
        boxes = []
        for _ in range(int(rng.integers(0, 5))):
            x, y, w, h = rng.integers(0, 60), rng.integers(0, 60), rng.integers(3, 20), rng.integers(3, 20)
            boxes.append(([int(x) + shift, int(y) + shift, int(x + w), int(y + h)], bool(rng.random() < 0.25)))
        inclusive[image] = boxes
        difficult += [flag for _, flag in boxes]
        for box, _ in boxes:
            for _ in range(int(rng.integers(0, 4))):
                moved = np.array(box) + rng.integers(-3, 4, 4)
                found.append((float(rng.random()), image, [int(v) for v in np.concatenate([moved[:2], np.maximum(moved[2:], moved[:2])])]))
    edges = [[[b[0] - shift, b[1] - shift, b[2], b[3]] for b, _ in inclusive[i]] for i in range(12)]
    split = make_split(edges, [[0] * len(e) for e in edges], class_names=["thing"], difficult=difficult, one_based=one_based)
    rows = make_rows([(i, [b[0] - shift, b[1] - shift, b[2] - b[0] + shift, b[3] - b[1] + shift], s, 0) for s, i, b in found])
    expected = devkit_ap(inclusive, found, protocol)
    assert 0.1 < expected < 0.95
    assert score(split, rows, protocol).values["mAP"] == pytest.approx(expected, abs=1e-12)
    without_pixel = score(make_split(edges, [[0] * len(e) for e in edges], class_names=["thing"], one_based=one_based), rows, protocol)
    assert without_pixel.values["mAP"] != pytest.approx(expected, abs=1e-6), "difficult flags must matter in this case"


def test_the_extra_pixel_decides():
    """10 x 5 inside 10 x 10 counted inclusively is 11 * 6 / 11 / 11 = 0.545; by edges it would be 0.5 and 4.5 / 10 a miss."""
    split = make_split([[[0, 0, 10, 10]]], [[0]], class_names=["thing"])
    assert score(split, make_rows([(0, [0, 0, 10, 4.6], 0.9, 0)])).values["mAP"] == 1
    assert score(split, make_rows([(0, [0, 0, 10, 4.4], 0.9, 0)])).values["mAP"] == 0


def test_one_based_pixels_are_half_open_boxes():
    """With the origin at 1 the kit's inclusive arithmetic is that of edges: half of the box is exactly 0.5."""
    split = make_split([[[0, 0, 10, 10]]], [[0]], class_names=["thing"], one_based=True)
    assert score(split, make_rows([(0, [0, 0, 10, 5], 0.9, 0)])).values["mAP"] == 1
    assert score(split, make_rows([(0, [0, 0, 10, 4.99], 0.9, 0)])).values["mAP"] == 0


def test_second_detection_of_an_object_is_wrong_and_order_of_input_is_irrelevant():
    split = make_split([[[0, 0, 10, 10], [50, 50, 70, 70]]], [[0, 0]], class_names=["thing"])
    entries = [(0, [0, 0, 10, 10], 0.9, 0), (0, [0, 0, 10, 9], 0.8, 0), (0, [50, 50, 20, 20], 0.7, 0)]
    expected = 0.5 * 1 + 0.5 * 2 / 3
    assert score(split, make_rows(entries)).values["mAP"] == pytest.approx(expected)
    assert score(split, make_rows(entries[::-1])).values["mAP"] == pytest.approx(expected)


def test_curves_by_hand():
    recall, precision = np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])
    assert eleven_point_ap(recall, precision) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert area_ap(recall, precision) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert eleven_point_ap(np.zeros(0), np.zeros(0)) == 0
    assert area_ap(np.zeros(0), np.zeros(0)) == 0


def test_classes_without_objects_are_none_and_leave_the_mean_alone():
    split = make_split([[[0, 0, 10, 10]]], [[0]], class_names=["thing", "other"])
    result = score(split, make_rows([(0, [0, 0, 10, 10], 0.9, 0), (0, [0, 0, 10, 10], 0.9, 1)]))
    assert result.values == {"mAP": 1.0}
    assert result.per_class["other"] == {"AP": None}
    assert any("class other" in note for note in result.notes)
    empty = score(make_split([[]], [[]]), make_rows([]))
    assert empty.values == {"mAP": None}


def test_many_pairs_are_matched_in_parts(monkeypatch):
    import finetune.evaluation.overlap as overlap

    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 200, (10, 6, 2))
    truth = np.concatenate([corners, corners + rng.uniform(10, 60, (10, 6, 2))], axis=2)
    split = make_split(truth.tolist(), rng.integers(0, 2, (10, 6)).tolist())
    boxes = truth.reshape(-1, 4).repeat(5, axis=0) + rng.normal(0, 6, (300, 4))
    boxes[:, 2:] -= boxes[:, :2]
    rows = Rows(np.arange(10).repeat(30), boxes, rng.random(300), split.labels.repeat(5))
    whole = score(split, rows)
    monkeypatch.setattr(overlap, "_CHUNK", 7)
    assert score(split, rows) == whole
    assert whole.values["mAP"] > 0.3


@pytest.mark.parametrize("protocol", ["voc2007-11pt", "voc2012-area"])
def test_created_by_name(protocol):
    evaluator = create_evaluator(protocol, make_split([[]], [[]]))
    assert evaluator.protocol == protocol
    assert evaluator.evaluate().primary == "mAP"
