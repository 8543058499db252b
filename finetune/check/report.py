"""What was found as plain values: the JSON of ``finetune check``, which the page is made of too."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from finetune.check.class_checks import class_counts
from finetune.check.examine import Examination
from finetune.check.word_report import word_sides, words_of_split
from finetune.data.box_checks import input_scales
from finetune.data.findings import Finding
from finetune.data.types import BoxSplit

SCHEMA = 1
_SIZES = 5  # sizes of pictures that are named


def report_of(exam: Examination) -> dict[str, Any]:
    """Everything as JSON values; ``schema`` rises when a key changes its meaning or goes.

    Paths are POSIX, relative to the data set where they lie in it.
    """
    config = exam.config
    return {
        "schema": SCHEMA,
        "data": {"name": exam.name, "root": exam.gathered.root.as_posix(), "layout": exam.gathered.layout.name, "notes": list(exam.notes)},
        "settings": {
            "input_size": list(config.data.input_size),
            "resize": config.data.resize,
            "one_based": config.data.one_based,
            "keep_empty": config.data.keep_empty,
            "seed": config.seed,
        },
        "counts": exam.counts,
        "kinds": [
            {"kind": kind.name, "severity": kind.severity, "count": count, "what": kind.phrase(count), "remedy": kind.remedy} for kind in exam.findings.kinds() if (count := exam.findings.count(kind))
        ],
        "classes": [
            {"name": name, "category_id": number, "label": label} for label, (name, number) in enumerate(zip(exam.gathered.class_map.class_names, exam.gathered.class_map.category_ids, strict=True))
        ],
        "splits": {name: _split(split, exam) | _words(name, exam) for name, split in exam.splits.items()},
        "anchors": _anchors(exam),
        "findings": [finding_of(finding, exam) for finding in in_order(exam)],
        "seconds": round(exam.seconds, 3),
    }


def in_order(exam: Examination) -> list[Finding]:
    """All findings, worst kinds first, each kind as it was found."""
    rank = {kind: number for number, kind in enumerate(exam.findings.kinds())}
    return sorted(exam.findings.rows, key=lambda finding: rank[finding.kind])


def finding_of(finding: Finding, exam: Examination) -> dict[str, Any]:
    """One finding as JSON values."""
    return {
        "kind": finding.kind.name,
        "severity": finding.kind.severity,
        "split": finding.split or None,
        "file": exam.show(finding.file),
        "annotation": finding.annotation,
        "value": finding.value,
        "remedy": finding.remedy or finding.kind.remedy,
        "image": exam.show(finding.image) if finding.image else None,
        "other": exam.show(finding.other) if finding.other else None,
        "box": list(finding.box) if finding.box else None,
    }


def input_sides(split: BoxSplit, exam: Examination) -> np.ndarray:
    """[M, 2] width and height at the input size of the boxes that count."""
    data = exam.config.data
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    sides = (split.boxes[:, 2:] - split.boxes[:, :2]) * input_scales(split.original_hw, data.input_size, data.resize)[image_of]
    return sides[~split.ignore]


def all_sides(exam: Examination) -> np.ndarray:
    """[M, 2] width and height at the input size of all boxes that count, or of all such words."""
    parts = [word_sides(split, exam.config) for split in exam.words.values()] or [input_sides(split, exam) for split in exam.splits.values()]
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def _words(name: str, exam: Examination) -> dict[str, Any]:
    return {"words": words_of_split(exam.words[name], exam.config)} if name in exam.words else {}


def _split(split: BoxSplit, exam: Examination) -> dict[str, Any]:
    per_image = np.diff(split.offsets)
    sides = np.sqrt(input_sides(split, exam).prod(1))
    sizes = Counter((int(width), int(height)) for height, width in split.original_hw.tolist())
    return {
        "images": len(split),
        "boxes": len(split.boxes),
        "ignored": int(split.ignore.sum()),
        "without_boxes": int((per_image == 0).sum()),
        "boxes_per_image": {"mean": round(float(per_image.mean()), 2), "most": int(per_image.max())} if len(split) else None,
        "classes": {name: int(count) for name, count in zip(split.class_names, class_counts(split), strict=True)},
        "picture_sizes": [{"width": width, "height": height, "images": count} for (width, height), count in sizes.most_common(_SIZES)],
        "other_picture_sizes": max(0, len(sizes) - _SIZES),
        "box_side_at_input": {f"p{q}": round(float(np.percentile(sides, q)), 1) for q in (5, 50, 95)} if len(sides) else None,
    }


def _anchors(exam: Examination) -> dict[str, Any] | None:
    if exam.plan is None:
        return None
    return {
        "matcher": exam.plan.rule,
        "threshold": exam.plan.threshold or None,
        "levels": [
            {"cells": [len(grid.y), len(grid.x)], "shapes": [[round(float(width), 2), round(float(height), 2)] for width, height in grid.shapes]} for grid in exam.plan.grids
        ],
        "splits": {
            cover.split: {"boxes": cover.boxes, "below_threshold": len(cover.low), "nearest_anchor_only": len(cover.between), "shared_anchor": len(cover.shared)}
            for cover in exam.covers
        },
    }
