"""Small valid data sets that the fuzzer damages: one for each layout and dialect, and pieces of real ones where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIDES = (40, 30)  # width, height of every picture that is no piece of real data
TRAIN, VAL, TEST = ("t1.png", "t2.jpg", "t3.png"), ("v1.png", "v2.jpg"), ("e1.png",)


@dataclass(frozen=True)
class Template:
    """A data set in memory.

    Args:
        name: For the tally.
        files: Annotation files: path below the root to content.
        pictures: Path below the root to width and height.
        settings: Of DataConfig, beside root.
        predictions: Which of the files holds predictions of the first split, none in most.
        start: Folder or file below the root that is given as data.root.
        kind: "boxes" or "text".
    """

    name: str
    files: Mapping[str, bytes]
    pictures: Mapping[str, tuple[int, int]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    predictions: str | None = None
    start: str = ""
    kind: str = "boxes"


def own_templates() -> list[Template]:
    """The data sets that need nothing from outside."""
    return [*_coco_templates(), *_voc_templates(), *_prediction_templates()]


def coco_json(names: tuple[str, ...], folder: str = "", first_id: int = 1, roboflow: bool = False) -> bytes:
    """A COCO file with polygons, a crowd, gaps in the category ids, and one picture without annotations."""
    categories = [{"id": 1, "name": "cat", "supercategory": "pets"}, {"id": 5, "name": "big dog", "supercategory": "pets"}, {"id": 18, "name": "Vögel", "supercategory": None}]
    if roboflow:
        categories.insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
    images = [
        {"id": first_id + row, "file_name": folder + name, "width": SIDES[0], "height": SIDES[1], "license": 1, "date_captured": "2020-01-01"} for row, name in enumerate(names)
    ]
    annotations: list[dict[str, Any]] = []
    for row in range(max(1, len(names) - 1)):
        for number, (box, category) in enumerate((([2, 3, 10, 12], 1), ([12.5, 4.25, 20.0, 15.75], 5), ([0, 0, 40, 30], 18))):
            x, y, w, h = box
            entry = {"id": 100 + len(annotations), "image_id": first_id + row, "category_id": category, "bbox": box, "area": w * h, "iscrowd": 0}
            entry["segmentation"] = [[x, y, x + w, y, x + w, y + h]]
            if number == 2:
                entry |= {"iscrowd": 1, "segmentation": {"size": [30, 40], "counts": [0, 1200]}}
            annotations.append(entry)
    content = {"info": {"year": 2020}, "licenses": [{"id": 1, "name": "CC0"}], "images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, ensure_ascii=False).encode()


def voc_xml(name: str, objects: int = 2, declaration: str = "") -> bytes:
    """A VOC file as LabelImg and the devkit write it, with parts, attributes and free text."""
    rows = "".join(
        f"<object><name>{('cat', 'big dog')[i % 2]}</name><pose>Left</pose><truncated>1</truncated><difficult>{i % 2}</difficult>"
        f"<bndbox><xmin>{2 + i}</xmin><ymin>3.5</ymin><xmax>{20 + i}</xmax><ymax>25</ymax></bndbox>"
        "<part><name>head</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>5</xmax><ymax>6</ymax></bndbox></part></object>\n\t"
        for i in range(objects)
    )
    size = f"<size><width>{SIDES[0]}</width><height>{SIDES[1]}</height><depth>3</depth></size>"
    return f'{declaration}<annotation verified="yes">\n\t<folder>x</folder><filename>{name}</filename><path>C:\\x\\{name}</path>{size}<segmented>0</segmented>\n\t{rows}</annotation>\n'.encode()


def _pictures(folder: str, names: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    return {folder + name: SIDES for name in names}


def _coco_templates() -> Iterator[Template]:
    yield Template(
        "coco 2017",
        {f"annotations/instances_{split}2017.json": coco_json(names) for split, names in (("train", TRAIN), ("val", VAL))},
        _pictures("train2017/", TRAIN) | _pictures("val2017/", VAL),
    )
    yield Template(
        "roboflow",
        {f"{split}/_annotations.coco.json": coco_json(names, roboflow=True) for split, names in (("train", TRAIN), ("valid", VAL), ("test", TEST))},
        _pictures("train/", TRAIN) | _pictures("valid/", VAL) | _pictures("test/", TEST),
    )
    yield Template("one coco file", {"result.json": coco_json(TRAIN, folder="images/sub dir/")}, _pictures("images/sub dir/", TRAIN))
    yield Template(
        "coco files joined",
        {"a.json": coco_json(TRAIN), "b.json": coco_json(VAL + TRAIN[:1]), "c.json": coco_json(TEST)},
        _pictures("images/", TRAIN + VAL + TEST),
        {"train": ("a.json", "b.json"), "val": ("c.json",)},
    )
    yield Template("coco file given", {"x/labels.json": coco_json(TRAIN)}, _pictures("x/", TRAIN), start="x/labels.json")


def _voc_templates() -> Iterator[Template]:
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    sets = {f"ImageSets/Main/{split}.txt": "".join(f"{name[:2]}\n" for name in names).encode() for split, names in (("train", TRAIN), ("val", VAL), ("test", TEST))}
    everything = TRAIN + VAL + TEST
    yield Template("voc sets", sets | {f"Annotations/{name[:2]}.xml": voc_xml(name, row % 3, head) for row, name in enumerate(everything, 1)}, _pictures("JPEGImages/", everything))
    devkit = sets | {f"Annotations/{name[:2]}.xml": voc_xml(name) for name in everything}
    yield Template("voc devkit", {f"VOCdevkit/VOC2007/{path}": content for path, content in devkit.items()}, _pictures("VOCdevkit/VOC2007/JPEGImages/", everything))
    yield Template("voc plain", {f"{name[:2]}.xml": voc_xml(name) for name in TRAIN}, _pictures("", TRAIN))
    yield Template("voc by filename", {f"Annotations/label {i}.xml": voc_xml(name) for i, name in enumerate(TRAIN)}, _pictures("images/", TRAIN), {"one_based": False})
    folders = {f"{split}/{name[:2]}.xml": voc_xml(name) for split, names in (("train", TRAIN), ("val", VAL)) for name in names}
    yield Template("voc folders", folders, _pictures("train/", TRAIN) | _pictures("val/", VAL))


def _prediction_templates() -> Iterator[Template]:
    entries = [{"image_id": 1 + i % 3, "category_id": (1, 5, 18)[i % 3], "bbox": [1.5, 2, 10, 12.25], "score": 1 / (i + 1)} for i in range(5)]
    truth, pictures = {"truth.json": coco_json(TRAIN)}, _pictures("", TRAIN)
    yield Template("results list", {**truth, "results/p.json": json.dumps(entries).encode()}, pictures, predictions="results/p.json", start="truth.json")
    named = [{**entry, "file_name": TRAIN[i % 3]} for i, entry in enumerate(entries)]
    content = {"images": [], "categories": [{"id": 1, "name": "cat"}, {"id": 5, "name": "big dog"}, {"id": 18, "name": "zebra"}], "annotations": named}
    yield Template("results with names", {**truth, "results/p.json": json.dumps(content).encode()}, pictures, predictions="results/p.json", start="truth.json")


def real_templates(folder: Path) -> list[Template]:
    """Pieces of COCO and BCCD below a folder of real data; empty where there are none. Pictures are blank ones of the same size."""
    found = []
    files, pictures = {}, {}
    for split in ("train", "val"):
        file = folder / f"coco/annotations/instances_{split}2017.json"
        if file.is_file():
            content = json.loads(file.read_bytes())
            content["images"] = content["images"][:4]
            kept = {image["id"] for image in content["images"]}
            content["annotations"] = [row for row in content["annotations"] if row["image_id"] in kept][:12]
            files[f"annotations/{file.name}"] = json.dumps(content).encode()
            pictures |= {f"{split}2017/{image['file_name']}": (image["width"], image["height"]) for image in content["images"]}
    if files:
        found.append(Template("real coco", files, pictures))
    xmls = sorted((folder / "bccd/Annotations").glob("*.xml"))[:5]
    if xmls:
        names = [xml.stem for xml in xmls]
        files = {f"Annotations/{xml.name}": xml.read_bytes() for xml in xmls}
        files |= {"ImageSets/Main/train.txt": "\n".join(names[:3]).encode(), "ImageSets/Main/val.txt": "\n".join(names[3:]).encode()}
        found.append(Template("real bccd", files, {f"JPEGImages/{name}.jpg": (640, 480) for name in names}))
    return found
