"""A run whose network finds coloured rectangles by their colour, and pictures that hold some: every score is known without training."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from detectors.types import BoxDetections
from finetune.config import DataConfig, RunConfig
from finetune.data.preprocess import Preprocess

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourRun:
    """Stands for a LoadedRun: boxes are exact but for a shift of ``shift`` pixels, scores grow with the box."""

    finds_words = False
    record = None

    def __init__(self, data_root, shift=0.0, class_names=("red", "green", "blue"), protocols=("coco",)):
        self.class_names = tuple(class_names)
        self.category_ids = tuple(range(10, 10 + 7 * len(self.class_names), 7))
        self.preprocess = Preprocess((64, 96), "stretch", 3)
        self.config = RunConfig(data=DataConfig(root=str(data_root)), evaluate=SimpleNamespace(protocols=protocols))
        self.shift = shift
        self.batches = []

    def predict(self, images):
        self.batches.append(len(images))
        return [self._find(image) for image in images]

    def _find(self, image):
        boxes, scores, labels = [], [], []
        for label, name in enumerate(self.class_names):
            rows, columns = np.nonzero((image == COLOURS[name]).all(axis=2))
            if len(rows):
                boxes.append([columns.min() + self.shift, rows.min(), columns.max() + 1, rows.max() + 1 + self.shift / 3])
                scores.append(0.3 + 0.6 * len(rows) / image[:, :, 0].size)
                labels.append(label)
        order = np.argsort(-np.array(scores), kind="stable")
        columns = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels, dtype=torch.int64)
        return BoxDetections(*(column[torch.from_numpy(order)] for column in columns))


def paint(path, boxes, size=(120, 80)):
    """Save a grey picture of ``size`` (width, height) with coloured rectangles {class: (x, y, w, h)}."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    for name, (x, y, w, h) in boxes.items():
        pixels[y : y + h, x : x + w] = COLOURS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def random_boxes(rng):
    """At most one rectangle per class, side by side so that none hides another."""
    boxes = {}
    for column, name in enumerate(COLOURS):
        if rng.random() < 0.75:
            x, y, w, h = column * 40 + rng.integers(0, 8), rng.integers(0, 30), rng.integers(8, 32), rng.integers(8, 50)
            boxes[name] = tuple(int(v) for v in (x, y, w, h))
    return boxes


def write_coco(root, images=12, seed=0, category_ids=(3, 7, 42)):
    """A COCO data set root/{train,val}/_annotations.coco.json in Roboflow's layout, ids with gaps, some images empty."""
    rng = np.random.default_rng(seed)
    for split in ("train", "val"):
        content = {"images": [], "annotations": [], "categories": [{"id": i, "name": name} for i, name in zip(category_ids, COLOURS, strict=True)]}
        for number in range(images):
            name = f"{split}{number}.png"
            boxes = random_boxes(rng) if number else {}
            paint(root / split / name, boxes)
            content["images"].append({"id": 100 + 3 * number, "file_name": name, "width": 120, "height": 80})
            for kind, box in boxes.items():
                category = category_ids[list(COLOURS).index(kind)]
                content["annotations"].append({"id": len(content["annotations"]) + 1, "image_id": 100 + 3 * number, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        (root / split / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def write_voc(root, images=10, seed=1):
    """A VOC data set with ImageSets train and val, one-based inclusive corners, some objects difficult."""
    rng = np.random.default_rng(seed)
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    names = [f"{number:06d}" for number in range(images)]
    for name in names:
        boxes = random_boxes(rng)
        paint(root / "JPEGImages" / f"{name}.png", boxes)
        objects = "".join(
            f"<object><name>{kind}</name><difficult>{int(rng.random() < 0.3)}</difficult>"
            f"<bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
            for kind, (x, y, w, h) in boxes.items()
        )
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation><filename>{name}.png</filename><size><width>120</width><height>80</height><depth>3</depth></size>{objects}</annotation>")
    (root / "ImageSets" / "Main" / "train.txt").write_text("\n".join(names[: images // 2]))
    (root / "ImageSets" / "Main" / "val.txt").write_text("\n".join(names[images // 2 :]))
    return root
