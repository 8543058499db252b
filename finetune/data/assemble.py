"""From raw annotations to the flat arrays of a BoxSplit: pictures opened, classes mapped, boxes clipped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from finetune.data.classes import ClassMap
from finetune.data.findings import Findings, Kind
from finetune.data.images import ImageHeader, check_images
from finetune.data.kinds import BOX_ALL_BAD, BOX_CLIPPED, BOX_EMPTY, BOX_INVERTED, BOX_OFF, CLASS_LEFT_OUT, PICTURE_UNROTATED, SIZE_DIFFERS
from finetune.data.raw import RawBox, RawSplit
from finetune.data.types import BoxSplit


def build_split(
    name: str,
    raw: RawSplit,
    class_map: ClassMap,
    findings: Findings,
    *,
    headers: Sequence[ImageHeader] | None = None,
    open_images: bool = True,
    as_written: bool = False,
) -> BoxSplit:
    """Open every picture's header, clip and drop boxes, and lay everything out as arrays.

    Args:
        name: train, val or test.
        raw: What the files say.
        class_map: Which classes are kept, as which labels.
        findings: Gets what was clipped, dropped or odd.
        headers: Those of the pictures, where they were read already.
        open_images: Sizes come from the pictures' headers; otherwise from the annotations.
        as_written: Boxes are neither clipped nor dropped.
    """
    findings.split = name
    if open_images and headers is None:
        headers = check_images([image.path for image in raw.images])
    hw = _sizes(raw, headers, findings) if headers is not None else np.array([image.declared_hw for image in raw.images], np.int32).reshape(-1, 2)
    rows = _rows(raw, class_map, findings)
    image_of = np.array([box.image for box in rows], np.int64)
    boxes = np.array([box.xyxy for box in rows], np.float64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if not as_written:
        boxes, whole = _clip(raw, rows, boxes, hw[image_of], findings)
        clipped_areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        areas = np.minimum(areas, clipped_areas)
        rows = [box for box, good in zip(rows, whole, strict=True) if good]
        boxes, areas, image_of = boxes[whole], areas[whole], image_of[whole]
    counts = np.bincount(image_of, minlength=len(raw.images))
    return BoxSplit(
        name=name,
        class_names=class_map.class_names,
        image_ids=tuple(image.image_id for image in raw.images),
        paths=tuple(image.path for image in raw.images),
        original_hw=hw,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=boxes,
        labels=np.array([class_map.label_of[box.name] for box in rows], np.int64),
        crowd=np.array([box.crowd for box in rows], np.bool_),
        difficult=np.array([box.difficult for box in rows], np.bool_),
        areas=np.array([area if box.area is None else box.area for box, area in zip(rows, areas, strict=True)], np.float64),
        annotation_ids=tuple(box.annotation_id for box in rows),
        category_ids=class_map.category_ids,
        one_based=raw.one_based,
    )


def _rows(raw: RawSplit, class_map: ClassMap, findings: Findings) -> list[RawBox]:
    """The boxes of included classes, image by image."""
    kept: list[list[RawBox]] = [[] for _ in raw.images]
    for box in raw.boxes:
        if box.name in class_map.label_of:
            kept[box.image].append(box)
        else:
            findings.add(CLASS_LEFT_OUT, raw.images[box.image].annotation_file, box.annotation_id, f"({box.name})")
    return [box for boxes in kept for box in boxes]


def fingerprint_of(splits: Mapping[str, BoxSplit]) -> str:
    """A hash of picture names, boxes and classes: equal for equal data wherever it lies."""
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(repr((name, split.class_names, [path.name for path in split.paths], split.image_ids)).encode())
        for array in (split.original_hw, split.offsets, split.boxes, split.labels, split.crowd, split.difficult):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _sizes(raw: RawSplit, headers: Sequence[ImageHeader], findings: Findings) -> np.ndarray:
    sizes = []
    for image, header in zip(raw.images, headers, strict=True):
        frame = header.frame_hw(image.declared_hw)
        if 0 not in image.declared_hw and frame != tuple(image.declared_hw):
            findings.add(SIZE_DIFFERS, image.path, value=f"is {frame[1]}x{frame[0]}, not {image.declared_hw[1]}x{image.declared_hw[0]}", image=image.path)
        elif frame != header.upright_hw:
            findings.add(PICTURE_UNROTATED, image.path, image=image.path)
        sizes.append(frame)
    return np.array(sizes, np.int32).reshape(-1, 2)


def _clip(raw: RawSplit, rows: list[RawBox], boxes: np.ndarray, hw: np.ndarray, findings: Findings) -> tuple[np.ndarray, np.ndarray]:
    """Boxes clipped to their pictures, and which of them have an area then."""
    clipped = np.clip(boxes, 0, hw[:, [1, 0, 1, 0]].astype(np.float64))
    sides = boxes[:, 2:] - boxes[:, :2]
    inverted, empty = (sides < 0).any(1), (sides == 0).any(1)
    off = (clipped[:, 2:] <= clipped[:, :2]).any(1)
    good = ~(inverted | empty | off)
    for row in np.flatnonzero(~good):
        _add(findings, BOX_INVERTED if inverted[row] else BOX_EMPTY if empty[row] else BOX_OFF, raw, rows[row], _in_picture(boxes[row], hw[row]))
    for row in np.flatnonzero(good & (np.abs(clipped - boxes) > 0.5).any(1)):  # half a pixel is rounding in the file
        _add(findings, BOX_CLIPPED, raw, rows[row], _in_picture(boxes[row], hw[row]))
    if len(rows) and not good.any():
        first = rows[0]
        findings.fault(BOX_ALL_BAD, raw.images[first.image].annotation_file, first.annotation_id, _in_picture(boxes[0], hw[0]))
        findings.raise_faults()
    return clipped, good


def _add(findings: Findings, kind: Kind, raw: RawSplit, box: RawBox, value: str) -> None:
    image = raw.images[box.image]
    findings.add(kind, image.annotation_file, box.annotation_id, value, image=image.path, box=box.xyxy)


def _in_picture(box: np.ndarray, hw: np.ndarray) -> str:
    return f"{corners_text(box)} in {hw[1]}x{hw[0]}"


def corners_text(box: np.ndarray) -> str:
    """x1, y1, x2, y2 in brackets."""
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
