"""Truth and detections as a comparison saves them, read into flat arrays. The layout of the files stands in ``finetune/compare/record.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.data.findings import shorten
from finetune.evaluation.outlines import Outlines

SAVED_SCHEMA = 1


@dataclass(frozen=True)
class SavedPicture:
    """One picture: id, name of its file, size in pixels, and its copy below the folder of the comparison, if there is one."""

    picture_id: str
    file: str
    width: int
    height: int
    copy: str | None


@dataclass(frozen=True, eq=False)
class Shapes:
    """Boxes or words of many pictures, in pixels of the originals: image [N], label [N], boxes [N, 4] xyxy; words have outlines, too."""

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    boxes: NDArray[np.float64]
    outlines: Outlines | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Shapes:
        """The rows that an index or mask array chooses."""
        return Shapes(self.image[which], self.label[which], self.boxes[which], None if self.outlines is None else self.outlines.take(which))


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of the scored split, ordered by picture; ``ignore`` [M] counts neither as object nor as background, ``texts`` are of words."""

    kind: Literal["boxes", "words"]
    split: str
    class_names: tuple[str, ...]
    pictures: tuple[SavedPicture, ...]
    shapes: Shapes
    ignore: NDArray[np.bool_]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """Detections of one run, ordered by picture, best score first within one; scores [D]."""

    shapes: Shapes
    scores: NDArray[np.float64]

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Found:
        """The rows that an index or mask array chooses."""
        return Found(self.shapes.take(which), self.scores[which])


def load_truth(path: Path) -> Truth:
    """Read the truth of a comparison.

    Raises:
        DataError: It is not there, or not what it should be.
    """
    content = _read(path)
    try:
        pictures = tuple(
            SavedPicture(str(row["id"]), str(row["file"]), int(row["width"]), int(row["height"]), None if row.get("picture") is None else str(row["picture"])) for row in content["images"]
        )
        names = tuple(str(name) for name in content["class_names"])
        objects = content["objects"]
        shapes = _shapes(path, objects, len(pictures), len(names))
        ignore = _column(path, objects, "ignore", len(shapes), np.bool_)
        order = np.argsort(shapes.image, kind="stable")
        texts = tuple(str(objects["text"][row]) for row in order) if len(objects.get("text", ())) == len(shapes) else ()
        return Truth("words" if content["kind"] == "words" else "boxes", str(content["split"]), names, pictures, shapes.take(order), ignore[order], texts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error


def load_found(path: Path, truth: Truth) -> Found:
    """Read the detections of a run on the split of ``truth``.

    Raises:
        DataError: They are not there, of another split, or not what they should be.
    """
    content = _read(path)
    if content.get("split") != truth.split:
        raise DataError(f"{path} holds detections on split {content.get('split')!r}, the truth is of {truth.split!r}: run the comparison again")
    try:
        shapes = _shapes(path, content, len(truth.pictures), len(truth.class_names))
        scores = _column(path, content, "score", len(shapes), np.float64)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error
    if not np.isfinite(scores).all() or not np.isfinite(shapes.boxes).all():
        raise DataError(f"{path} holds values that are not numbers: the network diverged, or the file is damaged")
    order = np.lexsort((-scores, shapes.image))
    return Found(shapes.take(order), scores[order])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path} ({getattr(error, 'strerror', None) or shorten(str(error), 80)}): run the comparison again, it repeats only what is missing") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SAVED_SCHEMA:
        raise DataError(f"{path} is of schema {schema}, this version reads {SAVED_SCHEMA}: use the version that wrote it")
    return content


def _shapes(path: Path, columns: Mapping[str, Any], pictures: int, classes: int) -> Shapes:
    """The columns image, label, and box or quad (with polygon where a word has one)."""
    count = len(columns["image"])
    image, label = (_column(path, columns, name, count, np.int64) for name in ("image", "label"))
    for name, numbers, most in (("image", image, pictures), ("label", label, classes)):
        if count and (numbers.min() < 0 or numbers.max() >= most):
            raise DataError(f"{path}: {name} {int(numbers.max())} is beyond the {most} of the truth: these detections belong to another truth")
    if "quad" in columns:
        quads = np.asarray(columns["quad"], np.float64).reshape(count, 4, 2)
        outlines = _outlines(quads, columns.get("polygon") or ())
        return Shapes(image, label, outlines.bounds() if count else np.zeros((0, 4)), outlines)
    boxes = np.asarray(columns["box"], np.float64).reshape(count, 4)
    return Shapes(image, label, np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))


def _outlines(quads: NDArray[np.float64], polygons: Sequence[Any]) -> Outlines:
    if len(polygons) != len(quads) or not any(polygons):
        return Outlines.of_quads(quads)
    return Outlines.of_list([np.asarray(polygon, np.float64).reshape(-1, 2) if polygon else quad for polygon, quad in zip(polygons, quads, strict=True)])


def _column(path: Path, columns: Mapping[str, Any], name: str, count: int, kind: type[Any]) -> NDArray[Any]:
    values = np.asarray(columns[name], kind)
    if values.shape != (count,):
        raise DataError(f"{path}: column {name} has {len(values)} values, column image {count}: the file is damaged, run the comparison again")
    return values


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is not a saved file of a comparison ({type(error).__name__}: {shorten(str(error), 80)}): run the comparison again, it repeats only what is missing")
