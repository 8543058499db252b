"""VOC files of a cleaned copy: XML files that need no change are copied byte by byte, the others lose or get only what they must."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET  # files are parsed by finetune.data.voc_xml; this only writes

from finetune.check.cleaned_boxes import true_hw
from finetune.check.copying import Copy
from finetune.data.kinds import SIZE_DIFFERS
from finetune.data.raw import RawBox, RawImage, RawSplit
from finetune.data.sources import VocSource
from finetune.data.voc_xml import SIDES, corners_of, parse_xml


def write_voc(copy: Copy, source: VocSource, left: RawSplit) -> None:
    """Write the XML files of the images that are left, and the list of their names where there is one.

    Args:
        copy: The copy.
        source: The original.
        left: What is left of it; annotation ids are "file.xml#2".
    """
    boxes: list[dict[int | str, RawBox]] = [{} for _ in left.images]
    for box in left.boxes:
        boxes[box.image][box.annotation_id] = box
    for row, image in enumerate(left.images):
        target = copy.place(image.annotation_file, "Annotations")
        target.parent.mkdir(parents=True, exist_ok=True)
        changed = _changed(copy, image, boxes[row], left.one_based)
        if changed is None:
            shutil.copy2(image.annotation_file, target)
        else:
            target.write_bytes(ET.tostring(changed, encoding="utf-8"))
    if source.set_file is not None:
        listing = copy.place(source.set_file, "ImageSets/Main")
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{image.image_id}\n" for image in left.images), encoding="utf-8")


def _changed(copy: Copy, image: RawImage, boxes: dict[int | str, RawBox], one_based: bool) -> ET.Element | None:
    """The XML with the boxes that are left and the true size; None where it has them already."""
    root, changed = parse_xml(image.annotation_file), False
    for number, item in enumerate(root.findall("object"), start=1):
        box = boxes.get(f"{image.annotation_file.name}#{number}")
        if box is None:
            root.remove(item)
            changed = True
            continue
        x1, y1, x2, y2 = box.xyxy
        corners = (x1 + 1, y1 + 1, x2, y2) if one_based else box.xyxy
        if corners != corners_of(item):
            changed = True
            for side, value in zip(SIDES, corners, strict=True):
                item.find(f"bndbox/{side}").text = f"{value:g}" if value == round(value) else repr(value)  # type: ignore[union-attr]
    height, width = true_hw(image, copy.exam.table.by_path()[image.path].header)
    if 0 not in image.declared_hw and (height, width) != image.declared_hw:
        copy.note(SIZE_DIFFERS.name, image.annotation_file, None, f"{image.declared_hw[1]}x{image.declared_hw[0]}", f"{width}x{height}")
        for side, value in (("width", width), ("height", height)):
            root.find(f"size/{side}").text = str(value)  # type: ignore[union-attr]
        changed = True
    return root if changed else None
