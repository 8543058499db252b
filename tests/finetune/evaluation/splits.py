"""Small splits and their COCO counterparts for the evaluator tests."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from finetune.data.types import BoxSplit
from finetune.evaluation.store import Rows


def make_split(boxes_per_image, labels_per_image, class_names=("a", "b"), image_ids=None, crowd=None, difficult=None, areas=None, category_ids=None, one_based=False, hw=(480, 640)):
    """A split from lists of xyxy boxes and labels, one entry per image."""
    counts = [len(boxes) for boxes in boxes_per_image]
    boxes = np.array([box for boxes in boxes_per_image for box in boxes], np.float64).reshape(-1, 4)
    total = len(boxes)
    ids = tuple(image_ids) if image_ids is not None else tuple(range(1, len(counts) + 1))
    sizes = boxes[:, 2:] - boxes[:, :2]
    return BoxSplit(
        name="val",
        class_names=tuple(class_names),
        image_ids=ids,
        paths=tuple(Path(f"{image_id}.jpg") for image_id in ids),
        original_hw=np.tile(np.array(hw, np.int32), (len(counts), 1)),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        boxes=boxes,
        labels=np.array([label for labels in labels_per_image for label in labels], np.int64),
        crowd=np.zeros(total, np.bool_) if crowd is None else np.asarray(crowd, np.bool_),
        difficult=np.zeros(total, np.bool_) if difficult is None else np.asarray(difficult, np.bool_),
        areas=sizes[:, 0] * sizes[:, 1] if areas is None else np.asarray(areas, np.float64),
        annotation_ids=tuple(range(1, total + 1)),
        category_ids=tuple(category_ids) if category_ids is not None else tuple(range(1, len(class_names) + 1)),
        one_based=one_based,
    )


def make_rows(entries):
    """Rows from (image index, xywh, score, label) tuples."""
    return Rows(
        np.array([e[0] for e in entries], np.int64),
        np.array([e[1] for e in entries], np.float64).reshape(-1, 4),
        np.array([e[2] for e in entries], np.float64),
        np.array([e[3] for e in entries], np.int64),
    )


def pycocotools_figures(dataset, results):
    """The twelve figures and per-class (AP, AP50) of the reference scorer."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        if results:
            found = truth.loadRes(results)
        else:
            found = COCO()
            found.dataset = {**dataset, "annotations": []}
            found.createIndex()
        scorer = COCOeval(truth, found, "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    precision = scorer.eval["precision"]
    per_class = {}
    for k, category in enumerate(scorer.params.catIds):
        part = precision[:, :, k, 0, -1]
        half = precision[:1, :, k, 0, -1]
        per_class[int(category)] = tuple(float(p[p > -1].mean()) if (p > -1).any() else None for p in (part, half))
    return scorer.stats[:12], per_class
