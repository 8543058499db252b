"""Findings that only VOC files can have: where their coordinates start to count, and XML files that no list names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from finetune.data.findings import Findings, Kind
from finetune.data.images import ImageHeader
from finetune.data.kinds import ANNOTATIONS_UNLISTED, VOC_BEYOND, VOC_NEVER_ZERO, VOC_ZERO
from finetune.data.layouts import Layout
from finetune.data.raw import RawSplit
from finetune.data.sources import VocSource

_TELLING = 3  # boxes: fewer may be slips of the hand


def check_one_based(name: str, raw: RawSplit, headers: Mapping[Path, ImageHeader | None], findings: Findings) -> None:
    """Compare the coordinates of a VOC split with where ``one_based`` says that they start.

    Args:
        name: The split.
        raw: Boxes as read: with ``one_based``, a coordinate of 0 has become -1.
        headers: Of the pictures; None for unreadable ones.
        findings: Gets one finding for each suspicion, at the first box that raises it.
    """
    rows = [row for row, box in enumerate(raw.boxes) if raw.images[box.image].annotation_file.suffix.lower() == ".xml"]
    if not rows:
        return
    findings.split = name
    corners = np.array([raw.boxes[row].xyxy for row in rows], np.float64)
    sizes = np.array([_size(raw, row, headers) for row in rows], np.float64)
    low, beyond = corners[:, :2].min(1), (corners[:, 2:] - sizes).max(1)
    if raw.one_based:
        _note(raw, rows, low == -1, VOC_ZERO, findings)
        _note(raw, rows, beyond == 1, VOC_BEYOND, findings)
    elif not (low < 1).any() and (low == 1).sum() >= _TELLING:
        _note(raw, rows, low == 1, VOC_NEVER_ZERO, findings)
    else:
        _note(raw, rows, beyond == 1, VOC_BEYOND, findings)


def check_unlisted_xml(layout: Layout, raws: Mapping[str, RawSplit], findings: Findings) -> None:
    """Note XML files of a folder with lists that no list names."""
    sources = [source for found in layout.sources.values() for source in found if isinstance(source, VocSource)]
    used = {image.annotation_file for raw in raws.values() for image in raw.images} | {finding.file for finding in findings.rows}
    findings.split = ""
    for folder in sorted({source.xml_dir for source in sources if source.set_file is not None}):
        for xml in sorted(folder.glob("*.xml")):
            if xml not in used:
                findings.add(ANNOTATIONS_UNLISTED, xml)


def _size(raw: RawSplit, row: int, headers: Mapping[Path, ImageHeader | None]) -> tuple[int, int]:
    """Width and height of the picture of a box, in the frame of its annotations."""
    image = raw.images[raw.boxes[row].image]
    header = headers.get(image.path)
    height, width = image.declared_hw if header is None else header.frame_hw(image.declared_hw)
    return width, height


def _note(raw: RawSplit, rows: list[int], mask: np.ndarray, kind: Kind, findings: Findings) -> None:
    found = np.flatnonzero(mask)
    if len(found):
        box = raw.boxes[rows[found[0]]]
        image = raw.images[box.image]
        findings.add(kind, image.annotation_file, box.annotation_id, f"({len(found):,} of {len(rows):,} boxes)", image=image.path, box=box.xyxy)
