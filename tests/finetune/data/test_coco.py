"""COCO files: read as pycocotools reads them, and every malformed entry is a sentence."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_annotations, load_splits
from tests.finetune.data.makers import coco_content, write_picture


def save(root: Path, content: Any, pictures: tuple[str, ...] = ("a.png", "b.png")) -> DataConfig:
    for name in pictures:
        write_picture(root / name)
    (root / "all.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return DataConfig(root=str(root), val_fraction=0.01, train=("all.json",), val=("all.json",))


def two() -> dict[str, Any]:
    return coco_content(["a.png", "b.png"], boxes=[[0, 1, 5, 5, 10, 10], [1, 5, 1, 2, 3, 4]])


@pytest.mark.parametrize("split", ["train", "val"])
def test_equals_pycocotools(shared_data: Path, split: str) -> None:
    from pycocotools.coco import COCO

    file = shared_data / f"coco/annotations/instances_{split}2017.json"
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
    ours = load_splits(DataConfig(root=str(shared_data / "coco"))).get(split)
    written = load_annotations(DataConfig(root=str(shared_data / "coco")), split)
    categories = truth.loadCats(truth.getCatIds())
    assert list(ours.class_names) == [category["name"] for category in categories]
    assert list(ours.category_ids) == [category["id"] for category in categories]
    assert sorted(ours.image_ids) == sorted(truth.getImgIds())
    assert ours.crowd.any()
    for row, image_id in enumerate(ours.image_ids):
        image = truth.loadImgs([image_id])[0]
        assert ours.original_hw[row].tolist() == [image["height"], image["width"]]
        expected = truth.loadAnns(truth.getAnnIds(imgIds=[image_id]))
        rows = ours.rows(row)
        assert list(ours.annotation_ids[rows]) == [annotation["id"] for annotation in expected]
        for place, annotation in zip(range(rows.start, rows.stop), expected, strict=True):
            x, y, w, h = annotation["bbox"]
            np.testing.assert_allclose(ours.boxes[place], np.clip([x, y, x + w, y + h], 0, [image["width"], image["height"]] * 2), rtol=0, atol=1e-9)
            np.testing.assert_allclose(written.boxes[written.rows(row)][place - rows.start], [x, y, x + w, y + h], rtol=0, atol=1e-9)
            assert ours.category_ids[ours.labels[place]] == annotation["category_id"]
            assert ours.crowd[place] == bool(annotation["iscrowd"])
            assert ours.areas[place] == annotation["area"]


def test_evaluator_fixture_is_read_without_pictures(shared_data: Path) -> None:
    split = load_annotations(DataConfig(root=str(shared_data / "evaluators/coco/instances_val2014_100.json")))
    content = json.loads((shared_data / "evaluators/coco/instances_val2014_100.json").read_text())
    assert len(split) == len(content["images"])
    assert len(split.boxes) == len(content["annotations"])
    assert split.category_ids == tuple(sorted(category["id"] for category in content["categories"]))


def test_images_without_annotations_stay(tmp_path: Path) -> None:
    config = save(tmp_path, coco_content(["a.png", "b.png"], boxes=[[0, 1, 5, 5, 10, 10]]))
    splits = load_splits(config)
    assert np.diff(splits.get("train").offsets).tolist() == [1, 0]
    without = load_splits(DataConfig(**{**vars(config), "keep_empty": False}))
    assert [path.name for path in without.get("train").paths] == ["a.png"]
    assert len(without.get("val")) == 2
    assert any("1 images without boxes left out" in line for line in without.summary)


def test_boxes_are_clipped_and_dropped_by_name(tmp_path: Path) -> None:
    content = coco_content(["a.png"], boxes=[[0, 1, -5, 5, 10, 10], [0, 1, 30, 20, 20, 20], [0, 1, 5, 5, 0, 10], [0, 1, 50, 5, 10, 10], [0, 1, 8, 8, -3, 4], [0, 1, 0, 0, 40, 30]])
    content["annotations"][1].pop("area")
    splits = load_splits(save(tmp_path, content))
    train = splits.get("train")
    assert train.boxes.tolist() == [[0, 5, 5, 15], [30, 20, 40, 30], [0, 0, 40, 30]]
    assert train.areas.tolist() == [100, 100, 1200]  # "area" is the file's where it has one
    text = "\n".join(splits.summary)
    assert "4 boxes reach outside their picture and are clipped: all.json, annotation 100 (-5, 5, 5, 15) in 40x30" in text  # train and val are one file here
    assert "2 boxes without area dropped: all.json, annotation 102 (5, 5, 5, 15) in 40x30" in text
    assert "2 boxes wholly outside their picture dropped: all.json, annotation 103 (50, 5, 60, 15)" in text
    assert "2 boxes whose right or lower edge comes first dropped: all.json, annotation 104 (8, 8, 5, 12)" in text


def test_sizes_come_from_the_picture(tmp_path: Path) -> None:
    content = two()
    content["images"][0].pop("width")
    content["images"][1]["width"] = 4000
    splits = load_splits(save(tmp_path, content))
    assert splits.get("train").original_hw.tolist() == [[30, 40], [30, 40]]
    assert any("another size than their annotations say" in line and "b.png is 40x30, not 4000x30" in line for line in splits.summary)


def change(**values: Any) -> Any:
    def apply(content: dict[str, Any]) -> dict[str, Any]:
        content["annotations"][1].update(values)
        return content

    return apply


def drop(part: str, key: str) -> Any:
    def apply(content: dict[str, Any]) -> dict[str, Any]:
        content[part][0].pop(key)
        return content

    return apply


def put(part: str, value: Any) -> Any:
    return lambda content: {**content, part: value}


FAULTS = [
    (change(category_id=77), r"all\.json: 1 annotation has a category that the file does not list: annotation 101 has category_id 77; listed are 1 cat, 5 dog"),
    (change(category_id="cat"), r"annotation 101 has category_id 'cat'"),
    (change(category_id=None), r"annotation 101 has category_id None"),
    (change(category_id=[1]), r"annotation 101 has category_id \[1\]"),
    (drop("images", "id"), r"all\.json: 1 image entry has no usable id or file name: image 0 is \{.*; give every image its own id"),
    (drop("images", "file_name"), r"image id 10 has no file_name"),
    (drop("categories", "name"), r"1 category has no usable id and name: category 0 is \{'id': 1\}; give every category an integer id and a name"),
    (put("images", {}), r"all\.json: has no list of 'images'"),
    (put("annotations", [3]), r"1 annotation is no object with fields: annotation #0 is 3"),
    (put("categories", []), r"have a category that the file does not list"),
    (put("categories", [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]), r"1 category id is used for two names: id 1 for 'cat' and 'dog'"),
    (put("images", [{"id": 10, "file_name": "a.png"}] * 2), r"1 image id is used twice: image id 10, the second time for a\.png"),
    (put("images", []), r"no annotation belongs to a listed image"),
    (put("images", [{"id": "x10", "file_name": "a.png"}]), r"the first is for image 10, while the images have ids such as 'x10'"),
    (lambda content: [content], r"is a list"),
    (lambda content: {"shapes": []}, r"has no 'images'.*found: 'shapes'"),
    (lambda content: json.dumps(content)[:-20], r"all\.json: not a JSON file"),
    (lambda content: "", r"not a JSON file"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_faults_name_file_and_annotation(fault: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_splits(save(tmp_path, fault(two())))


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], ["1", "2", "3", "4"], [1, 2, float("nan"), 3], [1, 2, float("inf"), 3], {"x": 1}, "1 2 3 4", [True, 2, 3, 4]])
def test_unusable_boxes_are_dropped_by_name(box: Any, tmp_path: Path) -> None:
    splits = load_splits(save(tmp_path, change(bbox=box)(two())))
    assert len(splits.get("train").boxes) == 1
    assert any(line.startswith("2 annotations without a usable box dropped: all.json, annotation 101") for line in splits.summary)


def test_annotations_of_other_images_are_dropped_by_name(tmp_path: Path) -> None:
    splits = load_splits(save(tmp_path, change(image_id=999)(two())))
    assert any("that the file does not list dropped: all.json, annotation 101 (image 999)" in line for line in splits.summary)


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"all\.json: 1 split has no box that lies in its picture: annotation 100 \(500, 500, 510, 510\) in 40x30; boxes are pixels"):
        load_splits(save(tmp_path, coco_content(["a.png", "b.png"], boxes=[[0, 1, 500, 500, 10, 10]])))
    with pytest.raises(DataError, match="nothing to learn"):
        load_splits(save(tmp_path, coco_content(["a.png", "b.png"], boxes=[])))


def test_missing_pictures_are_named(tmp_path: Path) -> None:
    config = save(tmp_path, two(), pictures=("a.png",))
    with pytest.raises(DataError, match=r"all\.json: 1 picture is missing: b\.png; the file lists 2; looked in "):
        load_splits(config)


def test_roboflow_placeholder_category_is_left_out(tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"], categories={0: "animals", 1: "cat", 2: "dog"}, boxes=[[0, 1, 5, 5, 10, 10], [1, 2, 1, 2, 3, 4]])
    for category in content["categories"]:
        category["supercategory"] = "none" if category["id"] == 0 else "animals"
    splits = load_splits(save(tmp_path, content))
    assert splits.class_names == ("cat", "dog")
    assert splits.category_ids == (1, 2)
    content["annotations"][0]["category_id"] = 0
    assert load_splits(save(tmp_path, content)).class_names == ("animals", "cat", "dog")


def test_windows_paths_and_sub_folders(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.png")
    write_picture(tmp_path / "images/deep/b.png")
    content = two()
    content["images"][0]["file_name"] = "C:\\data\\a.png"
    content["images"][1]["file_name"] = "deep\\b.png"
    assert len(load_splits(save(tmp_path, content, pictures=())).get("train")) == 2
