"""From raw annotations to the flat arrays of a BoxSplit: pictures opened, classes mapped, boxes clipped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from backbones.errors import DataError
from finetune.data.classes import ClassMap
from finetune.data.findings import Findings, Kind
from finetune.data.images import check_images
from finetune.data.kinds import BOX_CLIPPED, BOX_DROPPED, CLASS_LEFT_OUT, PICTURE_UNROTATED, SIZE_DIFFERS
from finetune.data.raw import RawBox, RawSplit
from finetune.data.types import BoxSplit


def build_split(name: str, raw: RawSplit, class_map: ClassMap, findings: Findings, *, open_images: bool = True, as_written: bool = False) -> BoxSplit:
    """Open every picture's header, clip and drop boxes, and lay everything out as arrays.

    Args:
        name: train, val or test.
        raw: What the files say.
        class_map: Which classes are kept, as which labels.
        findings: Gets what was clipped, dropped or odd.
        open_images: Sizes come from the pictures; otherwise from the annotations.
        as_written: Boxes are neither clipped nor dropped.
    """
    hw = _sizes(raw, findings) if open_images else np.array([image.declared_hw for image in raw.images], np.int32).reshape(-1, 2)
    kept: list[list[RawBox]] = [[] for _ in raw.images]
    for box in raw.boxes:
        if box.name in class_map.label_of:
            kept[box.image].append(box)
        else:
            findings.add(CLASS_LEFT_OUT, raw.images[box.image].annotation_file, box.annotation_id, f"({box.name})")
    rows = [box for boxes in kept for box in boxes]
    image_of = np.array([box.image for box in rows], np.int64)
    boxes = np.array([box.xyxy for box in rows], np.float64).reshape(-1, 4)
    whole = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if not as_written:
        boxes, whole = _clip(raw, rows, boxes, whole, hw[image_of], findings)
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


def fingerprint_of(splits: Mapping[str, BoxSplit]) -> str:
    """A hash of picture names, boxes and classes: equal for equal data wherever it lies."""
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(repr((name, split.class_names, [path.name for path in split.paths], split.image_ids)).encode())
        for array in (split.original_hw, split.offsets, split.boxes, split.labels, split.crowd, split.difficult):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _sizes(raw: RawSplit, findings: Findings) -> np.ndarray:
    sizes = []
    for image, header in zip(raw.images, check_images([image.path for image in raw.images]), strict=True):
        frame = header.frame_hw(image.declared_hw)
        if 0 not in image.declared_hw and frame != tuple(image.declared_hw):
            findings.add(SIZE_DIFFERS, image.path, value=f"is {frame[1]}x{frame[0]}, not {image.declared_hw[1]}x{image.declared_hw[0]}", image=image.path)
        elif frame != header.upright_hw:
            findings.add(PICTURE_UNROTATED, image.path, image=image.path)
        sizes.append(frame)
    return np.array(sizes, np.int32).reshape(-1, 2)


def _clip(raw: RawSplit, rows: list[RawBox], boxes: np.ndarray, whole: np.ndarray, hw: np.ndarray, findings: Findings) -> tuple[np.ndarray, np.ndarray]:
    limits = hw[:, [1, 0, 1, 0]].astype(np.float64)
    clipped = np.clip(boxes, 0, limits)
    good = whole & (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    for row in np.flatnonzero(~good):
        _add(findings, BOX_DROPPED, raw, rows[row], _corners(boxes[row]))
    for row in np.flatnonzero(good & (np.abs(clipped - boxes) > 0.5).any(1)):  # half a pixel is rounding in the file
        _add(findings, BOX_CLIPPED, raw, rows[row], f"{_corners(boxes[row])} in {hw[row][1]}x{hw[row][0]}")
    if len(rows) and not good.any():
        raise DataError(
            f"all {len(rows)} boxes are degenerate or outside their pictures, for example {_place(raw, rows[0])} {_corners(boxes[0])}; "
            "boxes are pixels: x, y, width, height in COCO, corners in VOC"
        )
    return clipped, good


def _add(findings: Findings, kind: Kind, raw: RawSplit, box: RawBox, value: str) -> None:
    image = raw.images[box.image]
    findings.add(kind, image.annotation_file, box.annotation_id, value, image=image.path, box=box.xyxy)


def _corners(box: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"


def _place(raw: RawSplit, box: RawBox) -> str:
    file = raw.images[box.image].annotation_file.name
    return str(box.annotation_id) if str(box.annotation_id).startswith(file) else f"{file}, annotation {box.annotation_id}"
