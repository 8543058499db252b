"""Result files: what is read, how images and classes are found, and what every kind of fault says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backbones.errors import DataError
from detectors.types import BoxDetections
from finetune.evaluation.predictions import read_predictions, result_entries, write_predictions
from tests.finetune.evaluation.splits import make_split

GOOD = {"image_id": 7, "category_id": 3, "bbox": [1, 2.5, 3, 4], "score": 0.5}


@pytest.fixture
def split():
    base = make_split([[], [], []], [[], [], []], class_names=["cat", "dog"], image_ids=[7, 9, 30], category_ids=[3, 5])
    return replace(base, paths=(Path("/data/val/a/1.jpg"), Path("/data/val/b/1.jpg"), Path("/data/val/2.jpg")))


def read(tmp_path, split, content):
    path = tmp_path / "p.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_predictions(path, split)


def test_list_of_results_by_image_id_and_category_id(tmp_path, split):
    rows, remarks = read(tmp_path, split, [GOOD, {**GOOD, "image_id": 30, "category_id": 5, "score": 1}])
    assert rows.image.tolist() == [0, 2]
    assert rows.labels.tolist() == [0, 1]
    assert rows.boxes.tolist() == [[1, 2.5, 3, 4], [1, 2.5, 3, 4]]
    assert rows.scores.tolist() == [0.5, 1.0]
    assert remarks == []


@pytest.mark.parametrize(("name", "image"), [("a/1.jpg", 0), ("val/b/1.jpg", 1), ("2.jpg", 2), ("/else/where/2.jpg", 2), ("b\\1.jpg", 1)])
def test_file_names_need_as_many_folders_as_tell_images_apart(tmp_path, split, name, image):
    rows, _ = read(tmp_path, split, [{**GOOD, "image_id": 999, "file_name": name}])
    assert rows.image.tolist() == [image]


def test_ids_of_voc_images_may_be_written_as_text_or_number(tmp_path, split):
    voc = replace(split, image_ids=("7", "000009", "x"))
    rows, _ = read(tmp_path, voc, [GOOD, {**GOOD, "image_id": "000009"}])
    assert rows.image.tolist() == [0, 1]


def test_names_in_the_file_win_over_ids_and_unknown_ones_are_left_out_with_a_remark(tmp_path, split):
    content = {"categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cow"}], "annotations": [{**GOOD, "category_id": 1}, {**GOOD, "category_id": 2}]}
    rows, remarks = read(tmp_path, split, content)
    assert rows.labels.tolist() == [1]
    assert remarks == ["1 predictions of cow left out: the truth has no such class"]
    with pytest.raises(DataError, match=r"no class of the predictions \(cow\) is among those of the truth \(cat, dog\)"):
        read(tmp_path, split, {"categories": [{"id": 2, "name": "cow"}], "annotations": [{**GOOD, "category_id": 2}]})


def test_no_predictions_are_fine(tmp_path, split):
    rows, remarks = read(tmp_path, split, [])
    assert rows.boxes.shape == (0, 4)
    assert remarks == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", r"is not JSON .*write the predictions again"),
        ("[1,", r"is not JSON"),
        ('"text"', r"holds no list of predictions"),
        ({"images": []}, r"holds no list of predictions"),
        ({"annotations": [], "categories": ["cat"]}, r'"categories" must be a list'),
        ([GOOD, 5], r"entry 1: not an object but 5"),
        ([{"image_id": 7, "bbox": [1, 2, 3, 4]}], r"entry 0: category_id, score missing"),
        ([{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}], r"annotation file instead of predictions"),
        ([{"category_id": 3, "bbox": [1, 2, 3, 4], "score": 1}], r"image_id or file_name missing"),
        ([GOOD, {**GOOD, "bbox": [1, 2, 3]}], r"entry 1: bbox is \[1, 2, 3\]: it must be four numbers"),
        ([{**GOOD, "bbox": [1, 2, 3, "4"]}], r"must be four numbers"),
        ([{**GOOD, "bbox": {"x": 1}}], r"must be four numbers"),
        ([{**GOOD, "score": "high"}], r'score is "high"'),
        ([{**GOOD, "score": True}], r"score is true"),
        ('[{"image_id": 7, "category_id": 3, "bbox": [1, NaN, 3, 4], "score": 0.5}]', r"entry 0: .*not finite"),
        ('[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": Infinity}]', r"not finite"),
        ([{**GOOD, "bbox": [9, 9, -3, 4]}], r"negative width or height"),
        ([{**GOOD, "image_id": 8}], r"entry 0: image_id 8 is not in the truth, whose ids are such as 7, 9, 30"),
        ([{**GOOD, "image_id": [7]}], r"image_id \[7\] is not in the truth"),
        ([{**GOOD, "file_name": "3.jpg"}], r'file_name "3.jpg" is not in the truth'),
        ([{**GOOD, "file_name": "1.jpg"}], r'file_name "1.jpg" fits 2 images'),
        ([{**GOOD, "category_id": 4}], r"category_id 4 is not in the truth, which has 3 = cat, 5 = dog"),
        ([{**GOOD, "category_id": None}], r"category_id null"),
    ],
)
def test_every_fault_names_entry_value_and_remedy(tmp_path, split, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, split, content)
    assert "p.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path, split):
    with pytest.raises(DataError, match=r"cannot read the predictions .*none\.json"):
        read_predictions(tmp_path / "none.json", split)


def test_written_detections_come_back_bit_by_bit(tmp_path, split):
    torch.manual_seed(0)
    corners = torch.rand(50, 2) * 500
    boxes = torch.cat([corners, corners + torch.rand(50, 2) * 200], dim=1)
    found = BoxDetections(boxes, torch.rand(50), torch.randint(0, 2, (50,)))
    path = tmp_path / "p.json"
    images = [{"id": 9, "file_name": "b/1.jpg", "height": 600, "width": 800}]
    write_predictions(path, images, {3: "cat", 5: "dog"}, result_entries(9, "b/1.jpg", found, (3, 5)), {"made by": "a test"})
    rows, _ = read_predictions(path, split)
    exact = boxes.double().numpy()
    assert np.array_equal(rows.boxes[:, :2], exact[:, :2])
    assert np.array_equal(rows.boxes[:, 2:], exact[:, 2:] - exact[:, :2])
    assert np.array_equal(rows.scores, found.scores.double().numpy())
    assert np.array_equal(rows.labels, found.labels.numpy())
    assert set(rows.image.tolist()) == {1}


def test_names_of_any_length_do_not_fill_the_screen(tmp_path, split):
    entries = [{"image_id": split.image_ids[0], "category_id": 99, "bbox": [1, 2, 3, 4], "score": 0.5}]
    (tmp_path / "p.json").write_text(json.dumps({"categories": [{"id": 7, "name": "x" * 70_000}], "annotations": entries}))
    with pytest.raises(DataError, match="category_id 99 is not in the categories of the file") as caught:
        read_predictions(tmp_path / "p.json", split)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "change",
    [{"file_name": ["a"]}, {"file_name": {"a": 1}}, {"file_name": None, "image_id": None}, {"score": 10**400}, {"bbox": [1, 2, 10**400, 4]}, {"category_id": [1]}, {"image_id": [1]}],
)
def test_odd_values_are_named(tmp_path, split, change):
    entry = {"image_id": split.image_ids[0], "category_id": split.category_ids[0], "bbox": [1, 2, 3, 4], "score": 0.5}
    (tmp_path / "p.json").write_bytes(json.dumps([entry, {**entry, **change}]).encode("utf-16"))
    with pytest.raises(DataError, match="entry 1: "):
        read_predictions(tmp_path / "p.json", split)
