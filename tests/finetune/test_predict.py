"""The predict verb: what it takes, what it writes, what it survives."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

import finetune.load
from backbones.errors import DataError, UsageError
from finetune.commands import predict
from finetune.options import PredictOptions
from finetune.pictures import drawn_names, find_pictures, relative_names
from tests.finetune.colour_run import ColourRun, paint


@pytest.fixture
def run(monkeypatch, tmp_path):
    loaded = ColourRun(tmp_path)
    monkeypatch.setattr(finetune.load, "load_run", lambda path, device="cpu": loaded)
    return loaded


def call(tmp_path, *images, **options):
    out = tmp_path / "out"
    code = predict.run(PredictOptions(run="run", images=tuple(map(str, images)), out=str(out), **{"score": 0.0, **options}))
    return code, json.loads((out / "predictions.json").read_text()), out


def test_boxes_are_in_pixels_of_the_original_and_json_is_complete(tmp_path, run):
    paint(tmp_path / "in" / "b.png", {"red": (10, 20, 30, 40)}, size=(200, 100))
    paint(tmp_path / "in" / "a.png", {})
    code, content, out = call(tmp_path, tmp_path / "in")
    assert code == 0
    assert content["images"] == [{"id": 1, "file_name": "a.png", "height": 80, "width": 120}, {"id": 2, "file_name": "b.png", "height": 100, "width": 200}]
    assert content["categories"] == [{"id": 10, "name": "red"}, {"id": 17, "name": "green"}, {"id": 24, "name": "blue"}]
    (entry,) = content["annotations"]
    assert entry["bbox"] == [10, 20, 30, 40]
    assert (entry["image_id"], entry["file_name"], entry["category_id"], entry["area"]) == (2, "b.png", 10, 1200)
    assert sorted(path.name for path in (out / "pictures").iterdir()) == ["a.jpg", "b.jpg"]
    with Image.open(out / "pictures" / "b.jpg") as drawn:
        assert drawn.size == (200, 100)
        assert (np.abs(np.asarray(drawn).astype(int) - 128).max(axis=2) > 40).sum() > 1200  # frame and label beside the rectangle itself


def test_the_file_is_read_by_pycocotools(tmp_path, run, capsys):
    from pycocotools.coco import COCO

    paint(tmp_path / "a.png", {"red": (10, 20, 30, 40), "blue": (80, 5, 20, 20)})
    call(tmp_path, tmp_path / "a.png")
    coco = COCO(str(tmp_path / "out" / "predictions.json"))
    assert len(coco.getAnnIds(imgIds=[1])) == 2
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["red", "green", "blue"]
    assert len(coco.loadRes(json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"]).anns) == 2


def test_batches_and_order(tmp_path, run):
    for number in range(11):
        paint(tmp_path / "in" / f"{number:02d}.png", {"green": (number, 3, 20, 20)})
    _, content, _ = call(tmp_path, tmp_path / "in", batch_size=4, draw=False)
    assert run.batches == [4, 4, 3]
    assert [entry["bbox"][0] for entry in content["annotations"]] == list(range(11))
    assert not (tmp_path / "out" / "pictures").exists()


def test_corrupt_pictures_are_reported_and_the_rest_goes_on(tmp_path, run, capsys):
    paint(tmp_path / "in" / "a.png", {"red": (1, 1, 20, 20)})
    (tmp_path / "in" / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "in" / "c.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:60])
    (tmp_path / "in" / "d.png").write_bytes(b"")
    paint(tmp_path / "in" / "e.png", {"red": (1, 1, 20, 20)})
    code, content, out = call(tmp_path, tmp_path / "in", json=str(tmp_path / "summary.json"))
    assert code == 3
    assert [image["file_name"] for image in content["images"]] == ["a.png", "e.png"]
    assert len(list((out / "pictures").iterdir())) == 2
    captured = capsys.readouterr()
    for name in ("b.jpg", "c.png", "d.png"):
        assert name in captured.out.replace("\n", "")
        assert name in captured.err.replace("\n", "")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["images"], summary["objects"], len(summary["unreadable"])) == (2, 2, 3)


def test_summary_says_speed_and_place(tmp_path, run, capsys):
    paint(tmp_path / "a.png", {"red": (1, 1, 20, 20), "blue": (50, 1, 20, 20)})
    call(tmp_path, tmp_path / "a.png")
    printed = " ".join(capsys.readouterr().out.split())
    assert re.search(r"1 pictures, 2 objects \(red 1, blue 1\), [0-9.]+ images/s", printed)
    assert "predictions.json" in printed


def test_thresholds_per_class_and_class_filter(tmp_path, run):
    paint(tmp_path / "a.png", {"red": (0, 0, 40, 80), "green": (40, 0, 40, 80), "blue": (80, 0, 10, 10)}, size=(120, 80))
    _, content, _ = call(tmp_path, tmp_path / "a.png", score=0.4, class_scores={"green": 0.6, "blue": 0.3}, draw=False)
    assert sorted(entry["category_id"] for entry in content["annotations"]) == [10, 24]
    (tmp_path / "out" / "predictions.json").unlink()
    _, content, _ = call(tmp_path, tmp_path / "a.png", classes=("green",), draw=False)
    assert [entry["category_id"] for entry in content["annotations"]] == [17]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("rde",)}, "no class 'rde'; did you mean red"),
        ({"class_scores": {"grene": 0.5}}, "did you mean green"),
        ({"score": 1.5}, "--score is 1.5"),
        ({"class_scores": {"red": -1.0}}, "--class_scores red is -1"),
        ({"batch_size": 0}, "--batch_size is 0"),
    ],
)
def test_wrong_settings_are_explained_before_anything_is_written(tmp_path, run, options, message):
    paint(tmp_path / "a.png", {})
    with pytest.raises(UsageError, match=re.escape(message)):
        call(tmp_path, tmp_path / "a.png", **options)
    assert not (tmp_path / "out").exists()


def test_out_is_never_overwritten(tmp_path, run):
    paint(tmp_path / "a.png", {})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="never overwritten"):
        call(tmp_path, tmp_path / "a.png")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_default_out_is_the_next_free_folder(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "a.png", {})
    for _ in range(2):
        predict.run(PredictOptions(run="run", images=("a.png",)))
    assert (tmp_path / "predictions-1" / "predictions.json").is_file()
    assert (tmp_path / "predictions-2" / "pictures" / "a.jpg").is_file()


def test_equal_names_in_different_folders_stay_apart(tmp_path, run):
    paint(tmp_path / "in" / "x" / "1.png", {"red": (1, 1, 20, 20)})
    paint(tmp_path / "in" / "y" / "1.png", {})
    paint(tmp_path / "in" / "y" / "1.bmp", {})
    paint(tmp_path / "in" / "x_1.png", {})
    _, content, out = call(tmp_path, tmp_path / "in" / "x", tmp_path / "in" / "y", tmp_path / "in" / "x_1.png")
    assert [image["file_name"] for image in content["images"]] == ["x/1.png", "y/1.bmp", "y/1.png", "x_1.png"]
    assert sorted(path.name for path in (out / "pictures").iterdir()) == ["x_1-2.jpg", "x_1.jpg", "y_1-2.jpg", "y_1.jpg"]


def test_files_folders_and_globs_each_picture_once(tmp_path, monkeypatch):
    for name in ("a.png", "sub/b.png", "sub/deep/c.png", "sub/.hidden.png", "note.txt"):
        paint(tmp_path / name, {}) if name.endswith("png") else (tmp_path / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    found = find_pictures(["a.png", "sub", "**/*.png", str(tmp_path / "a.png")])
    assert [path.name for path in found] == ["a.png", "b.png", "c.png"]
    assert relative_names(found) == ["a.png", "sub/b.png", "sub/deep/c.png"]
    assert drawn_names(["a/1.png", "a_1.jpg", "A/1.png"]) == ["a_1.jpg", "a_1-2.jpg", "A_1-3.jpg"]


@pytest.mark.parametrize("words", [[], ["nothing.png"], ["empty"], ["*.gif"]])
def test_no_pictures_is_a_data_error(tmp_path, monkeypatch, words):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="no picture"):
        find_pictures(words)
