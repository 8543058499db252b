"""What the data doctor relies on: a lenient sink is told of every fault, and everything else is read on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_splits
from finetune.data.findings import Finding, Findings
from finetune.data.gather import Gathered, gather
from tests.finetune.data.layout_makers import voc_sets
from tests.finetune.data.makers import coco_content, voc_object, write_picture, write_voc


def examine(root: Path, **more: Any) -> tuple[Gathered, dict[str, list[Finding]]]:
    """What was read, and the findings by kind."""
    findings = Findings(lenient=True)
    gathered = gather(DataConfig(root=str(root), **more), 0, findings)
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings.rows:
        by_kind.setdefault(finding.kind.name, []).append(finding)
    return gathered, by_kind


def broken_coco(root: Path) -> dict[str, Any]:
    """Four images; every kind of fault once; one sound annotation on the first image, another on the fourth."""
    names = ["a.png", "missing.png", "c.png", "d.png"]
    for name in ("a.png", "c.png", "d.png"):
        write_picture(root / name)
    content = coco_content(names, boxes=[[0, 1, 5, 5, 10, 10], [1, 1, 1, 1, 5, 5], [2, 77, 1, 1, 5, 5], [3, 5, 2, 2, 9, 9], [3, 5, 1, 1, 5, 5]])
    content["categories"] += [{"id": 5, "name": "other"}, {"id": None, "name": "x"}]
    content["images"] += [{"id": 10, "file_name": "a.png"}, {"file_name": "a.png"}, {"id": 70}]
    content["annotations"] += [7, {"id": 200, "image_id": 999, "category_id": 1, "bbox": [1, 1, 2, 2]}, {"id": 201, "image_id": 70, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    content["annotations"][4]["bbox"] = [1, 2]
    content["annotations"][3]["id"] = content["annotations"][0]["id"]
    (root / "all.json").write_text(json.dumps(content))
    return content


def test_every_coco_fault_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    broken_coco(tmp_path)
    gathered, found = examine(tmp_path, train=("all.json",), val=())
    assert {kind: len(rows) for kind, rows in found.items()} == {
        "category-id-twice": 1,
        "category-broken": 1,
        "picture-missing": 1,
        "image-id-twice": 1,
        "image-entry-broken": 2,
        "category-unknown": 1,
        "annotation-id-twice": 1,
        "box-unusable": 1,
        "annotation-broken": 1,
        "annotation-orphan": 1,
    }
    assert found["picture-missing"][0].value == "missing.png"
    assert found["category-unknown"][0].annotation == 102
    assert found["category-unknown"][0].image == tmp_path / "c.png"
    assert {finding.file.name for rows in found.values() for finding in rows} == {"all.json"}
    assert {finding.split for rows in found.values() for finding in rows} == {"train"}
    images = [image for raw in gathered.raws.values() for image in raw.images]
    boxes = [(raw.images[box.image].path.name, box.name, box.xyxy) for raw in gathered.raws.values() for box in raw.boxes]
    assert sorted(image.path.name for image in images) == ["a.png", "c.png", "d.png"]
    assert sorted(boxes) == [("a.png", "cat", (5, 5, 15, 15)), ("d.png", "dog", (2, 2, 11, 11))]


def test_training_names_the_first_kinds_in_one_line(tmp_path: Path) -> None:
    broken_coco(tmp_path)
    with pytest.raises(DataError, match=r"all\.json: 1 category id is used for two names: id 5 for 'dog' and 'other'; .*and 4 more kinds of faults \(finetune check lists all\)"):
        load_splits(DataConfig(root=str(tmp_path), train=("all.json",)))


def test_every_voc_fault_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    voc_sets(tmp_path)
    (tmp_path / "Annotations/t1.xml").write_text("<annotation>")
    write_voc(tmp_path / "Annotations", tmp_path / "JPEGImages", "t2", voc_object("", (1, 1, 5, 5)) + voc_object("cat", (1, 1, 5, "x")) + voc_object("dog", (1, 1, 5, 5)))  # type: ignore[arg-type]
    (tmp_path / "JPEGImages/v1.png").unlink()
    (tmp_path / "Annotations/v2.xml").unlink()
    (tmp_path / "ImageSets/Main/test.txt").unlink()
    gathered, found = examine(tmp_path)
    told = {(kind, finding.split, finding.place) for kind, rows in found.items() for finding in rows}
    assert {(kind, split) for kind, split, _ in told} == {
        ("annotations-unreadable", "train"),
        ("object-nameless", "train"),
        ("box-unusable", "train"),
        ("picture-missing", "val"),
        ("annotations-missing", "val"),
        ("split-empty", "val"),
    }
    assert any("t1.xml not well-formed XML" in place for _, _, place in told)
    assert any("t2.xml#1 (name '')" in place for _, _, place in told)
    names = [image.path.name for raw in gathered.raws.values() for image in raw.images]
    assert sorted(names) == ["t2.png", "t3.png"]
    assert sorted(box.name for raw in gathered.raws.values() for box in raw.boxes) == ["cat", "dog"]


def test_broken_voc_files_are_told_together(tmp_path: Path) -> None:
    voc_sets(tmp_path)
    for stem in ("t1", "t3"):
        (tmp_path / f"Annotations/{stem}.xml").write_text("<annotation>")
    broken = r"not well-formed XML \([^;]*\)"
    with pytest.raises(DataError, match=rf"^2 annotation files cannot be read: .*t1\.xml {broken}, .*t3\.xml {broken}; export the annotation again, or take it out with its picture$"):
        load_splits(DataConfig(root=str(tmp_path)))


def test_one_unreadable_file_does_not_hide_the_others(tmp_path: Path) -> None:
    broken_coco(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    gathered, found = examine(tmp_path, train=("broken.json", "all.json"), val=())
    assert found["annotations-unreadable"][0].file == tmp_path / "broken.json"
    assert "picture-missing" in found
    assert gathered.raws["train"].images


def test_nothing_readable_is_an_error_even_for_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text("{")
    with pytest.raises(DataError, match=r"all\.json: 1 annotation file cannot be read: not a JSON file"):
        examine(tmp_path)
    voc_sets(tmp_path / "voc")
    for xml in (tmp_path / "voc/Annotations").iterdir():
        xml.write_text("")
    with pytest.raises(DataError, match=r"6 annotation files cannot be read"):
        examine(tmp_path / "voc")
