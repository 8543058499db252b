"""The same truth as COCO JSON, Pascal VOC XML and ICDAR text."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from finetune.samples.layout import SPLITS, characters_path, coco_path, picture_name, picture_path, split_of, words_path
from finetune.samples.truth import CLASS_NAMES, Picture, Point, SignBox, Word

Size = tuple[int, int]


def write_picture(root: Path, index: int, picture: Picture) -> None:
    """Write the picture, its VOC file and its ICDAR files."""
    path = picture_path(root, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.image.save(path, quality=picture.quality, subsampling=2)
    _write_voc(root / "voc", path, picture)
    _write_words(root, index, picture)


def write_coco(root: Path, truths: Sequence[tuple[Size, Sequence[SignBox]]], seed: int, version: int) -> None:
    """Write one COCO file per split; ``truths`` has (width, height) and signs of every picture."""
    categories = [{"id": number, "name": name, "supercategory": "road sign"} for number, name in enumerate(CLASS_NAMES, 1)]
    for split in SPLITS:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index, ((width, height), signs) in enumerate(truths):
            if split_of(index) != split:
                continue
            images.append({"id": index + 1, "file_name": f"{picture_name(index)}.jpg", "width": width, "height": height})
            for sign in signs:
                left, top, right, bottom = sign.box
                box = [left, top, right - left, bottom - top]
                entry = {"id": len(annotations) + 1, "image_id": index + 1, "category_id": CLASS_NAMES.index(sign.label) + 1}
                annotations.append({**entry, "bbox": box, "area": box[2] * box[3], "iscrowd": int(sign.ignore)})
        info = {"description": "road signs drawn by finetune sample-data", "version": str(version), "seed": seed}
        path = coco_path(root, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"info": info, "images": images, "annotations": annotations, "categories": categories}), encoding="utf-8")


def write_voc_sets(root: Path, count: int) -> None:
    """Write the name lists of the VOC splits."""
    folder = root / "voc" / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        (folder / f"{split}.txt").write_text("".join(f"{picture_name(index)}\n" for index in range(count) if split_of(index) == split), encoding="utf-8")


def _write_voc(voc: Path, picture_file: Path, picture: Picture) -> None:
    linked = voc / "JPEGImages" / picture_file.name
    xml = voc / "Annotations" / f"{picture_file.stem}.xml"
    for path in (linked, xml):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(picture_file, linked)
    except OSError:  # a file system without hard links
        shutil.copyfile(picture_file, linked)
    width, height = picture.image.size
    lines = ["<annotation>", "  <folder>JPEGImages</folder>", f"  <filename>{picture_file.name}</filename>"]
    lines += [f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>", "  <segmented>0</segmented>"]
    lines += [_voc_object(sign) for sign in picture.signs]
    xml.write_text("\n".join([*lines, "</annotation>", ""]), encoding="utf-8")


def _voc_object(sign: SignBox) -> str:
    """Coordinates count pixels from 1 and include the last one, as in the devkit."""
    left, top, right, bottom = sign.box
    box = f"<bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>"
    flags = f"<pose>Unspecified</pose><truncated>{int(sign.truncated)}</truncated><difficult>{int(sign.ignore)}</difficult>"
    return f"  <object><name>{escape(sign.label)}</name>{flags}{box}</object>"


def _write_words(root: Path, index: int, picture: Picture) -> None:
    lines: list[str] = []
    words: list[dict[str, Any]] = []
    for word in picture.words:
        corners = _whole_pixels(word, picture.image.size)
        if _area(corners) < 4:
            continue
        lines.append(",".join(str(value) for corner in corners for value in corner) + "," + (word.text if word.readable else "###") + "\n")
        words.append({"text": word.text, "ignore": not word.readable, "quad": _rounded(word.quad), "characters": [_rounded(quad) for quad in word.characters]})
    path = words_path(root, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    value = {"image": f"{picture_name(index)}.jpg", "words": words}
    characters_path(root, index).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _whole_pixels(word: Word, size: Size) -> list[tuple[int, int]]:
    return [(max(0, min(size[0], round(x))), max(0, min(size[1], round(y)))) for x, y in word.quad]


def _area(corners: Sequence[tuple[int, int]]) -> float:
    following = [*corners[1:], corners[0]]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(corners, following, strict=True))) / 2


def _rounded(quad: Sequence[Point]) -> list[list[float]]:
    return [[round(x, 3), round(y, 3)] for x, y in quad]
