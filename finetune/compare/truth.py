"""Truth and detections of the scored split as files, and small copies of some pictures: what pictures and error analysis of a report need."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.registry import TEXT_DETECTORS
from finetune.compare.record import TRUTH_FILE
from finetune.compare.types import ComparedData
from finetune.config import RunConfig
from finetune.data.images import read_image
from finetune.data.splits import DataSplits
from finetune.data.types import BoxSplit, TextSplit
from finetune.evaluation.truth import load_run_truth
from finetune.run_folder import data_name, write_atomic

PICTURES_FOLDER = "pictures"
_SCHEMA = 1
_LONGEST = 640  # pixels of a copy
_PER_IMAGE = 100  # detections kept of a picture, as many as COCO's AP looks at


def truth_of_run(config: RunConfig, split: str) -> BoxSplit | TextSplit:
    """The truth that a run is scored by: words for detectors of text, boxes for all others."""
    return load_run_truth(config.data, config.seed, split, "text" if config.detector.name in TEXT_DETECTORS else "boxes")


def describe_data(config: RunConfig, splits: DataSplits[Any]) -> ComparedData:
    """The facts about the data of a comparison."""
    there = {name: split for name in ("train", "val", "test") if (split := getattr(splits, name)) is not None}
    return ComparedData(
        name=data_name(config),
        kind="words" if isinstance(next(iter(there.values())), TextSplit) else "boxes",
        fingerprint=splits.fingerprint,
        class_names=tuple(splits.class_names),
        images={name: len(split) for name, split in there.items()},
        objects={name: int((~split.ignore).sum()) for name, split in there.items()},
    )


def write_truth(truth: BoxSplit | TextSplit, split: str, out: Path, channels: int = 3, pictures: int = 12) -> None:
    """Write ``truth.json`` and copies of so many pictures, unless they are there."""
    if (out / TRUTH_FILE).is_file():
        return
    copies = _copy_pictures(truth, out, channels, pictures)
    images = [
        {"id": str(truth.image_ids[row]), "file": truth.paths[row].name, "width": int(width), "height": int(height), "picture": copies.get(row)}
        for row, (height, width) in enumerate(truth.original_hw)
    ]
    objects: dict[str, Any] = {"image": np.repeat(np.arange(len(truth)), np.diff(truth.offsets)).tolist(), "ignore": truth.ignore.tolist()}
    if isinstance(truth, TextSplit):
        pieces = np.split(truth.polygon_points, truth.polygon_offsets[1:-1]) if len(truth.quads) else []
        objects |= {"label": [0] * len(truth.quads), "quad": _rounded(truth.quads.reshape(-1, 8)), "polygon": [_rounded(piece.reshape(-1)) for piece in pieces], "text": list(truth.texts)}
    else:
        objects |= {"label": truth.labels.tolist(), "box": _rounded(_xywh(truth.boxes))}
    content = {
        "schema": _SCHEMA,
        "kind": "words" if isinstance(truth, TextSplit) else "boxes",
        "split": split,
        "class_names": list(truth.class_names),
        "images": images,
        "objects": objects,
    }
    _write(out / TRUTH_FILE, content)


def write_detections(evaluator: Any, truth: BoxSplit | TextSplit, split: str, file: Path) -> None:
    """Write what an evaluator has collected: of each picture the detections with the highest scores."""
    rows = evaluator.store.rows()
    rows = rows.take(best_of_each_image(rows.image, rows.scores, _PER_IMAGE))
    content: dict[str, Any] = {"schema": _SCHEMA, "split": split, "image": rows.image.tolist(), "score": _rounded(rows.scores, 6)}
    if isinstance(truth, TextSplit):
        shapes = np.split(rows.outlines.points, rows.outlines.offsets[1:-1]) if len(rows.image) else []
        content |= {"label": [0] * len(shapes), "quad": [_rounded(_quad(shape)) for shape in shapes]}
        if any(len(shape) != 4 for shape in shapes):
            content["polygon"] = [_rounded(shape.reshape(-1)) for shape in shapes]
    else:
        content |= {"label": rows.labels.tolist(), "box": _rounded(rows.boxes)}
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, content)


def best_of_each_image(image: NDArray[np.int64], scores: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Rows with the highest scores of each image, at most so many, images in rising order.

    Args:
        image: [D] image of each row.
        scores: [D].
        most: Rows kept of one image.
    """
    order = np.lexsort((-scores, image))
    ordered = image[order]
    first = np.searchsorted(ordered, ordered, side="left")
    return order[np.arange(len(ordered)) - first < most]


def _copy_pictures(truth: BoxSplit | TextSplit, out: Path, channels: int, most: int) -> dict[int, str]:
    """Copies of up to so many pictures spread over the split, those with objects first: row to path."""
    filled = np.flatnonzero(np.diff(truth.offsets))
    rows = filled if len(filled) else np.arange(len(truth))
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))] if len(rows) else rows
    (out / PICTURES_FOLDER).mkdir(parents=True, exist_ok=True)
    copies: dict[int, str] = {}
    for number, row in enumerate(chosen.tolist(), 1):
        height, width = (int(side) for side in truth.original_hw[row])
        pixels = read_image(truth.paths[row], channels, (height, width))
        picture = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
        picture.thumbnail((_LONGEST, _LONGEST))
        name = f"{PICTURES_FOLDER}/{number:02d}.jpg"
        write_atomic(out / name, partial(picture.save, format="JPEG", quality=82))
        copies[row] = name
    return copies


def _quad(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """[8] the corners of a word with four, else those of its upright rectangle."""
    if len(shape) == 4:
        return shape.reshape(-1)
    (left, top), (right, bottom) = shape.min(axis=0), shape.max(axis=0)
    return np.array([left, top, right, top, right, bottom, left, bottom])


def _xywh(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _rounded(values: NDArray[np.float64], digits: int = 2) -> list[Any]:
    return np.round(values, digits).tolist()


def _write(file: Path, content: dict[str, Any]) -> None:
    write_atomic(file, lambda temporary: temporary.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"))
