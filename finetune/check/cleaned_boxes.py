"""Boxes as they stand in a cleaned copy: inside their pictures, with an area, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from finetune.data.assemble import corners_text
from finetune.data.box_checks import repeated_boxes
from finetune.data.images import ImageHeader
from finetune.data.kinds import BOX_CLIPPED, BOX_EMPTY, BOX_INVERTED, BOX_OFF, BOX_TWICE
from finetune.data.raw import RawImage, RawSplit

Note = Callable[[str, Path, int | str | None, str, str], None]


def true_hw(image: RawImage, header: ImageHeader | None) -> tuple[int, int]:
    """Height and width of a picture in the frame of its annotations."""
    return image.declared_hw if header is None else header.frame_hw(image.declared_hw)


def cleaned_boxes(raw: RawSplit, kept: Sequence[RawImage], headers: Mapping[Path, ImageHeader | None], note: Note) -> RawSplit:
    """Keep the images in ``kept``; clip their boxes, and leave out those without area and exact copies.

    Args:
        raw: What one annotation file says.
        kept: Images that stay, in their order.
        headers: Of their pictures.
        note: Told of every box that is changed or left out.
    """
    row_of = {image.image_id: row for row, image in enumerate(kept)}
    rows = [(row_of[raw.images[box.image].image_id], box) for box in raw.boxes if raw.images[box.image].image_id in row_of]
    image_of = np.array([row for row, _ in rows], np.int64)
    boxes = np.array([box.xyxy for _, box in rows], np.float64).reshape(-1, 4)
    hw = np.array([true_hw(image, headers.get(image.path)) for image in kept], np.float64).reshape(-1, 2)[image_of]
    clipped = np.clip(boxes, 0, hw[:, [1, 0, 1, 0]])
    sides = boxes[:, 2:] - boxes[:, :2]
    inverted, empty, off = (np.logical_or.reduce(faulty, axis=1) for faulty in (sides < 0, sides == 0, clipped[:, 2:] <= clipped[:, :2]))
    names = {name: label for label, name in enumerate(dict.fromkeys(box.name for _, box in rows))}
    first, same_class = repeated_boxes(image_of, clipped, np.array([names[box.name] for _, box in rows], np.int64))
    result = RawSplit(list(kept), [], raw.categories, raw.placeholders, raw.one_based)
    for number, (row, box) in enumerate(rows):
        bad = BOX_INVERTED if inverted[number] else BOX_EMPTY if empty[number] else BOX_OFF if off[number] else None
        if bad is None and same_class[number] and rows[first[number]][1][3:5] == box[3:5]:  # crowd and difficult too
            bad = BOX_TWICE
        if bad is not None:
            note(bad.name, kept[row].annotation_file, box.annotation_id, f"{box.name} {corners_text(boxes[number])}", "left out")
            continue
        if (clipped[number] != boxes[number]).any():
            note(BOX_CLIPPED.name, kept[row].annotation_file, box.annotation_id, f"{box.name} {corners_text(boxes[number])}", corners_text(clipped[number]))
        x1, y1, x2, y2 = clipped[number].tolist()
        result.boxes.append(box._replace(image=row, xyxy=(x1, y1, x2, y2)))
    return result
