"""A whole comparison folder, made up: pictures of coloured squares, candidates of known strength, one of which fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from finetune.compare.record import Comparison, comparison_to_dict
from finetune.compare.types import Budget, Candidate, ComparedData, ComparedRun, RateProtocol, Scores
from finetune.profile.record import Latency, Memory, Peak, ProfileRecord, profile_to_dict
from finetune.report.matching import match_classes
from finetune.report.redraw import box_scores, word_scores
from finetune.report.saved import load_found, load_truth
from finetune.report.word_errors import find_word_errors

NAMES = ("mobilenetv2_100", "tf_efficientnet_lite0", "tf_efficientnet_lite1", "resnet18", "lcnet_050", "broken_net")
CLASSES = ("RBC", "WBC", "<script>alert(1)</script>")
SKILL = (0.90, 0.88, 0.89, 0.75, 0.6)
LATENCY = (21.0, 14.0, 33.0, 55.0, 6.0)
TOP1 = (0.7298, 0.7484, 0.7667, 0.6976, 0.6310)
PARAMS = (4.1e6, 4.4e6, 5.1e6, 12.9e6, 1.9e6)
MACS = (0.78e9, 0.72e9, 1.01e9, 3.9e9, 0.16e9)


def make_comparison(folder: Path, pictures: int = 24, seeds: Sequence[int] = (0, 1), words: bool = False, copies: int = 6) -> Path:
    """Write a comparison and return its folder."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    objects, images = _truth(folder, rng, pictures, words, copies)
    shape = "quad" if words else "box"
    classes = ["text"] if words else list(CLASSES)
    truth: dict[str, Any] = {"schema": 1, "kind": "words" if words else "boxes", "split": "test", "class_names": classes, "images": images, "objects": objects}
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    runs, candidates = [], []
    for row, name in enumerate(NAMES):
        failed = row >= len(SKILL)
        candidates.append(_candidate(row, name, failed))
        for seed in seeds:
            if failed:
                runs.append(ComparedRun(name, seed, f"runs/{name}-{seed}", "failed", "cannot download weights to /home/somebody/.cache/torch/x.pth <b>bold</b>", 2))
                continue
            file = f"runs/{name}-{seed}/detections.json"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            found = _detections(rng, objects, SKILL[row] - 0.01 * seed, len(images), shape, len(classes))
            (folder / file).write_text(json.dumps(found), encoding="utf-8")
            runs.append(_run(folder, name, seed, file, words))
    comparison = Comparison(
        ComparedData("cells", "words" if words else "boxes", "f00d", tuple(classes), {"train": 100, "val": 20, "test": pictures}, {"test": len(objects["image"])}),
        Budget("12ep", "epochs", 12, ("Every candidate trains for 12 epochs.",)),
        RateProtocol("fixed", (0.06,), 0, "val", ("All train with the rate 0.06.",)),
        tuple(seeds),
        tuple(candidates),
        tuple(runs),
        settings={"data": {"root": "/home/somebody/data/cells", "input_size": [320, 320]}, "train": {"epochs": 12}},
        protocols=("icdar2015-iou",) if words else ("coco",),
        primary="hmean" if words else "AP",
        scored_split="test",
        device="cpu (2 threads)",
        command="finetune compare --backbones mobilenetv2_100,... --data cells --seeds 2 --budget 12ep",
        versions={"python": "3.11.9", "torch": "2.15.0"},
        truth="truth.json",
    )
    (folder / "comparison.json").write_text(json.dumps(comparison_to_dict(comparison)), encoding="utf-8")
    return folder


