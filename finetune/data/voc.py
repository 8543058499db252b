"""Reader of Pascal VOC XML (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html)."""

from __future__ import annotations

from collections.abc import Sequence

from backbones.errors import DataError
from finetune.data.coco_values import as_class_name, as_flag, short
from finetune.data.file_listing import fault_and_remedy
from finetune.data.findings import Findings
from finetune.data.kinds import ANNOTATIONS_UNREADABLE, BOX_UNUSABLE, OBJECT_NAMELESS
from finetune.data.raw import RawBox, RawImage, RawSplit
from finetune.data.voc_pairs import Pair
from finetune.data.voc_xml import corners_of, declared_hw, parse_xml, why_no_corners


def read_voc(pairs: Sequence[Pair], findings: Findings, *, one_based: bool) -> RawSplit:
    """Read XML files.

    Args:
        pairs: Image id, XML file and picture, one per image.
        findings: Gets what was dropped, with file and object number.
        one_based: Coordinates count pixels from 1 and include the last one, as in the devkit: (1, 1, 1, 1) becomes the
            pixel-edge box (0, 0, 1, 1). Otherwise they are taken as pixel edges, as they are.

    Returns:
        Images in the order given. An object's annotation id is "file.xml#2", counted from 1.

    Raises:
        DataError: Files cannot be read, or objects have no name; a lenient sink is told instead.
    """
    split = RawSplit(one_based=one_based)
    for pair in pairs:
        try:
            root = parse_xml(pair.xml)
        except DataError as error:
            fault, remedy = fault_and_remedy(error, pair.xml)
            findings.fault(ANNOTATIONS_UNREADABLE, pair.xml, value=fault, remedy=f"{remedy}, or take it out with its picture", image=pair.picture)
            continue
        row = len(split.images)
        split.images.append(RawImage(pair.image_id, pair.picture, declared_hw(root), pair.xml))
        for number, item in enumerate(root.findall("object"), start=1):
            place = f"{pair.xml.name}#{number}"
            name = as_class_name(item.findtext("name"))
            if name is None:
                findings.fault(OBJECT_NAMELESS, pair.xml, place, f"(name {short(item.findtext('name'))})", image=pair.picture)
                continue
            split.categories.setdefault(name, 0)
            xyxy = corners_of(item)
            if xyxy is None:
                findings.add(BOX_UNUSABLE, pair.xml, place, why_no_corners(item), image=pair.picture)
                continue
            if one_based and xyxy[2] > xyxy[0] and xyxy[3] > xyxy[1]:  # a box without area stays so, and is dropped later
                xyxy = (xyxy[0] - 1, xyxy[1] - 1, xyxy[2], xyxy[3])
            split.boxes.append(RawBox(row, xyxy, name, False, as_flag(item.findtext("difficult")), None, place))
    findings.raise_faults()
    return split
