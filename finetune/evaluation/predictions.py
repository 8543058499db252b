"""COCO results on disk: detections as JSON, found again by image id or file name, checked entry by entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from backbones.errors import DataError, one_line
from finetune.data.findings import shorten
from finetune.evaluation.store import Rows

if TYPE_CHECKING:
    from detectors.types import BoxDetections
    from finetune.data.types import BoxSplit

_MOST = 1e15  # no pixel and no score is larger
_KEYS = 'an entry is {"image_id" or "file_name", "category_id", "bbox": [x, y, width, height], "score"}'


def read_predictions(path: str | Path, split: BoxSplit) -> tuple[Rows, list[str]]:
    """Read COCO results and find their images and classes in a split.

    An entry names its image by ``file_name`` (which wins) or ``image_id``. Where the file lists ``categories``, as the
    files of ``finetune predict`` do, classes are found by name, otherwise by category id.

    Args:
        path: A JSON list of results, or an object with such a list as ``annotations``.
        split: The truth.

    Returns:
        The detections in file order, and remarks for the user.

    Raises:
        DataError: The file or an entry cannot be used; the message names entry, value and remedy.
    """
    entries, categories = _load(Path(path))
    images, classes = _Images(split), _Classes(path, split, categories)
    kept: list[tuple[int, list[float], float, int]] = []
    for number, entry in enumerate(entries):
        fault = _fault(entry)
        if fault:
            raise DataError(f"{path}, entry {number}: {fault}")
        image = images.find(entry)
        if image is None:
            raise DataError(f"{path}, entry {number}: {images.explain(entry)}")
        label = classes.find(number, entry["category_id"])
        if label is not None:
            kept.append((image, entry["bbox"], entry["score"], label))
    if entries and not kept:
        raise DataError(f"{path}: no class of the predictions ({_some(categories.values())}) is among those of the truth ({_some(split.class_names)}): rename one of them")
    columns = list(zip(*kept, strict=True)) or [(), (), (), ()]
    rows = Rows(np.array(columns[0], np.int64), np.array(columns[1], np.float64).reshape(-1, 4), np.array(columns[2], np.float64), np.array(columns[3], np.int64))
    return rows, classes.remarks()


def write_predictions(path: str | Path, images: Sequence[Mapping[str, Any]], categories: Mapping[int, str], entries: Sequence[Mapping[str, Any]], info: Mapping[str, Any]) -> None:
    """Write detections in COCO format, unrounded.

    Args:
        path: File to write.
        images: {"id", "file_name", "height", "width"} of every image, with or without detections.
        categories: Category id to class name.
        entries: {"image_id", "file_name", "category_id", "bbox" (x, y, width, height in original pixels), "score"}.
        info: What made them.
    """
    annotations = [{"id": i, **entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0} for i, entry in enumerate(entries, 1)]
    content = {"info": dict(info), "images": list(images), "categories": [{"id": i, "name": name} for i, name in categories.items()], "annotations": annotations}
    Path(path).write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def result_entries(image_id: int, file_name: str, detections: BoxDetections, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The detections of one picture (xyxy in original pixels) as entries of a results file, unrounded."""
    boxes = detections.boxes.detach().cpu().numpy().astype(np.float64).reshape(-1, 4)
    boxes[:, 2:] -= boxes[:, :2]
    columns = zip(boxes.tolist(), detections.scores.detach().cpu().double().tolist(), detections.labels.detach().cpu().tolist(), strict=True)
    return [{"image_id": image_id, "file_name": file_name, "category_id": category_ids[label], "bbox": box, "score": score} for box, score, label in columns]


def _load(path: Path) -> tuple[list[Any], dict[int, str]]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read the predictions {path} ({error.strerror or error}): give the path of a COCO results file") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}): write the predictions again as a JSON list; {_KEYS}") from error
    listed: Any = []
    if isinstance(content, dict):
        listed, content = content.get("categories", []), content.get("annotations", content.get("predictions"))
    if not isinstance(content, list):
        raise DataError(f'{path} holds no list of predictions: it must be a JSON list, or an object with that list as "annotations"; {_KEYS}')
    try:
        return content, {category["id"]: str(category["name"]) for category in listed}
    except (TypeError, KeyError) as error:
        raise DataError(f'{path}: its "categories" must be a list of {{"id", "name"}}: correct them or leave them out') from error