def _truth(folder: Path, rng: np.random.Generator, pictures: int, words: bool, copies: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    columns: dict[str, Any] = {"image": [], "label": [], "ignore": [], "quad" if words else "box": []}
    images = []
    (folder / "pictures").mkdir(exist_ok=True)
    for number in range(pictures):
        picture = Image.new("RGB", (640, 480), tuple(int(value) for value in rng.integers(190, 240, 3)))
        draw = ImageDraw.Draw(picture)
        for _ in range(int(rng.integers(2, 8))):
            width, height = (int(value) for value in rng.integers(40, 140, 2))
            x, y = int(rng.integers(0, 640 - width)), int(rng.integers(0, 480 - height))
            label = 0 if words else int(rng.choice(3, p=(0.6, 0.25, 0.15)))
            draw.ellipse((x, y, x + width, y + height), fill=((170, 60, 70), (70, 80, 170), (90, 150, 90))[label])
            columns["image"].append(number)
            columns["label"].append(label)
            columns["ignore"].append(bool(rng.random() < 0.05))
            columns["quad" if words else "box"].append(_corners(x, y, width, height) if words else [x, y, width, height])
        copy = f"pictures/{number:02d}.jpg" if number < copies else None
        if copy:
            picture.save(folder / copy, quality=85)
        images.append({"id": str(number), "file": f"cell_{number}.jpg", "width": 640, "height": 480, "picture": copy})
    return columns, images


def _corners(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _detections(rng: np.random.Generator, objects: dict[str, Any], skill: float, images: int, shape: str, classes: int) -> dict[str, Any]:
    """Objects found with a chance that grows with skill, jittered; and some detections of nothing."""
    found: dict[str, Any] = {"schema": 1, "split": "test", "image": [], "label": [], "score": [], shape: []}

    def add(image: int, label: int, score: float, box: Sequence[float]) -> None:
        for name, value in (("image", image), ("label", label), ("score", round(score, 4)), (shape, [round(v, 2) for v in (_corners(*box) if shape == "quad" else box)])):
            found[name].append(value)

    for image, label, corners in zip(objects["image"], objects["label"], objects[shape], strict=True):
        x, y, width, height = corners if shape == "box" else (corners[0], corners[1], corners[2] - corners[0], corners[5] - corners[1])
        if rng.random() < skill:
            shift = rng.normal(0, (1.02 - skill) * 0.35, 4) * (width, height, width, height)
            wrong = rng.random() < (1 - skill) * 0.4
            add(image, (label + int(wrong)) % classes, float(np.clip(rng.normal(0.75, 0.15), 0.05, 0.99)), (x + shift[0], y + shift[1], max(4, width + shift[2]), max(4, height + shift[3])))
    for _ in range(int(images * 4 * (1.05 - skill))):
        add(int(rng.integers(0, images)), int(rng.integers(0, classes)), float(rng.random() * 0.6), (float(rng.integers(0, 560)), float(rng.integers(0, 400)), 60.0, 50.0))
    return found


def _candidate(row: int, name: str, failed: bool) -> Candidate:
    if failed:
        return Candidate(name, name, "imagenet", "ssdlite", failure="its weights are not here")
    return Candidate(name, name, "imagenet", "ssdlite", TOP1[row], "Apache-2.0", int(PARAMS[row]), int(PARAMS[row]), 0.06, (), 12, 20.0, profile_to_dict(_profile(row, name)))


def _profile(row: int, name: str) -> ProfileRecord:
    milliseconds = LATENCY[row]
    latency = Latency(1, 50, milliseconds - 2, milliseconds * 1.1, 0.4, milliseconds, milliseconds * 1.15, 0.5, 20.0)
    peaks = [Peak(1, (320, 320), int(factor * 2**20 * (200 + 10 * PARAMS[row] / 1e6)), 180 * 2**20, LATENCY[row]) for factor in (1, 3)]
    memory = Memory("resident", peaks[0], peaks[1], None, "this machine")
    return ProfileRecord(
        name, "ssdlite", name, 3, True, (320, 320), "noise", "cpu", "a processor", 2, 1, "32-true", "contiguous", "2.15.0", 0.1, 0.5, NAMES[:5],
        int(PARAMS[row]), int(4 * PARAMS[row]), int(MACS[row]), int(1e7), (latency,), memory,
    )  # fmt: skip


def _run(folder: Path, name: str, seed: int, file: str, words: bool) -> ComparedRun:
    truth = load_truth(folder / "truth.json")
    found = load_found(folder / file, truth)
    group, weights = np.arange(len(truth.pictures)), np.ones((1, len(truth.pictures)))
    if words:
        score = float(word_scores(truth, found, find_word_errors(truth, found), "hmean", group, weights)[0])
        scores = Scores("icdar2015-iou", "hmean", "test", {"hmean": score})
    else:
        score = float(box_scores(truth, found, match_classes(truth, found), "coco", "AP", group, weights)[0])
        scores = Scores("coco", "AP", "test", {"AP": score, "AP50": min(1.0, score * 1.5)}, {label: {"AP": score * (1.1 - 0.1 * i)} for i, label in enumerate(CLASSES)})
    key = "val/icdar2015-iou/hmean" if words else "val/coco/AP"
    curve = [{"epoch": float(epoch), "train/loss": 3 / epoch + 0.4, key: score * (1 - 0.7**epoch) - (0.012 * max(0, epoch - 8) if name == "resnet18" else 0)} for epoch in range(1, 13)]
    best = 8 if name == "resnet18" else 12
    notes = ("Overfitting: AP was best after epoch 8 and fell, while the training loss still fell.",) if name == "resnet18" else ()
    return ComparedRun(
        name, seed, f"runs/{name}-{seed}", "finished", None, 1, (scores,), (), tuple(curve), best, 12, 240.0 + 10 * seed, 260.0, notes, {}, {}, "cpu (2 threads)", "f00d", file,
    )  # fmt: skip
