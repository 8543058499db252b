"""COCO figures of a file of results, reading counted; ours against pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from finetune.allocator import keep_freed_memory

_CATEGORIES, _PER_IMAGE = 80, 7.3  # as COCO


def write_files(folder: Path, images: int, detections: int, seed: int = 0) -> None:
    """Write truth.json and results.json: objects as in COCO, detections around them and elsewhere, with scores that say a little."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(images), rng.geometric(1 / _PER_IMAGE, images))
    corner, side = rng.uniform(0, 400, (len(owner), 2)), np.exp(rng.uniform(np.log(8), np.log(240), (len(owner), 2)))
    boxes, labels = np.round(np.concatenate([corner, side], 1), 2), rng.integers(1, _CATEGORIES + 1, len(owner))
    crowd = rng.random(len(owner)) < 0.01
    truth = [
        {"id": number + 1, "image_id": int(image) + 1, "category_id": int(label), "bbox": box, "area": round(box[2] * box[3], 2), "iscrowd": int(is_crowd)}
        for number, (image, label, box, is_crowd) in enumerate(zip(owner, labels, boxes.tolist(), crowd, strict=True))
    ]
    listed = [{"id": image + 1, "file_name": f"{image:012d}.jpg", "width": 640, "height": 640} for image in range(images)]
    categories = [{"id": number, "name": f"class {number}"} for number in range(1, _CATEGORIES + 1)]
    (folder / "truth.json").write_text(json.dumps({"images": listed, "categories": categories, "annotations": truth}))
    first = np.searchsorted(owner, np.arange(images))
    results: list[dict[str, Any]] = []
    for image in range(images):
        own = np.arange(first[image], first[image + 1] if image + 1 < images else len(owner))
        near = own[rng.integers(len(own), size=detections)]
        good = rng.random(detections) < 0.5
        found = np.where(good[:, None], boxes[near] * rng.normal(1, 0.08, (detections, 4)), np.concatenate([rng.uniform(0, 400, (detections, 2)), rng.uniform(8, 200, (detections, 2))], 1))
        column = np.where(good & (rng.random(detections) < 0.8), labels[near], rng.integers(1, _CATEGORIES + 1, detections))
        scores = np.where(good, rng.beta(3, 2, detections), rng.beta(1, 5, detections))
        rows = zip(column.tolist(), np.round(np.abs(found), 2).tolist(), np.round(scores, 4).tolist(), strict=True)
        results += [{"image_id": image + 1, "category_id": label, "bbox": box, "score": score} for label, box, score in rows]
    (folder / "results.json").write_text(json.dumps(results))


def _our_figures(folder: Path) -> list[float]:
    from finetune.data.types import BoxSplit
    from finetune.evaluation import create_evaluator
    from finetune.evaluation.predictions import read_predictions
    from finetune.evaluation.truth import load_truth

    truth = load_truth(str(folder / "truth.json"), "val")
    if not isinstance(truth, BoxSplit):
        raise TypeError("truth.json holds boxes")
    evaluator = create_evaluator("coco", truth)
    evaluator.add(read_predictions(folder / "results.json", truth)[0])
    return [-1.0 if value is None else value for value in evaluator.evaluate().values.values()]


def _their_figures(folder: Path) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "truth.json"))
        scorer = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "bbox")
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return [float(value) for value in scorer.stats]


class ScoringSide:
    """The twelve figures of one file of results."""

    def __init__(self, side: str, settings: Mapping[str, Any]) -> None:
        self.figures, self.folder = (_our_figures if side == "ours" else _their_figures), Path(settings["folder"])

    def time(self) -> float:
        """Seconds from files to figures."""
        start = time.perf_counter()
        self.figures(self.folder)
        return time.perf_counter() - start

    def result(self) -> list[float]:
        """The twelve figures."""
        return self.figures(self.folder)


def build(side: str, settings: Mapping[str, Any]) -> ScoringSide:
    """A side: "ours" or "theirs"."""
    if side == "ours":
        keep_freed_memory()
    return ScoringSide(side, settings)
