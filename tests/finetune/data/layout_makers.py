"""One function for each layout: T in train, V in val, E in test where the layout has it."""

from __future__ import annotations

from pathlib import Path

from tests.finetune.data.makers import write_coco, write_voc

T, V, E = ["t1.png", "t2.png", "t3.png"], ["v1.png", "v2.png"], ["e1.png"]


def coco_2017(root: Path) -> None:
    for split, names in (("train2017", T), ("val2017", V)):
        write_coco(root / f"annotations/instances_{split}.json", root / split, names)


def coco_folders(root: Path) -> None:
    for split, names in (("train", T), ("val", V), ("test", E)):
        write_coco(root / f"annotations/instances_{split}.json", root / split, names)


def coco_images_folders(root: Path) -> None:
    for split, names in (("train", T), ("val", V), ("test", E)):
        write_coco(root / f"annotations/{split}.json", root / "images" / split, names)


def coco_shared_images(root: Path) -> None:
    for split, names in (("train", T), ("val", V)):
        write_coco(root / f"{split}.json", root / "images", names)


def roboflow(root: Path) -> None:
    for split, names in (("train", T), ("valid", V), ("test", E)):
        write_coco(root / split / "_annotations.coco.json", root / split, names)


def roboflow_val(root: Path) -> None:
    for split, names in (("train", T), ("val", V)):
        write_coco(root / split / "_annotations.coco.json", root / split, names)


def coco_word_in_name(root: Path) -> None:
    """Beside files of other tasks, as COCO has them."""
    for split, names in (("train", T), ("val", V)):
        write_coco(root / f"annotations/my-{split}_coco.json", root / "images", names)
        (root / f"annotations/captions_{split}2017.json").write_text("{}")


def coco_split_folders(root: Path) -> None:
    for split, names in (("train", T), ("val", V)):
        write_coco(root / split / "labels.json", root / split / "data", names)


def coco_among_other_json(root: Path) -> None:
    coco_single(root)
    (root / "info.json").write_text('{"version": 1}')
    (root / "broken.json").write_text("{")


def coco_single(root: Path) -> None:
    write_coco(root / "result.json", root / "images", [*T, *V])


def voc_with_sets(base: Path, splits: dict[str, list[str]]) -> None:
    (base / "ImageSets/Main").mkdir(parents=True)
    for split, names in splits.items():
        stems = [name.removesuffix(".png") for name in names]
        (base / f"ImageSets/Main/{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            write_voc(base / "Annotations", base / "JPEGImages", stem)


def voc_sets(root: Path) -> None:
    voc_with_sets(root, {"train": T, "val": V, "test": E})


def voc_devkit(root: Path) -> None:
    voc_with_sets(root / "VOCdevkit/VOC2007", {"train": T, "val": V, "test": E})


def voc_trainval(root: Path) -> None:
    voc_with_sets(root / "VOC2007", {"trainval": [*T, *V], "test": E})


def voc_folders(root: Path) -> None:
    for split, names in (("train", T), ("val", V)):
        for name in names:
            write_voc(root / split, root / split, name.removesuffix(".png"))


def voc_parallel(root: Path) -> None:
    for split, names in (("train", T), ("val", V)):
        for name in names:
            write_voc(root / "annotations" / split, root / "images" / split, name.removesuffix(".png"))


def voc_plain(root: Path) -> None:
    for name in [*T, *V]:
        write_voc(root, root, name.removesuffix(".png"))


def voc_plain_two_folders(root: Path) -> None:
    for name in [*T, *V]:
        write_voc(root / "annotations", root / "images", name.removesuffix(".png"))


def unzipped_into_a_folder(root: Path) -> None:
    roboflow(root / "My Project.v1")
