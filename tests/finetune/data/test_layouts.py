"""Every row of the table of layouts in docs/data.md, and what is said when none fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data import load_splits
from finetune.data.coco_layouts import split_of
from finetune.data.layouts import find_layout
from tests.finetune.data.layout_makers import (
    T,
    coco_2017,
    coco_among_other_json,
    coco_folders,
    coco_images_folders,
    coco_shared_images,
    coco_single,
    coco_split_folders,
    coco_word_in_name,
    roboflow,
    roboflow_val,
    unzipped_into_a_folder,
    voc_devkit,
    voc_folders,
    voc_parallel,
    voc_plain,
    voc_plain_two_folders,
    voc_sets,
    voc_trainval,
)
from tests.finetune.data.makers import write_picture

LAYOUTS = [
    (coco_2017, "COCO", (3, 2, 0)),
    (coco_folders, "COCO", (3, 2, 1)),
    (coco_images_folders, "COCO", (3, 2, 1)),
    (coco_shared_images, "COCO", (3, 2, 0)),
    (roboflow, "COCO split folders", (3, 2, 1)),
    (roboflow_val, "COCO split folders", (3, 2, 0)),
    (coco_word_in_name, "COCO", (3, 2, 0)),
    (coco_split_folders, "COCO split folders", (3, 2, 0)),
    (coco_single, "one COCO file", (4, 1, 0)),
    (coco_among_other_json, "one COCO file", (4, 1, 0)),
    (voc_sets, "VOC ImageSets", (3, 2, 1)),
    (voc_devkit, "VOC ImageSets", (3, 2, 1)),
    (voc_trainval, "VOC ImageSets", (4, 1, 1)),
    (voc_folders, "VOC split folders", (3, 2, 0)),
    (voc_parallel, "VOC split folders", (3, 2, 0)),
    (voc_plain, "VOC plain folder", (4, 1, 0)),
    (voc_plain_two_folders, "VOC plain folder", (4, 1, 0)),
    (unzipped_into_a_folder, "COCO split folders", (3, 2, 1)),
]


@pytest.mark.parametrize(("make", "name", "sizes"), LAYOUTS, ids=[make.__name__ for make, _, _ in LAYOUTS])
def test_layout_is_found(make: Callable[[Path], None], name: str, sizes: tuple[int, int, int], tmp_path: Path, repo_root: Path) -> None:
    make(tmp_path)
    assert find_layout(tmp_path).name == name
    splits = load_splits(DataConfig(root=str(tmp_path)))
    found = tuple(0 if split is None else len(split) for split in (splits.train, splits.val, splits.test))
    assert found == sizes
    for split, letter in ((splits.train, "t"), (splits.val, "v"), (splits.test, "e")):
        if split is not None and sizes[:2] == (3, 2):
            assert all(path.name.startswith(letter) for path in split.paths)
    assert name in (repo_root / "docs/data.md").read_text(encoding="utf-8")


def test_a_coco_file_may_be_given_directly(tmp_path: Path) -> None:
    coco_images_folders(tmp_path)
    splits = load_splits(DataConfig(root=str(tmp_path / "annotations/train.json")))
    assert sorted(path.name for path in (*splits.get("train").paths, *splits.get("val").paths)) == T
    assert len(splits.get("val")) == 1


def test_nothing_found_says_what_is_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("x")
    with pytest.raises(DataError, match=r"ImageSets/Main/train\.txt.*found a\.png, labels\.csv \(1 pictures without annotations\)"):
        find_layout(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        find_layout(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no annotation file"):
        find_layout(tmp_path / "labels.csv")


def test_yolo_labels_are_recognised_as_such(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(DataError, match="looks like YOLO labels: export the data as COCO or VOC"):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("instances_train2017", "train"),
        ("val", "val"),
        ("coco_valid", "val"),
        ("annotations-test", "test"),
        ("captions_train2017", None),
        ("person_keypoints_val2017", None),
        ("image_info_test2017", None),
        ("trainval", None),
        ("train_val", None),
        ("constraint", None),
    ],
)
def test_split_of_a_file_name(stem: str, split: str | None) -> None:
    assert split_of(stem) == split


def test_several_data_sets_are_named_not_guessed(tmp_path: Path) -> None:
    coco_2017(tmp_path / "one")
    voc_plain(tmp_path / "two")
    with pytest.raises(DataError, match="several data sets \\(one, two\\)"):
        find_layout(tmp_path)


def test_format_decides_where_both_are(tmp_path: Path) -> None:
    coco_2017(tmp_path)
    voc_sets(tmp_path)
    assert find_layout(tmp_path).name == "COCO"
    assert find_layout(tmp_path, "voc").name == "VOC ImageSets"


def test_signs_means_the_sample_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import finetune.samples

    coco_folders(tmp_path / "cache")
    monkeypatch.setattr(finetune.samples, "ensure_signs", lambda: tmp_path / "cache", raising=False)
    monkeypatch.chdir(tmp_path)
    assert len(load_splits(DataConfig(root="signs")).get("train")) == 3


def test_voc_test_list_without_annotations_is_left_out(tmp_path: Path) -> None:
    voc_sets(tmp_path)
    (tmp_path / "Annotations/e1.xml").unlink()
    splits = load_splits(DataConfig(root=str(tmp_path)))
    assert splits.test is None
    assert any("without annotations" in line for line in splits.summary)
    with pytest.raises(DataError, match=r"test\.txt: 1 listed picture has no annotation file: e1\.xml"):
        load_splits(DataConfig(root=str(tmp_path), test=("test",)))
