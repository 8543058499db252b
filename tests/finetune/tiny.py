"""A data set and settings so small that a run takes about a second."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from finetune.config import BackboneConfig, DataConfig, FreezeConfig, PyramidConfig, RunConfig, SSDLiteConfig, TrainConfig

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 60, 220)}


def write_squares(root: Path, images: dict[str, int], names: tuple[str, ...] = ("red", "green"), size: int = 64, seed: int = 0) -> Path:
    """Grey noise with coloured squares, in the layout ``<split>/_annotations.coco.json``; category ids have gaps."""
    rng = np.random.default_rng(seed)
    for split, count in images.items():
        folder = root / split
        folder.mkdir(parents=True)
        table = {"images": [], "annotations": [], "categories": [{"id": 3 + 4 * i, "name": name} for i, name in enumerate(names)]}
        for index in range(count):
            picture = rng.integers(90, 140, (size, size, 3), dtype=np.uint8)
            table["images"].append({"id": index + 10, "file_name": f"{split}{index}.png", "width": size, "height": size})
            for number in range(2):
                label = int(rng.integers(len(names)))
                side = int(rng.integers(14, 24))
                x, y = int(rng.integers(0, size // 2 - side // 2)) + number * size // 2 - number * 8, int(rng.integers(0, size - side))
                x = min(x, size - side)
                picture[y : y + side, x : x + side] = COLOURS[names[label]]
                table["annotations"].append(
                    {"id": len(table["annotations"]) + 1, "image_id": index + 10, "category_id": 3 + 4 * label, "bbox": [x, y, side, side], "area": side * side, "iscrowd": 0}
                )
            Image.fromarray(picture).save(folder / f"{split}{index}.png")
        (folder / "_annotations.coco.json").write_text(json.dumps(table))
    return root


def tiny_config(root: Path, **train: object) -> RunConfig:
    """Settings for ``write_squares`` on a backbone of 0.1 M random parameters."""
    return RunConfig(
        data=DataConfig(root=str(root), input_size=(64, 64), batch_size=4, workers=0),
        backbone=BackboneConfig("test_efficientnet", weights="none"),
        pyramid=PyramidConfig(width=16),
        ssdlite=SSDLiteConfig(head_depth=1),
        freeze=FreezeConfig("none", 0, "train"),
        train=replace(TrainConfig(epochs=2, evaluate_every=1, accelerator="cpu", lr=0.02, backbone_lr_scale=1.0, warmup=0.05, clip_norm=10.0), **train),  # type: ignore[arg-type]
    )
