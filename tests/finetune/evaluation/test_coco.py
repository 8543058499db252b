"""COCO figures against pycocotools, the reference, on the public fixture and on random data with every oddity."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch

from backbones.errors import DataError, UsageError
from detectors.types import BoxDetections, ImageMeta
from finetune.evaluation import create_evaluator, list_protocols
from finetune.evaluation.coco import KEYS, CocoEvaluator
from tests.finetune.evaluation.splits import make_rows, make_split, pycocotools_figures


def assert_same(result, stats, per_class, split):
    for key, expected in zip(KEYS, stats, strict=True):
        if expected < 0:
            assert result.values[key] is None, key
        else:
            assert result.values[key] == pytest.approx(expected, abs=1e-12, rel=0), key
    for name, category in zip(split.class_names, split.category_ids, strict=True):
        for got, expected in zip(result.per_class[name].values(), per_class[category], strict=True):
            assert (got is None) == (expected is None), name
            assert expected is None or got == pytest.approx(expected, abs=1e-12, rel=0), name


def random_case(seed, images=25, classes=4, ties=False, decimals=2):
    """Truth and detections in COCO form: crowds, empty images, ids with gaps in any order, equal scores, areas unlike the box."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(1000)[:images].tolist()
    categories = sorted(rng.permutation(90)[:classes].tolist())
    annotations, results = [], []
    for image_id in ids:
        for _ in range(int(rng.integers(0, 7))):
            x, y = rng.uniform(0, 400), rng.uniform(0, 300)
            w, h = np.exp(rng.uniform(1.5, 5.2)), np.exp(rng.uniform(1.5, 5.0))
            box = np.round([x, y, w, h], decimals).tolist()
            crowd = int(rng.random() < 0.12)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(rng.choice(categories)), "bbox": box, "area": box[2] * box[3] * rng.uniform(0.6, 1), "iscrowd": crowd}
            )
            for _ in range(int(rng.integers(0, 4))):
                noisy = np.round(np.array(box) + rng.normal(0, 0.08, 4) * np.array([w, h, w, h]), decimals)
                noisy[2:] = np.maximum(noisy[2:], 1)
                score = float(np.round(rng.random(), 1 if ties else 6))
                category = annotations[-1]["category_id"] if rng.random() < 0.8 else int(rng.choice(categories))
                results.append({"image_id": image_id, "category_id": category, "bbox": noisy.tolist(), "score": score})
    dataset = {"images": [{"id": i} for i in ids], "categories": [{"id": c, "name": f"class {c}"} for c in categories], "annotations": annotations}
    return dataset, results


def split_of(dataset):
    categories = [c["id"] for c in dataset["categories"]]
    ids = [i["id"] for i in dataset["images"]]
    per_image = {i: [] for i in ids}
    for annotation in dataset["annotations"]:
        per_image[annotation["image_id"]].append(annotation)
    flat = [a for i in ids for a in per_image[i]]
    return make_split(
        [[[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in per_image[i])] for i in ids],
        [[categories.index(a["category_id"]) for a in per_image[i]] for i in ids],
        class_names=[c["name"] for c in dataset["categories"]],
        image_ids=ids,
        crowd=[a["iscrowd"] for a in flat],
        areas=[a["area"] for a in flat],
        category_ids=categories,
    )


def rows_of(split, results):
    images = {i: n for n, i in enumerate(split.image_ids)}
    return make_rows([(images[r["image_id"]], r["bbox"], r["score"], split.category_ids.index(r["category_id"])) for r in results])


def score(split, rows):
    evaluator = CocoEvaluator(split)
    evaluator.store.add(rows)
    return evaluator.evaluate()


@pytest.mark.parametrize(("seed", "classes", "ties"), [(0, 4, False), (1, 4, True), (2, 1, False), (3, 1, True), (4, 12, True)])
def test_equals_pycocotools_on_random_data(seed, classes, ties):
    dataset, results = random_case(seed, classes=classes, ties=ties)
    split = split_of(dataset)
    result = score(split, rows_of(split, results))
    assert result.values["AP"] > 0.05
    assert_same(result, *pycocotools_figures(dataset, results), split)


def test_iou_of_exactly_one_half_counts_although_corners_are_rounded():
    dataset, results = random_case(5)
    for annotation in dataset["annotations"]:
        annotation["iscrowd"] = 0
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "bbox": [*a["bbox"][:3], a["bbox"][3] / 2], "score": 0.5 + a["id"] / 1000} for a in dataset["annotations"]
    ]
    split = split_of(dataset)
    result = score(split, rows_of(split, results))
    assert_same(result, *pycocotools_figures(dataset, results), split)
    assert result.values["AP50"] > 0.3


def test_more_than_a_hundred_detections_of_a_class_in_an_image():
    rng = np.random.default_rng(6)
    dataset, _ = random_case(6, images=3, classes=1)
    category = dataset["categories"][0]["id"]
    results = []
    for annotation in dataset["annotations"]:
        for _ in range(60):
            noisy = np.array(annotation["bbox"]) + rng.normal(0, 2, 4)
            results.append({"image_id": annotation["image_id"], "category_id": category, "bbox": np.maximum(noisy, 1).tolist(), "score": float(rng.random())})
    split = split_of(dataset)
    assert_same(score(split, rows_of(split, results)), *pycocotools_figures(dataset, results), split)


