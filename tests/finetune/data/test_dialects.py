"""Data as annotation tools, export services and archives leave them: each is read, or a line says what to do."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_annotations, load_splits
from tests.finetune.data.layout_makers import T, V, coco_2017, coco_images_folders, roboflow, voc_folders, voc_parallel, voc_sets
from tests.finetune.data.makers import coco_content, voc_object, write_coco, write_picture, write_voc
from tests.finetune.data.reading import load, message, save


class TestTools:
    def test_label_studio(self, tmp_path: Path) -> None:
        content = coco_content(["images/a b.png", "/data/upload/1/c.png", "images\\d.png", "http://host/data/e%20f.png?token=1"])
        for annotation in content["annotations"]:
            annotation |= {"ignore": 0, "segmentation": [], "area": None}
        for name in ("a b", "c", "d", "e f"):
            write_picture(tmp_path / f"images/{name}.png")
        (tmp_path / "result.json").write_text(json.dumps(content))
        names, boxes, text = load(tmp_path)
        assert names == ["a b.png", "c.png", "d.png", "e f.png"]
        assert boxes == [[5, 5, 15, 15]] * 4
        assert "not where" not in text

    def test_cvat(self, tmp_path: Path) -> None:
        content = coco_content(["sub/a.png", "sub/b.png"])
        for annotation in content["annotations"]:
            annotation |= {"attributes": {"occluded": False}, "segmentation": [[5, 5, 15, 5, 15, 15]]}
        for category in content["categories"]:
            category["supercategory"] = ""
        (tmp_path / "annotations").mkdir()
        for task in ("instances", "person_keypoints", "captions"):  # CVAT writes them all
            (tmp_path / f"annotations/{task}_default.json").write_text(json.dumps(content if task == "instances" else {**content, "annotations": []}))
        for name in ("a", "b"):
            write_picture(tmp_path / f"images/sub/{name}.png")
        assert load(tmp_path)[:2] == (["a.png", "b.png"], [[5, 5, 15, 15]] * 2)

    def test_via_writes_image_ids_as_text(self, tmp_path: Path) -> None:
        content = coco_content(["a.png", "b.png"])
        for annotation in content["annotations"]:
            annotation["image_id"] = str(annotation["image_id"])
        names, boxes, text = load(save(tmp_path, content))
        assert (names, len(boxes)) == (["a.png", "b.png"], 2)
        assert "2 annotations write the image id as text and the image as number, or the reverse: taken as equal: all.json, annotation 100 (image '10')" in text

    def test_tables_write_all_numbers_as_text_or_fractions(self, tmp_path: Path) -> None:
        content = coco_content(["a.png", "b.png"], boxes=[[0, 1, 5, 5, 10, 10], [1, 5, 1, 2, 3, 4]])
        content["categories"] = [{"id": str(row["id"]), "name": row["name"], "supercategory": None} for row in content["categories"]]
        for image in content["images"]:
            image |= {"id": float(image["id"]), "width": str(image["width"])}
        for annotation in content["annotations"]:
            annotation |= {"category_id": float(annotation["category_id"]), "image_id": float(annotation["image_id"]), "iscrowd": "0"}
        splits = load_splits(DataConfig(root=str(save(tmp_path, content)), train=("all.json",), val=("all.json",)))
        assert splits.category_ids == (1, 5)
        assert splits.get("train").image_ids == (10, 13)
        assert all(type(number) is int for number in splits.get("train").image_ids)
        assert splits.get("train").labels.tolist() == [0, 1]
        assert not splits.get("train").crowd.any()

    @pytest.mark.parametrize(("flag", "crowd"), [(1, True), ("1", True), (True, True), ("true", True), (0, False), ("0", False), ("false", False), (None, False), ("", False), ([], False)])
    def test_crowd_flags(self, flag: Any, crowd: bool, tmp_path: Path) -> None:
        content = coco_content(["a.png", "b.png"])
        content["annotations"][0]["iscrowd"] = flag
        split = load_annotations(DataConfig(root=str(save(tmp_path, content))))
        assert split.crowd.tolist() == [crowd, False]

    def test_polygons_without_boxes(self, tmp_path: Path) -> None:
        content = coco_content(["a.png", "b.png"])
        first, second = content["annotations"]
        first |= {"bbox": None, "segmentation": [[3, 4, 20.5, 4, 20.5, 25], [1, 6, 2, 6, 2, 7]]}
        del second["bbox"]
        second["segmentation"] = {"size": [30, 40], "counts": "abc"}
        _, boxes, text = load(save(tmp_path, content), train=("all.json",), val=("all.json",))
        assert boxes == [[1, 4, 20.5, 25]] * 2
        assert "2 annotations without bbox get the box around their polygons: all.json, annotation 100" in text
        assert "2 annotations without a usable box dropped: all.json, annotation 101 (bbox None)" in text

    def test_roboflow_voc_with_upper_case_folders_and_suffixes(self, tmp_path: Path) -> None:
        for split, names in (("Train", T), ("VALID", V)):
            for name in names:
                write_voc(tmp_path / split, tmp_path / split, name.removesuffix(".png"), suffix=".JPG").rename(tmp_path / split / name.replace(".png", ".XML"))
        splits = load_splits(DataConfig(root=str(tmp_path)))
        assert [len(splits.get(name)) for name in ("train", "val")] == [3, 2]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"version": "5.0", "flags": {}, "shapes": [], "imagePath": "a.png", "imageData": None}, "this is a labelme file of one picture; convert the folder to COCO"),
            ({"_via_settings": {}, "_via_img_metadata": {}}, "this is a VIA project; choose Annotation > Export as COCO"),
            ({"a.png123": {"filename": "a.png", "size": 123, "regions": []}}, "this is VIA annotations"),
            ({"asset": {"name": "a.png"}, "regions": []}, "this is a VoTT file"),
            ([{"id": 1, "data": {"image": "/x/a.png"}, "annotations": []}], "this is Label Studio tasks; choose Export > COCO"),
            ([{"image": "a.png", "annotations": [{"label": "cat", "coordinates": {}}]}], "this is CreateML"),
            ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "this is a list of predictions; score it with finetune evaluate --predictions"),
            ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], "only a list of annotations"),
            ({"images": [], "categories": []}, "has no 'annotations'.*test pictures, cannot be read: leave it out"),
            ('{"images": []}\n{"images": []}', r"one JSON object per line\? COCO is one object"),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer instead of the file; run git lfs pull"),
            ("<!DOCTYPE html><html>", "XML or a web page"),
            ("PK\x03\x04", "a zip archive; unpack it"),
            ("\0" * 4096, "only blanks or zero bytes"),
            ("", "empty; copy or export it again"),
            ('{"a": ' * 100_000, "nested too deeply"),
        ],
    )
    def test_other_json_is_called_by_its_name(self, content: Any, words: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=rf"all\.json: .*{words}"):
            load_splits(DataConfig(root=str(save(tmp_path, content))))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('<annotations><image id="0" name="a.png"><box label="cat"/></image></annotations>', "this is CVAT's own format: export as PASCAL VOC or COCO"),
            ("<annotations><annotation/><annotation/></annotations>", "with 2 <annotation> in it, where every picture needs its own file"),
            ('{"shapes": []}', "not an XML file but JSON"),
            ("version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        ],
    )
    def test_other_xml_is_called_by_its_name(self, text: str, words: str, tmp_path: Path) -> None:
        write_voc(tmp_path, tmp_path, "a")
        (tmp_path / "a.xml").write_text(text)
        assert words in message(tmp_path)

    def test_rotated_boxes_and_polygons_in_xml_are_said(self, tmp_path: Path) -> None:
        others = "<object><name>cat</name><robndbox><cx>5</cx></robndbox></object><object><name>cat</name><polygon><x1>1</x1></polygon></object>"
        write_voc(tmp_path, tmp_path, "a", voc_object("cat", (3, 4, 20, 25)) + others + voc_object("cat", (3, 4, 20, "1_0")))  # type: ignore[arg-type]
        write_voc(tmp_path, tmp_path, "b")
        assert "3 annotations without a usable box dropped: a.xml#2 (no bndbox but robndbox), a.xml#3 (no bndbox but polygon), a.xml#4 (ymax is '1_0')" in load(tmp_path)[2]

    @pytest.mark.parametrize(
        ("name", "words"),
        [("boxes.csv", "CSV tables (.csv) are not read"), ("a/data.tfrecord", "TFRecords"), ("archive.zip", "archives (.zip)"), ("metadata.jsonl", "JSON lines"), ("a/x.parquet", "Parquet")],
    )
    def test_other_formats_are_called_by_their_name(self, name: str, words: str, tmp_path: Path) -> None:
        write_picture(tmp_path / "a.png")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
        assert words in message(tmp_path)

    def test_an_archive_as_root(self, tmp_path: Path) -> None:
        (tmp_path / "data.zip").write_bytes(b"PK")
        assert "unpack it" in message(tmp_path / "data.zip")


class TestArchives:
    @pytest.mark.parametrize("make", [coco_2017, coco_images_folders, roboflow, voc_sets, voc_folders, voc_parallel])
    def test_leftovers_of_macos_and_editors_change_nothing(self, make: Any, tmp_path: Path) -> None:
        make(tmp_path)
        plain = load(tmp_path)
        for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
            shadow = tmp_path / "__MACOSX" / path.relative_to(tmp_path)
            shadow.parent.mkdir(parents=True, exist_ok=True)
            for copy in (shadow.with_name(f"._{path.name}"), path.with_name(f"._{path.name}")):
                copy.write_bytes(b"\0\5\26\7Mac OS X")
            (path.parent / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
            (path.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
            (path.parent / ".ipynb_checkpoints" / path.name).write_bytes(b"")
        assert load(tmp_path) == plain

    def test_a_zip_around_everything(self, tmp_path: Path) -> None:
        roboflow(tmp_path / "My Project.v1i.coco")
        (tmp_path / "__MACOSX/My Project.v1i.coco").mkdir(parents=True)
        assert len(load(tmp_path)[0]) == 6

    def test_accents_that_macos_takes_apart(self, tmp_path: Path) -> None:
        composed = unicodedata.normalize("NFC", "Straße Ärger é.png")
        write_picture(tmp_path / unicodedata.normalize("NFD", composed))
        write_picture(tmp_path / "B.PNG")
        (tmp_path / "all.json").write_text(json.dumps(coco_content([composed, "b.png"])), encoding="utf-8")
        names, boxes, text = load(tmp_path)
        assert (len(names), len(boxes)) == (2, 2)
        assert "2 pictures are not where the annotations say, but found by their name: all.json" in text
        assert "'b.png' is " in text

    def test_pictures_in_folders_of_their_own(self, tmp_path: Path) -> None:
        for number, name in enumerate(["a.png", "b.png", "c.png"]):
            write_picture(tmp_path / f"images/part {number}/{name}")
        (tmp_path / "all.json").write_text(json.dumps(coco_content(["a.png", "b.png", "old/c.png"])))
        names, _, text = load(tmp_path)
        assert names == ["a.png", "b.png", "c.png"]
        assert "3 pictures are not where" in text

    def test_one_name_in_two_folders_is_told_apart_by_the_folders(self, tmp_path: Path) -> None:
        for place, width in (("images/x/train/a.png", 40), ("images/x/val/a.png", 50)):
            write_picture(tmp_path / place, width=width)
        write_picture(tmp_path / "b.png")
        (tmp_path / "all.json").write_text(json.dumps(coco_content(["D:\\data\\train\\a.png", "b.png"])))
        splits = load_annotations(DataConfig(root=str(tmp_path)), need_images=True)
        assert splits.original_hw.tolist() == [[30, 40], [30, 40]]
        (tmp_path / "all.json").write_text(json.dumps(coco_content(["a.png", "b.png"])))
        assert "1 picture is missing: a.png" in message(tmp_path)

    def test_voc_in_folders_of_their_own(self, tmp_path: Path) -> None:
        (tmp_path / "ImageSets/Main").mkdir(parents=True)
        (tmp_path / "ImageSets/Main/train.txt").write_text("day/a\nnight/a.jpg\nday\\b\n")
        for name in ("day/a", "night/a", "day/b"):
            write_voc((tmp_path / "Annotations" / name).parent, (tmp_path / "JPEGImages" / name).parent, Path(name).name)
        splits = load_splits(DataConfig(root=str(tmp_path), val=()))
        assert sorted([*splits.get("train").image_ids, *splits.get("val").image_ids]) == ["day/a", "day/b", "night/a"]
        assert all(path.parent.name == str(image_id).split("/")[0] for path, image_id in zip(splits.get("train").paths, splits.get("train").image_ids, strict=True))

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
    def test_names_in_the_encoding_of_another_system(self, tmp_path: Path) -> None:
        write_voc(tmp_path, tmp_path, "a")
        for suffix in (".xml", ".png"):
            (tmp_path / f"a{suffix}").rename(os.fsdecode(os.fsencode(tmp_path) + "/\u4e2d".encode("gbk") + suffix.encode()))
        assert r"1 picture has a name that is not UTF-8: \udcd6\udcd0.png; rename it" in message(tmp_path)


class TestEncodings:
    @pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    def test_json(self, codec: str, tmp_path: Path) -> None:
        save(tmp_path, "")
        (tmp_path / "all.json").write_bytes(json.dumps(coco_content(["a.png", "b.png"], categories={1: "猫"}), ensure_ascii=False).encode(codec))
        assert load_splits(DataConfig(root=str(tmp_path))).class_names == ("猫",)

    def test_json_that_is_not_unicode(self, tmp_path: Path) -> None:
        save(tmp_path, "")
        (tmp_path / "all.json").write_bytes(json.dumps(coco_content(["a.png"], categories={1: "Vögel"}), ensure_ascii=False).encode("latin-1"))
        assert "not a JSON file in UTF-8 (byte 0xf6 at " in message(tmp_path)

    @pytest.mark.parametrize(
        ("codec", "declared"),
        [("utf-8", ""), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("gbk", "GB2312"), ("gb18030", "gb18030"), ("shift_jis", "Shift_JIS"), ("euc-jp", "EUC-JP"), ("big5", "big5")],
    )
    def test_xml(self, codec: str, declared: str, tmp_path: Path) -> None:
        xml = write_voc(tmp_path, tmp_path, "a", voc_object("日本", (3, 4, 20, 25)))
        head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
        xml.write_bytes((head + xml.read_text(encoding="utf-8")).encode(codec))
        assert load_annotations(DataConfig(root=str(tmp_path))).class_names == ("日本",)

    def test_xml_of_an_undeclared_encoding(self, tmp_path: Path) -> None:
        xml = write_voc(tmp_path, tmp_path, "a", voc_object("Vögel", (3, 4, 20, 25)))
        xml.write_bytes(xml.read_text(encoding="utf-8").encode("latin-1"))
        assert "not UTF-8 at byte" in message(tmp_path)

    def test_entities_hidden_by_an_encoding_are_refused(self, tmp_path: Path) -> None:
        xml = write_voc(tmp_path, tmp_path, "a")
        xml.write_bytes(('<?xml version="1.0" encoding="gbk"?><!DOCTYPE a [<!ENTITY b "c">]>' + xml.read_text()).encode("gbk"))
        assert "declares XML entities" in message(tmp_path)

    def test_namespaces(self, tmp_path: Path) -> None:
        xml = write_voc(tmp_path, tmp_path, "a")
        xml.write_text(xml.read_text().replace("<annotation>", '<annotation xmlns="http://example.org/voc">'))
        assert load_annotations(DataConfig(root=str(tmp_path))).boxes.tolist() == [[2, 3, 20, 25]]

    @pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
    def test_set_files(self, codec: str, tmp_path: Path) -> None:
        voc_sets(tmp_path)
        (tmp_path / "ImageSets/Main/train.txt").write_bytes("t1\r\nt2\r\nt1.png\r\n".encode(codec))
        assert load_splits(DataConfig(root=str(tmp_path))).get("train").image_ids == ("t1", "t2")

    def test_class_names_keep_their_letters_and_lose_line_breaks(self, tmp_path: Path) -> None:
        content = coco_content(["a.png", "b.png"], categories={1: " big\ndog\t", 2: "نیم‌فاصله", 3: "\x1b[31mred", 4: 7})  # type: ignore[dict-item]
        splits = load_splits(DataConfig(root=str(save(tmp_path, content))))
        assert splits.class_names == ("big dog", "نیم‌فاصله", "[31mred", "7")

    @pytest.mark.parametrize("name", ['"\\ud800"', '""', "null", "[]", '"' + "x" * 300 + '"'])
    def test_class_names_that_no_file_can_hold(self, name: str, tmp_path: Path) -> None:
        text = json.dumps(coco_content(["a.png", "b.png"], categories={1: "NAME"})).replace('"NAME"', name)
        assert "1 category has no usable id and name: category 0 is " in message(save(tmp_path, text))


def test_a_broken_train_file_is_not_passed_over(tmp_path: Path) -> None:
    coco_images_folders(tmp_path)
    for text in ("", "{", (tmp_path / "annotations/train.json").read_text()[:-10]):
        (tmp_path / "annotations/train.json").write_text(text)
        assert "train.json: not a JSON file" in message(tmp_path)


def test_what_is_no_file(tmp_path: Path) -> None:
    write_coco(tmp_path / "all.json", tmp_path, ["a.png", "b.png"])
    (tmp_path / "all.json").unlink()
    os.mkfifo(tmp_path / "all.json")
    assert "no COCO or VOC data" in message(tmp_path)
    assert "does not exist" in message(tmp_path / "all.json")
    assert "does not exist" in message(tmp_path / ("x" * 300))
    assert "does not exist" in message(Path("~nobody-of-this-name/data"))
    assert "neither an annotation file" in message(tmp_path, train=("x" * 300,))


def test_links_in_a_circle(tmp_path: Path) -> None:
    write_coco(tmp_path / "all.json", tmp_path / "images", ["a.png", "b.png"])
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "images/a.png").unlink()
    (tmp_path / "images/a.png").symlink_to("a.png")
    assert "1 picture is missing: a.png" in message(tmp_path)
    write_picture(tmp_path / "images/deep/a.png")
    assert load(tmp_path)[0] == ["a.png", "b.png"]
    assert np.isfinite(load(tmp_path)[1]).all()
