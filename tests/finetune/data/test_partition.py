"""A validation share that leaks nothing, and splits named by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backbones.errors import DataError, UsageError
from finetune.config import DataConfig
from finetune.data import load_splits
from tests.finetune.data.layout_makers import T, V, coco_2017, coco_folders, roboflow, voc_sets, voc_with_sets
from tests.finetune.data.makers import write_coco


class TestSeededValidation:
    def config(self, root: Path, **more: object) -> DataConfig:
        return DataConfig(root=str(root), **more)  # type: ignore[arg-type]

    def make(self, root: Path, names: list[str]) -> None:
        write_coco(root / "all.json", root / "images", names)

    def test_it_is_said_disjoint_and_whole(self, tmp_path: Path) -> None:
        names = [f"{i}.png" for i in range(20)]
        self.make(tmp_path, names)
        splits = load_splits(self.config(tmp_path), seed=3)
        train, val = ({path.name for path in splits.get(name).paths} for name in ("train", "val"))
        assert len(val) == 4
        assert train | val == set(names)
        assert not train & val
        assert any("4 of the 20 training pictures" in line and "seed 3" in line for line in splits.summary)

    def test_boxes_stay_with_their_pictures(self, tmp_path: Path) -> None:
        names = [f"{i}.png" for i in range(20)]
        write_coco(tmp_path / "all.json", tmp_path / "images", names, boxes=[[row, 1, row, 0, 5, 5 + row] for row in range(20) if row % 3])
        splits = load_splits(self.config(tmp_path))
        for split in (splits.get("train"), splits.get("val")):
            for row, path in enumerate(split.paths):
                number = int(path.stem)
                assert split.boxes[split.rows(row)].tolist() == ([[number, 0, number + 5, number + 5]] if number % 3 else [])

    def test_it_follows_the_seed_not_the_order_of_the_file(self, tmp_path: Path) -> None:
        names = [f"{i}.png" for i in range(20)]
        self.make(tmp_path, names)

        def chosen(seed: int) -> set[str]:
            return {path.name for path in load_splits(self.config(tmp_path), seed).get("val").paths}

        first = chosen(0)
        assert chosen(0) == first
        assert chosen(1) != first
        content = json.loads((tmp_path / "all.json").read_text())
        content["images"].reverse()
        (tmp_path / "all.json").write_text(json.dumps(content))
        assert chosen(0) == first

    def test_copies_of_one_picture_stay_together(self, tmp_path: Path) -> None:
        self.make(tmp_path, [f"p{i}_jpg.rf.{copy}abc{i}.png" for i in range(10) for copy in range(3)])
        splits = load_splits(self.config(tmp_path))
        train, val = ({path.name.split(".rf.")[0] for path in splits.get(name).paths} for name in ("train", "val"))
        assert len(splits.get("val")) == 6
        assert not train & val

    def test_one_picture_cannot_be_shared(self, tmp_path: Path) -> None:
        self.make(tmp_path, ["only.png"])
        splits = load_splits(self.config(tmp_path))
        assert splits.val is None
        assert any("too few pictures" in line for line in splits.summary)


class TestExplicitSettings:
    def test_files_names_and_folders(self, tmp_path: Path) -> None:
        coco_2017(tmp_path / "coco")
        voc_sets(tmp_path / "voc")
        roboflow(tmp_path / "robo")
        val_file = str(tmp_path / "coco/annotations/instances_val2017.json")
        assert len(load_splits(DataConfig(root=str(tmp_path / "coco"), train=("val2017",), val=("train2017",))).get("train")) == 2
        assert len(load_splits(DataConfig(root=str(tmp_path / "coco"), val=(val_file,))).get("val")) == 2
        assert len(load_splits(DataConfig(root=str(tmp_path / "voc"), train=("train", "val"), val=("test",))).get("train")) == 5
        assert len(load_splits(DataConfig(root=str(tmp_path / "robo"), train=("train",), val=("test",))).get("val")) == 1

    def test_an_unknown_name_says_what_was_looked_for(self, tmp_path: Path) -> None:
        coco_2017(tmp_path)
        with pytest.raises(DataError, match=r"data\.train: 'tarin' is neither.*instances_tarin\.json"):
            load_splits(DataConfig(root=str(tmp_path), train=("tarin",)))

    def test_found_validation_that_overlaps_given_train_is_not_used(self, tmp_path: Path) -> None:
        voc_with_sets(tmp_path, {"train": T, "val": V, "trainval": [*T, *V]})
        splits = load_splits(DataConfig(root=str(tmp_path), train=("trainval",)))
        assert not {*splits.get("train").paths} & {*splits.get("val").paths}
        assert any("not used" in line for line in splits.summary)
        both = load_splits(DataConfig(root=str(tmp_path), train=("trainval",), val=("val",)))
        assert any("warning: 2 pictures are in train and in val" in line for line in both.summary)

    def test_only_a_test_file(self, tmp_path: Path) -> None:
        coco_folders(tmp_path)
        splits = load_splits(DataConfig(root=str(tmp_path / "annotations/instances_test.json"), test=(str(tmp_path / "annotations/instances_test.json"),)))
        assert len(splits.get("test")) == 1
        with pytest.raises(UsageError, match="no split 'train'; it has test"):
            splits.get("train")

    def test_images_folder(self, tmp_path: Path) -> None:
        write_coco(tmp_path / "set/all.json", tmp_path / "elsewhere", T)
        with pytest.raises(DataError, match=r"all\.json: 3 pictures are missing: t1\.png, t2\.png, t3\.png; the file lists 3; looked in .*set; .*data\.images"):
            load_splits(DataConfig(root=str(tmp_path / "set")))
        assert len(load_splits(DataConfig(root=str(tmp_path / "set"), images=str(tmp_path / "elsewhere"))).get("train")) == 2
        with pytest.raises(DataError, match=r"data\.images: .*nowhere is no folder"):
            load_splits(DataConfig(root=str(tmp_path / "set"), images="nowhere"))


def test_several_files_with_equal_image_ids_stay_apart(tmp_path: Path) -> None:
    write_coco(tmp_path / "a.json", tmp_path / "images", ["a1.png", "a2.png"], boxes=[[0, 1, 1, 2, 3, 4], [1, 1, 5, 6, 7, 8]])
    write_coco(tmp_path / "b.json", tmp_path / "images", ["b1.png", "a1.png"], boxes=[[0, 5, 2, 2, 9, 9], [1, 5, 20, 20, 5, 5]])
    splits = load_splits(DataConfig(root=str(tmp_path), train=("a.json", "b.json"), val=(), val_fraction=0.01))
    boxes = {}
    for split in (splits.get("train"), splits.get("val")):
        assert len(set(split.image_ids)) == len(split)
        for row, path in enumerate(split.paths):
            boxes[path.name] = split.boxes[split.rows(row)].tolist()
    assert boxes == {"a1.png": [[1, 2, 4, 6], [20, 20, 25, 25]], "a2.png": [[5, 6, 12, 14]], "b1.png": [[2, 2, 11, 11]]}