def _fault(entry: Any) -> str | None:
    """What is wrong with an entry, and what to do; None when it is sound."""
    if not isinstance(entry, dict):
        return f"not an object but {_short(entry)}; {_KEYS}"
    missing = [key for key in ("category_id", "bbox", "score") if key not in entry]
    if missing or (entry.get("image_id") is None and entry.get("file_name") is None):
        lacking = ", ".join(missing) or "image_id or file_name"
        hint = " (is this an annotation file instead of predictions?)" if missing == ["score"] else ""
        return f"{lacking} missing, it has {', '.join(map(str, entry)) or 'nothing'}{hint}; {_KEYS}"
    box, score = entry["bbox"], entry["score"]
    if not isinstance(entry.get("file_name", ""), str | None):
        return f"file_name is {_short(entry['file_name'])}: it must be the name of a picture"
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return f"bbox is {_short(box)}: it must be four numbers, x, y, width, height in pixels of the original picture"
    if not _is_number(score):
        return f"score is {_short(score)}: it must be a number"
    if not all(abs(value) < _MOST for value in (score, *box)):  # false for NaN, too
        return f"bbox {_short(box)} or score {_short(score)} is not finite: the network diverged, or the file is damaged; leave such entries out"
    if box[2] < 0 or box[3] < 0:
        return f"bbox {_short(box)} has a negative width or height: write x, y, width, height, with x, y the upper left corner"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Images:
    """Finds the image of an entry in a split: by file name (with as many folders as needed to be unique), or by id."""

    def __init__(self, split: BoxSplit) -> None:
        self._ids: dict[int | str, int] = {str(image_id): i for i, image_id in enumerate(split.image_ids)}
        self._ids.update({image_id: i for i, image_id in enumerate(split.image_ids)})
        self._paths = [PurePosixPath(path.as_posix()).parts for path in split.paths]
        self._names: dict[str, list[int]] = {}
        for i, parts in enumerate(self._paths):
            self._names.setdefault(parts[-1], []).append(i)
        self._known: dict[str, int | None] = {}
        self._split = split

    def find(self, entry: Mapping[str, Any]) -> int | None:
        name = entry.get("file_name")
        if name is None:
            image_id = entry["image_id"]
            hashable = isinstance(image_id, int | str) and not isinstance(image_id, bool)
            return self._ids.get(image_id, self._ids.get(str(image_id))) if hashable else None
        if name not in self._known:
            self._known[name] = self._by_name(str(name))
        return self._known[name]

    def _by_name(self, name: str) -> int | None:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        candidates = self._names.get(parts[-1], []) if parts else []
        shared = [_shared_end(self._paths[i], parts) for i in candidates]
        best = [i for i, length in zip(candidates, shared, strict=True) if length == max(shared)]
        return best[0] if len(best) == 1 else None

    def explain(self, entry: Mapping[str, Any]) -> str:
        """Why there is no such image."""
        if not self._names:
            return "the truth has no images"
        name = entry.get("file_name")
        if name is None:
            return f"image_id {_short(entry['image_id'])} is not in the truth, whose ids are such as {_some(map(repr, self._split.image_ids))}: correct it, or name the image by file_name"
        alike = self._names.get(PurePosixPath(str(name).replace("\\", "/")).name, [])
        if len(alike) > 1:
            return f"file_name {_short(name)} fits {len(alike)} images of the truth: write enough of its folders to tell them apart"
        return f"file_name {_short(name)} is not in the truth, whose images are such as {_some(self._names)}: are these predictions of another split?"


def _shared_end(one: tuple[str, ...], two: tuple[str, ...]) -> int:
    length = 0
    while length < min(len(one), len(two)) and one[-1 - length] == two[-1 - length]:
        length += 1
    return length


class _Classes:
    """Finds the class of an entry: by the name that the file gives its category, or by category id."""

    def __init__(self, path: str | Path, split: BoxSplit, categories: Mapping[int, str]) -> None:
        self._path, self._split, self._categories = path, split, categories
        labels = {name: label for label, name in enumerate(split.class_names)}
        by_id = {category: label for label, category in enumerate(split.category_ids)}
        self._labels: dict[Any, int | None] = {i: labels.get(name) for i, name in categories.items()} if categories else dict(by_id)
        self._left_out: dict[str, int] = {}

    def find(self, number: int, category: Any) -> int | None:
        if not isinstance(category, int | str) or category not in self._labels:
            pairs = self._categories.items() if self._categories else zip(self._split.category_ids, self._split.class_names, strict=True)
            where = "the categories of the file" if self._categories else "the truth"
            raise DataError(
                f"{self._path}, entry {number}: category_id {_short(category)} is not in {where}, which has {_some(f'{i} = {name}' for i, name in pairs)}: correct the ids (are they shifted by one?)"
            )
        label = self._labels[category]
        if label is None:
            name = self._categories[category]  # type: ignore[index]
            self._left_out[name] = self._left_out.get(name, 0) + 1
        return label

    def remarks(self) -> list[str]:
        """Which predictions were left out."""
        return [one_line(f"{count} predictions of {name[:100]} left out: the truth has no such class") for name, count in self._left_out.items()]


def _some(items: Any) -> str:
    names = [str(item) for item in items]
    return ", ".join(shorten(name, 80) for name in names[:6]) + (f", ... ({len(names)})" if len(names) > 6 else "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
