"""What ``finetune check`` makes of scene text beside its findings: numbers, drawn corners, crops, curved words and characters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finetune.check.examine import examine
from finetune.check.tiles import augmented_tiles, box_tiles, finding_tiles
from finetune.cli import main
from finetune.config import DataConfig, RunConfig
from finetune.detector_config import DetectorConfig
from tests.finetune.check.test_check_words import WORD, check, write_text_set
from tests.finetune.data.text_makers import write_icdar

SLANTED = "20,60,100,20,110,40,30,80,"


def settings(root: Path, detector: str = "ssdlite") -> RunConfig:
    return RunConfig(data=DataConfig(root=str(root), val=(), input_size=(96, 96)), detector=DetectorConfig(name=detector))


def write_curved(root: Path) -> Path:
    """One word along a bow, as TotalText has it."""
    for folder in ("Images/Train", "gt/Train"):
        (root / folder).mkdir(parents=True)
    Image.new("RGB", (160, 120), (0, 0, 255)).save(root / "Images/Train/img1.jpg")
    (root / "gt/Train/poly_gt_img1.txt").write_text("x: [[20 80 140 140 80 20]], y: [[60 20 60 90 50 90]], ornt: [u'c'], transcriptions: [u'BOW']\n")
    return root


def strong(image: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """[H, W] where a picture has nearly this colour."""
    return (np.abs(np.asarray(image).astype(int) - np.array(colour)) < 40).all(-1)


def test_words_are_counted_and_measured_in_input_pixels(tmp_path: Path) -> None:
    root = write_text_set(tmp_path / "set", {1: f"{WORD}abc\n{WORD[:-1]},###\n100,60,150,60,150,80,100,80,\n"})
    _, report = check(root, "--data.val", "[]")
    parts = [split["words"] for split in report["splits"].values()]
    assert [sum(part[key] for part in parts) for key in ("words", "ignored", "without_text", "curved", "characters")] == [13, 6, 1, 0, 0]
    assert report["splits"]["train"]["words"]["letter_height_at_input"]["p50"] == pytest.approx(30 * 1.5)  # the published rule enlarges small pictures one and a half times
    assert report["anchors"] is None
    _, report = check(root, "--data.val", "[]", "--craft.canvas", "80")
    assert report["splits"]["train"]["words"]["letter_height_at_input"]["p50"] == pytest.approx(30 * 80 / 160)


def test_slanted_corners_are_drawn_as_written(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_icdar(root, "train", {"img_1": f"{SLANTED}word\n".encode()}, size=(160, 120))
    Image.new("RGB", (160, 120), (0, 0, 255)).save(root / "train_images/img_1.jpg", quality=95)
    (tile,) = box_tiles(examine(settings(root)))
    line = strong(tile.image, (255, 170, 30))
    assert line[38:42, 58:62].any()  # the middle of the upper side
    assert not line[18:30, 18:40].any()  # where only the upright box around the word has a side


def test_the_word_of_a_finding_is_marked_in_red(tmp_path: Path) -> None:
    root = write_text_set(tmp_path / "set", {1: f"{WORD}good\n10,70,90,70,10,100,90,100,crossed\n"})
    tiles = [tile for tile in finding_tiles(examine(settings(root))) if tile.caption.startswith("word-crossed")]
    assert len(tiles) == 1
    assert strong(tiles[0].image, (255, 40, 40)).sum() > 100


def test_crops_are_what_the_network_will_see(tmp_path: Path) -> None:
    exam = examine(settings(write_text_set(tmp_path / "set", {})))
    rows = list(augmented_tiles(exam, 2))
    assert [[tile.image.size for tile in row] for row in rows] == [[(96, 96)] * 4] * 2
    assert any(strong(tile.image, (255, 170, 30)).any() for row in rows for tile in row)


def test_curved_words_keep_their_outline(tmp_path: Path) -> None:
    root = write_curved(tmp_path / "set")
    code, report = check(root, "--data.val", "[]")
    assert code == 0, report["kinds"]
    assert report["splits"]["train"]["words"]["curved"] == 1


def test_a_detector_of_words_has_words_examined_where_boxes_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    boxes, words = (examine(RunConfig(data=DataConfig(root="signs"), detector=DetectorConfig(name=name)), near=False) for name in ("ssdlite", "craftlite"))
    assert not boxes.words
    assert boxes.plan is not None
    assert words.words["train"].quads.shape[1:] == (4, 2)
    assert len(words.words["train"].char_quads) > 0
    assert words.plan is None


def test_pictures_are_examined_as_for_boxes(tmp_path: Path) -> None:
    root = write_text_set(tmp_path / "set", {})
    images = root / "train_images"
    (images / "img_2.png").write_bytes((images / "img_1.png").read_bytes())
    (images / "img_3.png").write_bytes((images / "img_3.png").read_bytes()[:200])
    (images / "img_4.png").write_bytes(b"no picture")
    code, report = check(root, "--data.val", "[]")
    kinds = {finding["kind"]: finding["file"] for finding in report["findings"]}
    assert code == 3
    assert kinds["duplicate-picture"].endswith(("img_1.png", "img_2.png"))
    assert {kinds.get("picture-damaged", ""), kinds.get("picture-unreadable", "")} & {"train_images/img_3.png", "train_images/img_4.png"}
    assert sum(split["images"] for split in report["splits"].values()) == 4


def test_the_page_speaks_of_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_text_set(tmp_path / "set", {})
    assert main(["check", str(root), "--out", str(tmp_path / "out"), "--augmented", "--data.input_size", "96", "96"]) == 0
    said = capsys.readouterr().out
    assert "12 words" in said
    assert "finetune train --data" in said
    assert "--detector craftlite" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["augmented.jpg", "check.html", "check.json", "words.jpg"]
    page = (tmp_path / "out/check.html").read_text(encoding="utf-8")
    assert "Word sizes" in page
    assert "anchors" not in page
    assert json.loads((tmp_path / "out/check.json").read_text(encoding="utf-8"))["splits"]["train"]["words"]["words"] > 0


def test_the_cleaned_copy_holds_the_good_words(tmp_path: Path) -> None:
    lines = ["10,10,90,10,90,40,10,forty,word", "10,10,10,10,10,10,10,10,word", "500,500,600,500,600,540,500,540,word", f"{WORD}word", f"{WORD}word", "10,90,10,110,90,110,90,90,turned, twice"]
    root = write_text_set(tmp_path / "set", {1: "\n".join(lines) + "\n", 2: f'{WORD[:-1]},"\\"quoted\\""\n'})
    (root / "train_images/img_3.png").write_bytes(b"no picture")
    copy = tmp_path / "copy"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    code, report = check(root, "--write-cleaned", str(copy))
    assert code == 3
    assert report["counts"]["error"] == 4
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert (copy / "train_gts/gt_img_1.txt").read_text(encoding="utf-8") == f"{WORD}word\n10,90,90,90,90,110,10,110,turned, twice\n"
    assert not (copy / "train_images/img_3.png").exists()
    changes = [json.loads(line) for line in (copy / "cleaning/changes.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(change["kind"] for change in changes) == ["picture-unreadable", "word-anticlockwise", "word-empty", "word-off-picture", "word-twice", "word-unreadable"]
    code, report = check(copy)
    assert code == 0
    assert report["counts"]["error"] == report["counts"]["warning"] == 0
    assert sum(split["images"] for split in report["splits"].values()) == 5
    texts = {text for split in examine(settings(copy), near=False).words.values() for text in split.texts}
    assert texts == {"word", "turned, twice", '"quoted"', "Häuser, zwei", "###"}


def test_outlines_are_not_lost_in_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_curved(tmp_path / "set")
    assert main(["check", str(root), "--write-cleaned", str(tmp_path / "copy")]) == 2
    assert "outlines of 1 word" in "".join(capsys.readouterr())
    assert not (tmp_path / "copy").exists()