def test_public_fixture_gives_the_published_figures(shared_data):
    folder = shared_data / "evaluators" / "coco"
    dataset = json.loads((folder / "instances_val2014_100.json").read_text())
    results = json.loads((folder / "instances_val2014_fakebbox100_results.json").read_text())
    split = split_of(dataset)
    result = score(split, rows_of(split, results))
    printed = [0.504581, 0.696973, 0.572982, 0.585626, 0.519400, 0.501398, 0.386813, 0.593680, 0.595353, 0.639811, 0.566421, 0.564291]
    assert [round(v, 6) for v in result.values.values()] == printed
    assert_same(result, *pycocotools_figures(dataset, results), split)


def test_a_size_without_objects_is_none_and_says_why():
    split = make_split([[[0, 0, 50, 50]], []], [[0], []])
    result = score(split, make_rows([(0, [0, 0, 50, 50], 0.9, 0)]))
    assert result.values["APs"] is None
    assert result.values["APl"] is None
    assert result.values["APm"] == pytest.approx(1.0)
    assert result.per_class["b"] == {"AP": None, "AP50": None}
    assert any("n/a: no small objects" in note for note in result.notes)
    assert any("class b" in note for note in result.notes)


@pytest.mark.parametrize("rows", [[], [(0, [0, 0, 9, 9], 0.5, 0)]])
def test_no_truth_is_none_everywhere(rows):
    result = score(make_split([[], []], [[], []]), make_rows(rows))
    assert set(result.values.values()) == {None}
    assert any("no objects" in note for note in result.notes)


def test_no_detections_are_zero_not_none():
    result = score(make_split([[[0, 0, 50, 50]]], [[0]]), make_rows([]))
    assert result.values["AP"] == 0
    assert any("no detections" in note for note in result.notes)


def test_difficult_boxes_are_neither_hit_nor_miss():
    split = make_split([[[0, 0, 50, 50], [100, 100, 160, 160]]], [[0, 0]], difficult=[False, True])
    result = score(split, make_rows([(0, [100, 100, 60, 60], 0.9, 0), (0, [0, 0, 50, 50], 0.8, 0)]))
    assert result.values["AP"] == pytest.approx(1.0)


def detections(boxes, scores, labels):
    return BoxDetections(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64))


def meta(image_id):
    return ImageMeta(image_id, f"{image_id}.jpg", (480, 640), (320, 320), (1, 0, 0, 0, 1, 0))


def test_merging_processes_equals_one_process_and_counts_repeated_images_once():
    split = make_split([[[0, 0, 50, 50]], [[5, 5, 90, 90]], [[9, 9, 40, 40]]], [[0], [1], [0]])
    found = [detections([[0, 0, 50, 48]], [0.9], [0]), detections([[5, 5, 90, 80], [0, 0, 9, 9]], [0.6, 0.7], [1, 0]), detections([], [], [])]
    metas = [meta(i) for i in split.image_ids]
    one, first, second = CocoEvaluator(split), CocoEvaluator(split), CocoEvaluator(split)
    one.process(found, metas)
    first.process(found[::2], metas[::2])
    second.process([found[1], found[0]], [metas[1], metas[0]])
    first.merge(second.state())
    assert first.store.seen.all()
    assert first.evaluate() == one.evaluate()
    assert len(first.store.rows().image) == 3
    first.reset()
    assert first.evaluate().values["AP"] == 0


def test_an_image_of_another_split_is_named():
    evaluator = CocoEvaluator(make_split([[]], [[]]))
    with pytest.raises(DataError, match="'xyz'"):
        evaluator.process([detections([], [], [])], [meta("xyz")])


def test_values_that_are_not_numbers_are_left_out_and_counted():
    evaluator = CocoEvaluator(make_split([[[0, 0, 50, 50]]], [[0]]))
    evaluator.process([detections([[0, 0, 50, 50], [0, 0, float("nan"), 5]], [0.5, 0.9], [0, 0])], [meta(1)])
    result = evaluator.evaluate()
    assert result.values["AP"] == pytest.approx(1)
    assert any("1 detections hold values that are not numbers" in note for note in result.notes)


def test_nothing_is_printed(capfd):
    dataset, results = random_case(0)
    split = split_of(dataset)
    score(split, rows_of(split, results))
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_five_hundred_images_with_a_hundred_detections_take_seconds():
    rng = np.random.default_rng(0)
    images, per_image = 500, 100
    corners = rng.uniform(0, 300, (images, 8, 2))
    truth = np.concatenate([corners, corners + rng.uniform(10, 90, (images, 8, 2))], axis=2)
    split = make_split(truth.tolist(), rng.integers(0, 2, (images, 8)).tolist())
    total = images * per_image
    boxes = np.concatenate([rng.uniform(0, 300, (total, 2)), rng.uniform(10, 90, (total, 2))], axis=1)
    rows = make_rows([])._replace(image=np.repeat(np.arange(images), per_image), boxes=boxes, scores=rng.random(total), labels=rng.integers(0, 2, total))
    begin = time.process_time()
    score(split, rows)
    assert time.process_time() - begin < 10


def test_unknown_protocol_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean coco"):
        create_evaluator("cocoo", make_split([[]], [[]]))
    assert "coco" in list_protocols()
