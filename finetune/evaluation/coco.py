"""The twelve figures of the COCO detection challenge; faster-coco-eval does the work and gives what pycocotools gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finetune.evaluation.base import EvalResult
from finetune.evaluation.diagnose import absent_classes, diagnose
from finetune.evaluation.store import CollectingEvaluator, Rows

if TYPE_CHECKING:
    from faster_coco_eval import COCO


KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_SIZES = {"s": "small objects (under 32 x 32 pixels)", "m": "medium objects (32 x 32 to 96 x 96 pixels)", "l": "large objects (over 96 x 96 pixels)"}


class CocoEvaluator(CollectingEvaluator):
    """COCO box AP and AR over IoU 0.50:0.95, areas in original pixels; crowd and difficult boxes are ignored as COCO ignores crowds."""

    protocol = "coco"

    def evaluate(self) -> EvalResult:
        """Score everything processed since the last reset."""
        rows = self.store.rows()
        figures, precision = self._figures(rows)
        values = {key: None if figure < 0 else float(figure) for key, figure in zip(KEYS, figures, strict=True)}
        per_class = {}
        for label, name in enumerate(self.split.class_names):
            per_class[name] = {"AP": _mean(precision[:, :, label]), "AP50": _mean(precision[:1, :, label])}
        notes = [*_absences(values, per_class), *diagnose(self.split, rows, values["AP"], self.store.dropped)]
        return EvalResult(self.protocol, "AP", values, per_class, tuple(notes))

    def _figures(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The 12 figures, and precision [IoU thresholds, recall thresholds, classes] for all areas and 100 detections."""
        from faster_coco_eval import COCOeval_faster

        split = self.split
        numbers = _image_numbers(split.image_ids)
        owners = np.repeat(np.arange(len(split)), np.diff(split.offsets))
        boxes = np.concatenate([split.boxes[:, :2], _written_sizes(split.boxes)], axis=1)
        truth = _annotations(image_id=numbers[owners], category_id=split.labels + 1, bbox=boxes, area=split.areas, iscrowd=split.ignore.astype(np.int64))
        areas = rows.boxes[:, 2] * rows.boxes[:, 3]
        found = _annotations(image_id=numbers[rows.image], category_id=rows.labels + 1, bbox=rows.boxes, area=areas, iscrowd=np.zeros_like(rows.labels), score=rows.scores)
        images = [{"id": number} for number in numbers.tolist()]
        scorer = COCOeval_faster(_index(images, split.class_names, truth), _index(images, split.class_names, found), iouType="bbox", print_function=_silent)
        if not split.class_names or not len(split):
            return np.full(len(KEYS), -1.0), np.full((10, 101, len(split.class_names)), -1.0)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
        return np.asarray(scorer.stats[: len(KEYS)], np.float64), np.asarray(scorer.eval["precision"])[:, :, :, 0, -1]


def _silent(*_: object) -> None:
    """Swallow the lines that the scorer prints."""


def _image_numbers(image_ids: Sequence[int | str]) -> NDArray[np.int64]:
    """One number per image whose order is that of the ids, because equal scores are ranked in that order; ids that are not numbers keep theirs."""
    if all(isinstance(image_id, int) for image_id in image_ids):
        return np.argsort(np.argsort(np.array(image_ids, dtype=object), kind="stable"), kind="stable").astype(np.int64) + 1
    return np.arange(1, len(image_ids) + 1)


def _written_sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width and height as the annotation file had them: x2 - x1 is off by a last bit, which turns an IoU of exactly 0.5 into a miss."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    decimal = np.round(sizes, 9)
    return np.where(np.abs(decimal - sizes) < 1e-10, decimal, sizes)


def _annotations(**columns: NDArray[Any]) -> list[dict[str, Any]]:
    """The records that the scorer reads, with ids from 1 (0 would mean unmatched); made from whole columns, once."""
    names = ("id", *columns)
    rows = zip(range(1, len(columns["image_id"]) + 1), *(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _index(images: list[dict[str, int]], class_names: Sequence[str], annotations: list[dict[str, Any]]) -> COCO:
    from faster_coco_eval import COCO

    index = COCO(print_function=_silent)
    index.dataset = {"images": images, "categories": [{"id": i, "name": name} for i, name in enumerate(class_names, 1)], "annotations": annotations}
    index.createIndex()
    return index


def _mean(precision: NDArray[np.float64]) -> float | None:
    valid = precision[precision > -1]
    return float(valid.mean()) if valid.size else None


def _absences(values: dict[str, float | None], per_class: dict[str, dict[str, float | None]]) -> list[str]:
    """Why figures are missing."""
    if values["AP"] is None:
        return absent_classes(per_class)
    notes = [f"AP{size}, AR{size} n/a: no {words} in the truth" for size, words in _SIZES.items() if values["AP" + size] is None]
    return [*notes, *absent_classes(per_class)]
