"""COCO values that no number, name or file can have: dropped or refused by name; large files are read without their polygons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import coco_json, load_annotations
from tests.finetune.data.makers import coco_content
from tests.finetune.data.reading import load, message, save


@pytest.mark.parametrize("number", ["1e400", "NaN", "-Infinity", "1e300", "9" * 400, "true", '"5"', "[5]"])
@pytest.mark.parametrize("place", [0, 2])
def test_odd_boxes(number: str, place: int, tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["annotations"][0]["bbox"][place] = "NUMBER"
    _, boxes, text = load(save(tmp_path, json.dumps(content).replace('"NUMBER"', number)))
    assert boxes == [[5, 5, 15, 15]]
    assert "without a usable box dropped: all.json, annotation 100 (bbox " in text


@pytest.mark.parametrize("number", ["1e400", "NaN", "-5", "9" * 400, "null", '"x"', "5000000000"])
def test_odd_sizes_and_areas(number: str, tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["images"][0]["width"] = content["annotations"][0]["area"] = "NUMBER"
    save(tmp_path, json.dumps(content).replace('"NUMBER"', number))
    split = load_annotations(DataConfig(root=str(tmp_path)))
    assert split.original_hw.tolist() == [[30, 0], [30, 40]]
    assert split.areas.tolist() == [5e9 if number == "5000000000" else 100, 100]


@pytest.mark.parametrize("number", ["true", "null", "1.5", "[1]", "1e400", "9" * 30, '""', '"\\ud800"', '"' + "x" * 300 + '"'])
def test_odd_image_ids(number: str, tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["images"][0]["id"] = "NUMBER"
    assert "1 image entry has no usable id or file name: image 0 is " in message(save(tmp_path, json.dumps(content).replace('"NUMBER"', number)))


@pytest.mark.parametrize("number", ["--1", "-", "1_0", "\u0663", "1" * 30, "1.5", "x", True, None, [1]])
def test_category_ids_that_are_none(number: Any, tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["categories"][0]["id"] = number
    assert "1 category has no usable id and name: category 0 is " in message(save(tmp_path, content))


def test_an_id_as_number_and_as_text_is_one(tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["images"][1]["id"] = "10"
    assert "1 image id is used twice: image id 10, the second time for b.png" in message(save(tmp_path, content))


def test_annotation_ids_that_are_used_twice_are_said(tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    content["annotations"][1]["id"] = content["annotations"][0]["id"]
    _, boxes, text = load(save(tmp_path, content))
    assert len(boxes) == 2
    assert "1 annotation id is used twice: all.json, annotation 100" in text


def test_annotations_without_ids(tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png"])
    for annotation in content["annotations"]:
        del annotation["id"]
    split = load_annotations(DataConfig(root=str(save(tmp_path, content))))
    assert split.annotation_ids == ("#0", "#1")


@pytest.mark.parametrize("name", ["", " ", ".", "..", "/", "a\0.png", "x" * 300, "x" * 70_000, "x/" * 3000 + "y.png", "\ud800.png", "a\nb.png", "\x1b[2J.png", "/dev/zero", "all.json/", "sub"])
def test_file_names_that_are_none(name: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    content = coco_content(["a.png", "b.png"])
    content["images"][0]["file_name"] = name
    text = message(save(tmp_path, content))
    assert str(tmp_path / "all.json") in text
    assert len(text) < 1500
    assert text.isprintable()


def test_several_kinds_of_faults_are_one_line(tmp_path: Path) -> None:
    content = coco_content(["a.png", "b.png", "c.png"])
    content["categories"].append({"id": 9})
    content["images"].append({"id": 99})
    content["images"][2]["file_name"] = "missing.png"
    content["annotations"][0]["category_id"] = 9
    text = message(save(tmp_path, content))
    for part in ("1 category has no usable id", "1 picture is missing: missing.png", "1 image entry", "and 1 more kind of faults (finetune check lists all)"):
        assert part in text


def test_large_files_are_read_without_their_polygons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = coco_content([f"{i}.png" for i in range(4)])
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[1.5, 2, 3e1, -4, 5, 6], [7, 8, 9, 10, 11, 12]]
    content["annotations"][3]["segmentation"] = {"counts": [1, 2], "size": [3, 4]}
    content["images"][0]["file_name"] = '"segmentation": [1] \\"segmentation": [[1]].png'
    file = save(tmp_path, content, names=()) / "all.json"
    whole = coco_json.load_coco_json(file)
    assert whole["annotations"][0]["segmentation"] == content["annotations"][0]["segmentation"]
    monkeypatch.setattr(coco_json, "_SMALL", 0)
    short = coco_json.load_coco_json(file)
    assert [annotation.pop("segmentation") for annotation in short["annotations"]] == [1, 1, 1, content["annotations"][3]["segmentation"]]
    assert all(annotation.pop("segmentation") for annotation in whole["annotations"])
    assert short == whole
    content["annotations"][1]["bbox"] = []
    save(tmp_path, content, names=())
    assert coco_json.load_coco_json(file) == content
    file.write_text(json.dumps(content, indent=1)[:-2] + ",}")
    with pytest.raises(DataError, match=f"line {len(json.dumps(content, indent=1).splitlines()) - 1} "):
        coco_json.load_coco_json(file)
