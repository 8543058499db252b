"""Class names, order, ids, include, rename."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backbones.errors import UsageError
from finetune.config import DataConfig
from finetune.data import load_splits
from finetune.data.classes import build_class_map
from tests.finetune.data.makers import coco_content, voc_object, write_coco, write_voc

IDS = [{"zebra": 3, "ant": 90, "cat": 7}]
NAMES = [{"zebra": 0, "ant": 0}, {"cat": 0, "ant": 0}]


def test_order_by_id_or_by_name() -> None:
    with_ids, without = build_class_map(IDS), build_class_map(NAMES)
    assert (with_ids.class_names, with_ids.category_ids) == (("zebra", "cat", "ant"), (3, 7, 90))
    assert (without.class_names, without.category_ids) == (("ant", "cat", "zebra"), (1, 2, 3))


def test_include_chooses_and_orders() -> None:
    chosen = build_class_map(IDS, include=("ant", "zebra"))
    assert (chosen.class_names, chosen.category_ids) == (("ant", "zebra"), (90, 3))
    assert dict(chosen.label_of) == {"ant": 0, "zebra": 1}


def test_rename_merges() -> None:
    merged = build_class_map(IDS, rename={"zebra": "animal", "cat": "animal"})
    assert (merged.class_names, merged.category_ids) == (("animal", "ant"), (3, 90))
    assert dict(merged.label_of) == {"zebra": 0, "cat": 0, "ant": 1}
    assert merged.lines() == ["id 3 -> 0 animal (from zebra, cat)", "id 90 -> 1 ant"]
    into = build_class_map(IDS, rename={"zebra": "cat"}, include=("cat",))
    assert (into.class_names, into.category_ids, dict(into.label_of)) == (("cat",), (7,), {"cat": 0, "zebra": 0})


def test_files_that_number_differently_are_renumbered() -> None:
    one = build_class_map([{"cat": 1, "dog": 2}, {"cow": 1}])
    assert sorted(one.category_ids) == [1, 2, 3]
    assert one.renumbered
    assert not build_class_map([{"cat": 1, "dog": 2}, {"dog": 1}]).renumbered


@pytest.mark.parametrize(
    ("include", "rename", "message"),
    [
        (("Zebr",), {}, r"data\.include: no class 'Zebr' in the data; nearest: zebra; classes are ant, cat, zebra"),
        ((), {"CAT": "x"}, r"data\.rename: no class 'CAT' in the data; nearest: cat"),
        (("cat",), {"cat": "feline"}, r"data\.include: 'cat' is renamed to 'feline' by data\.rename; use the new name"),
        (("ant", "ant"), {}, r"names a class twice"),
        (("qqqq",), {}, r"no class 'qqqq' in the data; classes are"),
    ],
)
def test_wrong_names_show_the_nearest(include: tuple[str, ...], rename: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_class_map(IDS, include, rename)


def test_from_files(tmp_path: Path) -> None:
    boxes = [[0, 1, 1, 1, 5, 5], [0, 5, 9, 9, 5, 5], [1, 9, 2, 2, 6, 6]]
    write_coco(tmp_path / "all.json", tmp_path / "images", ["a.png", "b.png"], boxes=boxes, categories={9: "cow", 5: "dog", 1: "cat", 30: "never"})
    config = {"root": str(tmp_path), "train": ("all.json",), "val": ("all.json",)}
    splits = load_splits(DataConfig(**config))  # type: ignore[arg-type]
    assert splits.class_names == ("cat", "dog", "cow", "never")
    assert any("no boxes of 1 classes: never" in line for line in splits.summary)
    some = load_splits(DataConfig(**config, include=("cow", "pet"), rename={"cat": "pet", "dog": "pet"}))  # type: ignore[arg-type]
    assert some.get("train").labels.tolist() == [1, 1, 0]
    fewer = load_splits(DataConfig(**config, include=("cow",)))  # type: ignore[arg-type]
    assert fewer.get("train").labels.tolist() == [0]
    assert any("4 boxes of classes that are not included left out: all.json, annotation 100 (cat)" in line for line in fewer.summary)
    assert len({splits.fingerprint, some.fingerprint, fewer.fingerprint}) == 3


def test_classes_of_all_voc_splits_count(tmp_path: Path) -> None:
    write_voc(tmp_path / "train", tmp_path / "train", "a", voc_object("dog", (1, 1, 9, 9)))
    write_voc(tmp_path / "val", tmp_path / "val", "b", voc_object("cat", (1, 1, 9, 9)))
    splits = load_splits(DataConfig(root=str(tmp_path)))
    assert splits.class_names == ("cat", "dog")
    assert splits.get("train").labels.tolist() == [1]


def test_category_names_are_stripped_and_equal_names_joined(tmp_path: Path) -> None:
    content = coco_content(["a.png"], categories={1: "cat", 2: " cat "}, boxes=[[0, 1, 1, 1, 5, 5], [0, 2, 9, 9, 5, 5]])
    write_coco(tmp_path / "all.json", tmp_path, ["a.png"])
    (tmp_path / "all.json").write_text(json.dumps(content))
    splits = load_splits(DataConfig(root=str(tmp_path)))
    assert splits.class_names == ("cat",)
    assert splits.get("train").labels.tolist() == [0, 0]
