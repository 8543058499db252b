"""COCO files of a cleaned copy: the original entries with all their fields, less what the reader could not use."""

from __future__ import annotations

import json
from typing import Any

from finetune.check.cleaned_boxes import true_hw
from finetune.check.copying import Copy
from finetune.data.coco_values import as_box, as_category_id, as_class_name, as_id
from finetune.data.file_listing import read_bytes
from finetune.data.kinds import ANNOTATION_ID_TWICE, BOX_OF_POLYGON, SIZE_DIFFERS
from finetune.data.raw import RawSplit
from finetune.data.sources import CocoSource


def write_coco(copy: Copy, source: CocoSource, left: RawSplit) -> None:
    """Write one COCO file with the images and boxes that are left.

    Args:
        copy: The copy.
        source: The original.
        left: What is left of it; image ids and annotation ids as the reader gives them.
    """
    content = json.loads(read_bytes(source.file))
    target = copy.place(source.file, "annotations")
    cleaned = {**content, "images": _images(copy, content, left), "annotations": _annotations(copy, source, content, left), "categories": _categories(content)}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(cleaned, ensure_ascii=False), encoding="utf-8")


def _images(copy: Copy, content: dict[str, Any], left: RawSplit) -> list[dict[str, Any]]:
    images = {image.image_id: image for image in left.images}
    pictures = copy.exam.table.by_path()
    entries = []
    for entry in content["images"]:
        number = as_id(entry.get("id")) if isinstance(entry, dict) else None
        image = images.pop(number, None) if number is not None else None  # of two entries with one id the reader takes the first
        if image is None:
            continue
        height, width = true_hw(image, pictures[image.path].header)
        if 0 not in image.declared_hw and (height, width) != image.declared_hw:
            copy.note(SIZE_DIFFERS.name, image.path, None, f"{image.declared_hw[1]}x{image.declared_hw[0]}", f"{width}x{height}")
        entries.append({**entry, "id": number, "width": width, "height": height})
    return entries


def _annotations(copy: Copy, source: CocoSource, content: dict[str, Any], left: RawSplit) -> list[dict[str, Any]]:
    boxes = {box.annotation_id: box for box in left.boxes}
    numbers = [number for entry in content["annotations"] if isinstance(entry, dict) and isinstance(number := as_id(entry.get("id")), int)]
    free = max(numbers, default=0) + 1
    entries: list[dict[str, Any]] = []
    seen: set[int | str | None] = set()
    for row, entry in enumerate(content["annotations"]):
        if not isinstance(entry, dict):
            continue
        number = as_id(entry.get("id"))
        key = f"#{row}" if number is None or number in seen else number  # as the reader names it
        seen.add(number)
        box = boxes.get(key)
        if box is None:
            continue
        if key != number:
            copy.note(ANNOTATION_ID_TWICE.name, source.file, key, f"id {entry.get('id')}", f"id {free}")
            number, free = free, free + 1
        x1, y1, x2, y2 = box.xyxy
        written = as_box(entry.get("bbox"))
        if written is None:
            copy.note(BOX_OF_POLYGON.name, source.file, key, "no bbox", f"[{x1:g}, {y1:g}, {x2 - x1:g}, {y2 - y1:g}]")
        corners = entry["bbox"] if written == box.xyxy else [x1, y1, x2 - x1, y2 - y1]
        entries.append({**entry, "id": number, "image_id": left.images[box.image].image_id, "category_id": as_category_id(entry["category_id"]), "bbox": corners})
    return entries


def _categories(content: dict[str, Any]) -> list[dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    for entry in content["categories"]:
        number, name = (as_category_id(entry.get("id")), as_class_name(entry.get("name"))) if isinstance(entry, dict) else (None, None)
        if number is not None and name is not None:
            entries.setdefault(number, {**entry, "id": number, "name": name})
    return list(entries.values())
