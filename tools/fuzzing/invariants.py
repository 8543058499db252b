"""What must hold for everything that was read, and for every message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from finetune.check.examine import Examination
from finetune.check.report import report_of
from finetune.data.findings import shorten
from finetune.data.splits import DataSplits
from finetune.data.types import BoxSplit

MOST_CHARACTERS = 1500
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def message_faults(message: str, names: list[str]) -> list[str]:
    """An error is one printable line of readable length that names a file or folder of the data, or the setting."""
    faults = [fault for fault in (line_fault(message),) if fault]
    if not any(name in message for name in names):
        faults.append(f"names no file: {message[:300]!r}")
    if not message.strip() or len(message) > MOST_CHARACTERS:
        faults.append(f"{len(message)} characters long: {message[:200]!r}")
    return faults


def line_fault(text: str) -> str | None:
    """Why a text is not one printable line, or None."""
    found = _CONTROL.search(text)
    return f"not one printable line ({found[0]!r} in {text[max(0, found.start() - 60) : found.start() + 60]!r})" if found else None


def summary_faults(splits: DataSplits) -> list[str]:
    """Lines for people are printable; pictures of the validation share are not in train."""
    faults = [fault for line in (*splits.summary, *splits.class_map, splits.name) if (fault := line_fault(line))]
    faults += [f"line of {len(line)} characters: {line[:200]!r}" for line in splits.summary if len(line) > MOST_CHARACTERS]
    if splits.train is None and splits.val is None and splits.test is None:
        faults.append("no split")
    for split in (splits.val, splits.test):
        if splits.train is not None and split is not None and not any("warning" in line for line in splits.summary):
            shared = {path.resolve() for path in splits.train.paths} & {path.resolve() for path in split.paths}
            faults += [f"{shared} in train and {split.name}, and nothing is said"] if shared else []
    return faults


def split_faults(splits: DataSplits | BoxSplit, as_written: bool = False) -> list[str]:
    """Arrays are consistent, boxes lie in their pictures, ids are unique, texts can be written to files."""
    if isinstance(splits, BoxSplit):
        return [f"{splits.name}: {fault}" for fault in _arrays(splits, as_written) + _texts(splits)]
    there = [split for split in (splits.train, splits.val, splits.test) if split is not None]
    faults = [f"{split.name}: {fault}" for split in there for fault in _arrays(split, as_written) + _texts(split)]
    faults += [f"{split.name}: {path} is no picture on disk" for split in there for path in split.paths if not path.is_file()]
    if any((split.class_names, split.category_ids) != (splits.class_names, splits.category_ids) for split in there):
        faults.append("splits have different classes")
    return faults


def _arrays(split: BoxSplit, as_written: bool) -> list[str]:
    total, images = len(split.boxes), len(split.paths)
    offsets, boxes = split.offsets, split.boxes
    checks: dict[str, Any] = {
        "no images": images > 0,
        "lengths of images": len(split.image_ids) == images and split.original_hw.shape == (images, 2) and offsets.shape == (images + 1,),
        "lengths of boxes": boxes.shape == (total, 4) and all(len(v) == total for v in (split.labels, split.crowd, split.difficult, split.areas, split.annotation_ids)),
        "offsets": offsets[0] == 0 and offsets[-1] == total and bool((np.diff(offsets) >= 0).all()),
        "boxes not finite": np.isfinite(boxes).all(),
        "areas": bool(np.isfinite(split.areas).all() and (as_written or (split.areas >= 0).all())),
        "labels": not total or (split.labels.min() >= 0 and split.labels.max() < len(split.class_names)),
        "image ids not unique": len(set(split.image_ids)) == images and len({str(i) for i in split.image_ids}) == images,
        "class names": len(set(split.class_names)) == len(split.class_names) > 0 and all(name.strip() == name != "" for name in split.class_names),
        "category ids": len(set(split.category_ids)) == len(split.category_ids) == len(split.class_names) and all(type(i) is int and -(2**63) <= i < 2**63 for i in split.category_ids),
        "sizes": bool((split.original_hw >= 0).all()),
    }
    if not as_written and total:
        hw = np.repeat(split.original_hw, np.diff(offsets), axis=0)
        inside = (boxes >= 0).all(1) & (boxes[:, 2] <= hw[:, 1]) & (boxes[:, 3] <= hw[:, 0])
        checks["boxes outside"] = inside.all()
        checks["boxes without area"] = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).all()
        checks["pictures without size"] = (split.original_hw > 0).all()
    return [name for name, good in checks.items() if not good]


def _texts(split: BoxSplit) -> list[str]:
    faults = []
    for text in (*split.class_names, *(i for i in (*split.image_ids, *split.annotation_ids) if isinstance(i, str)), *(path.name for path in split.paths)):
        if fault := unwritable(text):
            faults.append(f"{text[:50]!r} {fault}")
    faults += [f"image id {i!r:.60}" for i in split.image_ids if isinstance(i, int) and not -(2**63) <= i < 2**63]
    faults += [f"class name {line_fault(name)}" for name in split.class_names if line_fault(name)]
    return faults


def unwritable(text: str) -> str | None:
    """Why a text cannot be written to a file, or None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"cannot be written to a file ({error.reason})"
    return None


class ErrorsFound(Exception):  # noqa: N818  (no fault: what the doctor is for)
    """The doctor has read the data and found errors in them."""


def examination_faults(exam: Examination) -> list[str]:
    """What the doctor saw is as sound as what training gets, and can be written and printed; raises ErrorsFound where it names errors in the data."""
    faults = [f"{split.name}: {fault}" for split in exam.splits.values() for fault in _arrays(split, as_written=False) + _texts(split) if fault not in ("no images",)]
    faults += [fault for finding in exam.findings.rows if (fault := line_fault(shorten(finding.place)))]
    text = json.dumps(report_of(exam), ensure_ascii=False, allow_nan=False)
    if fault := unwritable(text):
        faults.append(f"report {fault}")
    if not faults and exam.counts["error"]:
        raise ErrorsFound("; ".join(exam.findings.lines()))
    return faults


def contradictions(results: Mapping[str, str]) -> list[str]:
    """Where training refuses the data, the doctor has something to say; where training takes them, the doctor can read them."""
    train, doctor = results.get("load_splits"), results.get("doctor")
    if train == "DataError" and doctor == "works":
        return ["training refuses the data, but the doctor finds no error"]
    if train == "works" and doctor in ("DataError", "UsageError"):
        return ["training takes the data, but the doctor refuses them"]
    return []


def prediction_faults(rows: Any, remarks: list[str], split: BoxSplit) -> list[str]:
    """Detections are finite, and belong to images and classes of the truth."""
    count = len(rows.image)
    checks = {
        "lengths": all(len(column) == count for column in rows) and rows.boxes.shape == (count, 4),
        "not finite": np.isfinite(rows.boxes).all() and np.isfinite(rows.scores).all() and np.isfinite(rows.boxes[:, :2] + rows.boxes[:, 2:]).all(),
        "negative sides": (rows.boxes[:, 2:] >= 0).all(),
        "images": not count or (rows.image.min() >= 0 and rows.image.max() < len(split)),
        "labels": not count or (rows.labels.min() >= 0 and rows.labels.max() < len(split.class_names)),
    }
    return [name for name, good in checks.items() if not good] + [fault for line in remarks if (fault := line_fault(line))]
