"""Faults planted in a small data set, and what ``finetune check`` says of them: kind, file and annotation id."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from finetune.cli import main

Plant = Callable[[Path, dict[str, Any]], None]


def write_clean(root: Path) -> Path:
    """Twelve training and four validation pictures of noise with two boxes each, and nothing to complain about."""
    rng = np.random.default_rng(0)
    for split, count, first in (("train", 12, 1), ("valid", 4, 101)):
        folder = root / split
        folder.mkdir(parents=True)
        table: dict[str, Any] = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}]}
        for number in range(first, first + count):
            pixels = np.asarray(Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((160, 120)))
            Image.fromarray(pixels).save(folder / f"{number}.png")
            table["images"].append({"id": number, "file_name": f"{number}.png", "width": 160, "height": 120})
            for category, x in ((1, 10.0), (4, 80.0)):
                table["annotations"].append({"id": 10 * number + category, "image_id": number, "category_id": category, "bbox": [x, 20.0, 50.0, 60.0], "area": 3000.0, "iscrowd": 0})
        (folder / "_annotations.coco.json").write_text(json.dumps(table))
    return root


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clean(tmp_path_factory.mktemp("clean") / "set")


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    shutil.copytree(clean, tmp_path / "set")
    return tmp_path / "set"


def check(root: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    report = root.parent / f"report-{len(list(root.parent.glob('report-*')))}.json"
    code = main(["check", str(root), "--json", str(report), *flags])
    return code, json.loads(report.read_text())


def plant(root: Path, change: Plant, split: str = "train") -> None:
    file = root / split / "_annotations.coco.json"
    table = json.loads(file.read_text())
    change(root, table)
    file.write_text(json.dumps(table))


def test_a_clean_set_has_no_findings(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = check(data)
    assert code == 0
    assert report["findings"] == []
    assert report["counts"] == {"error": 0, "warning": 0, "note": 0}
    assert {name: split["images"] for name, split in report["splits"].items()} == {"train": 12, "val": 4}
    assert "0 errors, 0 warnings, 0 notes" in capsys.readouterr().out


def _box(number: int, bbox: list[Any]) -> Plant:
    return lambda root, table: table["annotations"][number].update(bbox=bbox)


def _more(**values: Any) -> Plant:
    return lambda root, table: table["annotations"].append({"id": 9999, "image_id": 3, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0, **values})


def _again(category: int) -> Plant:
    return lambda root, table: table["annotations"].append({**table["annotations"][0], "id": 9999, "category_id": category})


def _truncate(root: Path, table: dict[str, Any]) -> None:
    file = root / "train" / "3.png"
    file.write_bytes(file.read_bytes()[:300])


def _copy(source: str, target: str) -> Plant:
    return lambda root, table: shutil.copyfile(root / source, root / target)  # type: ignore[return-value]


def _brighter(root: Path, table: dict[str, Any]) -> None:
    pixels = np.asarray(Image.open(root / "valid" / "102.png")).astype(int)
    Image.fromarray(np.clip(pixels + 3, 0, 255).astype(np.uint8)).save(root / "train" / "5.png")


FAULTS: list[tuple[str, str, Plant, str]] = [
    # kind, severity, how to plant it, what its place must name
    ("box-empty", "error", _box(4, [10, 20, 0, 30]), "31"),
    ("box-inverted", "error", _box(4, [60, 20, -30, 30]), "31"),
    ("box-off-picture", "error", _box(4, [170, 20, 30, 30]), "31"),
    ("box-outside", "warning", _box(4, [140, 20, 30, 30]), "31"),
    ("box-unusable", "error", _box(4, ["a", 2, 3]), "31"),
    ("box-tiny", "warning", _box(4, [10, 20, 1, 40]), "31"),
    ("box-whole-picture", "note", _box(4, [0, 0, 160, 120]), "31"),
    ("box-twice", "warning", _again(1), "9999"),
    ("box-two-classes", "warning", _again(4), "9999"),
    ("category-unknown", "error", _more(category_id=77), "9999"),
    ("annotation-orphan", "error", _more(image_id=555), "9999"),
    ("annotation-id-twice", "warning", _more(id=11), "11"),
    ("class-unused", "warning", lambda root, table: table["categories"].append({"id": 9, "name": "cow"}), "cow"),
    ("class-names-alike", "warning", lambda root, table: table["categories"].append({"id": 9, "name": "Dog "}), "og"),
    ("size-differs", "warning", lambda root, table: table["images"][2].update(width=320, height=240), "3.png"),
    ("picture-missing", "error", lambda root, table: (root / "train" / "3.png").unlink(), "3.png"),
    ("picture-unreadable", "error", _truncate, "3.png"),
    ("picture-unlisted", "note", _copy("train/3.png", "train/loose.png"), "loose.png"),
    ("duplicate-picture", "warning", _copy("train/3.png", "train/5.png"), "5.png"),
    ("duplicate-across-splits", "error", _copy("valid/102.png", "train/5.png"), "5.png"),
    ("near-duplicate-across-splits", "warning", _brighter, "5.png"),
]


@pytest.mark.parametrize(("kind", "severity", "change", "place"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_planted_fault_is_found(kind: str, severity: str, change: Plant, place: str, data: Path) -> None:
    plant(data, change)
    code, report = check(data)
    found = [finding for finding in report["findings"] if finding["kind"] == kind]
    assert found, f"only {[finding['kind'] for finding in report['findings']]}"
    assert len(found) == 1
    assert found[0]["severity"] == severity
    assert place in json.dumps(found[0])
    assert code == (3 if report["counts"]["error"] else 0)
    if severity == "error":
        assert code == 3


def test_several_faults_of_several_kinds_are_all_reported(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for change in (_box(6, [10, 20, 0, 30]), _more(category_id=77), _truncate):
        plant(data, change)
    code, report = check(data)
    assert code == 3
    assert {finding["kind"] for finding in report["findings"]} >= {"box-empty", "category-unknown", "picture-unreadable"}
    said = capsys.readouterr().out
    assert "3.png" in said
    assert "Traceback" not in said


def test_the_cleaned_copy_is_clean_and_the_data_are_untouched(data: Path, tmp_path: Path) -> None:
    for change in (_box(4, [10, 20, 0, 30]), _box(7, [140, 20, 30, 30]), _again(1), _truncate, _copy("valid/102.png", "train/6.png")):
        plant(data, change)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert check(data, "--write_cleaned", str(tmp_path / "cleaned"))[0] == 3
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    code, report = check(tmp_path / "cleaned")
    assert code == 0, report["findings"]
    assert report["splits"]["train"]["images"] == 10  # one truncated, one that val has too
    changes = json.loads((tmp_path / "cleaned" / "cleaning" / "changes.json").read_text())
    assert len(changes["changes"] if isinstance(changes, dict) else changes) >= 4
    assert main(["check", str(data), "--write_cleaned", str(tmp_path / "cleaned")]) == 2, "never overwritten"


def test_the_page_stands_alone_and_escapes_what_comes_from_data(data: Path, tmp_path: Path) -> None:
    plant(data, lambda root, table: table["categories"][0].update(name="<script>alert(1)</script>"))
    plant(data, lambda root, table: table["categories"][0].update(name="<script>alert(1)</script>"), "valid")
    plant(data, _box(4, [10, 20, 0, 30]))
    assert check(data, "--out", str(tmp_path / "out"), "--augmented")[0] == 3
    page = (tmp_path / "out" / "check.html").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert 'src="data:image/jpeg;base64,' in page
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"check.html", "check.json", "boxes.jpg", "augmented.jpg"}


def test_real_blood_cells_have_their_two_boxes_without_area(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(shared_data / "bccd"), "--near", "false"]) == 3
    said = capsys.readouterr().out
    assert "2 errors" in said
    assert "BloodImage_00338.xml#13" in said
    assert "BloodImage_00343.xml#4" in said
