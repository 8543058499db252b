"""Tiny data sets for tests: pictures of one colour, annotations of a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image


def write_picture(path: Path, width: int = 40, height: int = 30, colour: tuple[int, int, int] = (90, 120, 60), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path, **options)
    return path


def coco_content(names: list[str], boxes: list[list[Any]] | None = None, categories: dict[int, str] | None = None) -> dict[str, Any]:
    """Images 40 x 30 with the given file names; ``boxes`` rows are [image row, category id, x, y, w, h]."""
    categories = categories or {1: "cat", 5: "dog"}
    boxes = [[row, next(iter(categories)), 5, 5, 10, 10] for row in range(len(names))] if boxes is None else boxes
    return {
        "images": [{"id": 10 + 3 * row, "file_name": name, "width": 40, "height": 30} for row, name in enumerate(names)],
        "annotations": [
            {"id": 100 + number, "image_id": 10 + 3 * row, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for number, (row, category, *box) in enumerate(boxes)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
    }


def write_coco(file: Path, picture_dir: Path, names: list[str], **more: Any) -> Path:
    """One COCO file and its pictures."""
    for name in names:
        write_picture(picture_dir / name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(coco_content(names, **more)))
    return file


def voc_object(name: str, corners: tuple[float, float, float, float], extra: str = "") -> str:
    sides = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name>{extra}<bndbox>{sides}</bndbox></object>"


def write_voc(xml_dir: Path, picture_dir: Path, stem: str, objects: str | None = None, size: tuple[int, int] | None = (40, 30), head: str = "", suffix: str = ".png") -> Path:
    """One XML file and its picture of 40 x 30; ``size`` is what the XML says (width, height)."""
    write_picture(picture_dir / f"{stem}{suffix}")
    objects = voc_object("cat", (3, 4, 20, 25)) if objects is None else objects
    declared = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    xml_dir.mkdir(parents=True, exist_ok=True)
    file = xml_dir / f"{stem}.xml"
    file.write_text(f"{head}<annotation><filename>{stem}{suffix}</filename>{declared}{objects}</annotation>")
    return file
