"""VOC files: frames, flags, names, and what is wrong with them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_annotations, load_splits
from tests.finetune.data.makers import voc_object, write_picture, write_voc


def load(root: Path, **more: object) -> tuple[object, str]:
    splits = load_splits(DataConfig(root=str(root), val=(), val_fraction=0.01, **more))  # type: ignore[arg-type]
    return splits, "\n".join(splits.summary)


def boxes_of(root: Path, stem: str, **more: object) -> list[list[float]]:
    splits, _ = load(root, **more)
    for split in (splits.train, splits.val):  # type: ignore[attr-defined]
        if split is not None and stem in split.image_ids:
            return split.boxes[split.rows(split.image_ids.index(stem))].tolist()
    raise AssertionError(stem)


def test_bccd_has_every_box_of_the_files(shared_data: Path) -> None:
    root = shared_data / "bccd"
    splits = load_splits(DataConfig(root=str(root)))
    assert [len(splits.get(name)) for name in ("train", "val", "test")] == [205, 87, 72]
    assert splits.class_names == ("Platelets", "RBC", "WBC")
    assert splits.category_ids == (1, 2, 3)
    assert sum(len(splits.get(name).boxes) for name in ("train", "val", "test")) == 4888 - 2
    assert any("2 boxes without area" in line and "BloodImage_00338.xml#13" in line for line in splits.summary)
    val = splits.get("val")
    assert val.one_based
    for row in range(0, len(val), 7):
        corners = [
            [float(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]  # type: ignore[arg-type]
            for item in ET.parse(root / "Annotations" / f"{val.image_ids[row]}.xml").findall("object")
        ]
        whole = [box for box in corners if box[2] > box[0]]
        np.testing.assert_array_equal(val.boxes[val.rows(row)] + [1, 1, 0, 0], whole)


def test_devkit_frame_and_plain_frame(tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a", voc_object("cat", (1, 1, 40, 30)) + voc_object("cat", (3.5, 4.25, 20, 25)))
    assert boxes_of(tmp_path, "a") == [[0, 0, 40, 30], [2.5, 3.25, 20, 25]]
    assert boxes_of(tmp_path, "a", one_based=False) == [[1, 1, 40, 30], [3.5, 4.25, 20, 25]]


def test_difficult_is_an_ignore_flag(tmp_path: Path) -> None:
    flags = ("<difficult>1</difficult>", "<difficult>0</difficult>", "", "<difficult>Unspecified</difficult>")
    write_voc(tmp_path, tmp_path, "a", "".join(voc_object("cat", (1, 1, 9, 9), flag) for flag in flags))
    splits, text = load(tmp_path)
    assert splits.train.difficult.tolist() == [True, False, False, False]  # type: ignore[attr-defined]
    assert splits.train.ignore.tolist() == [True, False, False, False]  # type: ignore[attr-defined]
    assert "1 crowd or difficult boxes" in text


def test_parts_of_an_object_are_not_boxes(tmp_path: Path) -> None:
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    write_voc(tmp_path, tmp_path, "a", voc_object("person", (3, 4, 20, 25), part))
    splits, _ = load(tmp_path)
    assert splits.class_names == ("person",)  # type: ignore[attr-defined]
    assert boxes_of(tmp_path, "a") == [[2, 3, 20, 25]]


def test_wrong_and_missing_sizes(tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a", size=(0, 0))
    write_voc(tmp_path, tmp_path, "b", size=None)
    write_voc(tmp_path, tmp_path, "c", size=(400, 300))
    splits, text = load(tmp_path)
    assert splits.train.original_hw.tolist() == [[30, 40]] * 2  # type: ignore[attr-defined]
    assert "c.png is 40x30, not 400x300" in text


def test_names_with_spaces_dots_and_suffixes(tmp_path: Path) -> None:
    stems = ["my street 01", "b.c d", "plain", "with 1"]
    for stem in stems:
        write_voc(tmp_path / "Annotations", tmp_path / "JPEGImages", stem, suffix=".JPG" if stem == "plain" else ".png")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/train.txt").write_text("\ufeffmy street 01\r\nb.c d.png\nplain  1\nwith 1\n\n")
    splits = load_splits(DataConfig(root=str(tmp_path)))
    assert sorted([*splits.get("train").image_ids, *splits.get("val").image_ids]) == sorted(stems)


def test_pictures_by_name_then_by_filename_tag(tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a")
    xml = write_voc(tmp_path, tmp_path, "b")
    xml.rename(tmp_path / "label_of_b.xml")
    write_picture(tmp_path / "not_labelled.png")
    splits, text = load(tmp_path)
    assert len(splits.train) + len(splits.val) == 2  # type: ignore[attr-defined]
    assert "1 picture without an XML file left out: not_labelled.png" in text


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        write_voc(tmp_path / "Annotations", tmp_path / "JPEGImages", stem)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    names = tmp_path / "ImageSets/Main/train.txt"
    names.write_text("a\nb\nghost\n")
    with pytest.raises(DataError, match=r"train\.txt: 1 listed picture has no annotation file: ghost\.xml; the list names 3, looked in .*Annotations"):
        load_splits(DataConfig(root=str(tmp_path)))
    names.write_text("a\nb\n")
    (tmp_path / "JPEGImages/b.png").unlink()
    with pytest.raises(DataError, match=r"train\.txt: 1 picture is missing: b; the list names 2; looked in .*JPEGImages"):
        load_splits(DataConfig(root=str(tmp_path)))
    names.write_text("\n")
    with pytest.raises(DataError, match="no images"):
        load_splits(DataConfig(root=str(tmp_path)))
    for path in (tmp_path / "ImageSets/Main").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"Annotations: 1 picture is missing: that of b\.xml; looked for the same name, or that in <filename>"):
        load_splits(DataConfig(root=str(tmp_path)))


BOMB = '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB + "<annotation><object><name>&b;</name></object></annotation>", r"bad\.xml: .*: declares XML entities"),
        ((BOMB + "<annotation/>").encode("utf-16"), r"bad\.xml: .*: declares XML entities"),
        ("<annotation><object>", r"bad\.xml: 1 annotation file cannot be read: not well-formed XML \(.*line 1"),
        ("", r"bad\.xml: .*: not an XML file but empty"),
        (b"\xff\xfe\x00garbage", r"bad\.xml: .*: not well-formed XML"),
        ("<VOC/>", r"root element of a VOC annotation is <annotation>, not <VOC>"),
        ("<annotation><object><bndbox/></object></annotation>", r"bad\.xml: 1 object has no name: bad\.xml#1 \(name None\); add one, or take the object out"),
    ],
)
def test_bad_files_are_named(text: str | bytes, message: str, tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "good")
    write_picture(tmp_path / "bad.png")
    (tmp_path / "bad.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        load(tmp_path)


def test_a_plain_doctype_is_harmless(tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a", head='<?xml version="1.0"?><!DOCTYPE annotation SYSTEM "voc.dtd">')
    write_voc(tmp_path, tmp_path, "b")
    assert boxes_of(tmp_path, "a") == [[2, 3, 20, 25]]


XMAX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>4</ymax></bndbox>"


@pytest.mark.parametrize("corners", ["", "<bndbox/>", XMAX.format("x"), XMAX.format("nan")])
def test_objects_without_a_box_are_dropped_by_name(corners: str, tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a", voc_object("cat", (3, 4, 20, 25)) + f"<object><name>cat</name>{corners}</object>")
    splits, text = load(tmp_path)
    assert len(splits.train.boxes) == 1  # type: ignore[attr-defined]
    assert "1 annotation without a usable box dropped: a.xml#2" in text


def test_whole_data_set_as_ground_truth_keeps_boxes_as_written(tmp_path: Path) -> None:
    write_voc(tmp_path, tmp_path, "a", voc_object("cat", (1, 1, 90, 30)) + voc_object("cat", (5, 5, 5, 5)))
    write_voc(tmp_path, tmp_path, "b")
    split = load_annotations(DataConfig(root=str(tmp_path)))
    assert len(split) == 2
    assert split.boxes.tolist() == [[0, 0, 90, 30], [5, 5, 5, 5], [2, 3, 20, 25]]
