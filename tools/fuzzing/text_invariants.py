"""What must hold for words that were read, samples that are drawn from them, and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from finetune.data.coco_values import MOST_PIXELS
from finetune.data.text.dataset import TextDataset
from finetune.data.text.quads import mend
from finetune.data.types import TextSplit
from finetune.evaluation.base import EvalResult
from fuzzing.invariants import line_fault, unwritable


def word_faults(split: TextSplit, opened: bool = True) -> list[str]:
    """Arrays are consistent, corners are numbers, ids are unique, texts can be written and shown."""
    images, words = len(split.paths), len(split.quads)
    chars, points = len(split.char_quads), len(split.polygon_points)
    checks: dict[str, Any] = {
        "no images": images > 0,
        "lengths of images": len(split.image_ids) == images and split.original_hw.shape == (images, 2) and split.offsets.shape == (images + 1,),
        "lengths of words": split.quads.shape == (words, 4, 2) and all(len(part) == words for part in (split.ignore, split.texts, split.annotation_ids)),
        "types": (split.quads.dtype, split.ignore.dtype, split.offsets.dtype, split.char_quads.dtype) == (np.float64, np.bool_, np.int64, np.float64),
        "offsets": _rising(split.offsets, images, words),
        "offsets of polygons": _rising(split.polygon_offsets, words, points) and split.polygon_points.shape == (points, 2),
        "offsets of characters": _rising(split.char_offsets, words, chars) and split.char_quads.shape == (chars, 4, 2),
        "corners not finite": all(np.isfinite(part).all() for part in (split.quads, split.polygon_points, split.char_quads)),
        "corners far away": all(not part.size or np.abs(part).max() <= MOST_PIXELS for part in (split.quads, split.polygon_points, split.char_quads)),
        "outlines of fewer than 3 corners": not len(split.polygon_points) or np.isin(np.diff(split.polygon_offsets), (1, 2)).sum() == 0,
        "image ids not unique": len(set(split.image_ids)) == images,
        "sizes": bool((split.original_hw > 0).all()) if opened else bool((split.original_hw == 0).all()),
    }
    faults = [name for name, good in checks.items() if not good]
    for text in (*split.image_ids, *split.annotation_ids, *(path.name for path in split.paths)):
        if fault := unwritable(text):
            faults.append(f"{text[:50]!r} {fault}")
    return faults


def _rising(offsets: np.ndarray, rows: int, total: int) -> bool:
    return offsets.shape == (rows + 1,) and offsets[0] == 0 and offsets[-1] == total and bool((np.diff(offsets) >= 0).all())


def sample_faults(dataset: TextDataset, seed: int) -> list[str]:
    """A sample and its maps are numbers."""
    from detectors.craft.heatmaps import build_targets

    index = seed % len(dataset)
    image, target, meta = dataset[index]
    rows = len(target.quads)
    maps = build_targets([target], (image.shape[1] // 2, image.shape[2] // 2))
    checks = {
        "quads": target.quads.shape == (rows, 4, 2) and bool(torch.isfinite(target.quads).all()),
        "lengths": len(target.ignore) == rows == len(target.texts),
        "characters": target.char_quads is None or bool(torch.isfinite(target.char_quads).all()),
        "maps": bool(torch.isfinite(maps.maps).all()) and 0 <= float(maps.maps.min()) <= float(maps.maps.max()) <= 1.0001,
        "confidence": bool(torch.isfinite(maps.confidence).all()),
        "size": image.shape[1:] == meta.input_hw,
    }
    return [f"sample {index}: {name}" for name, good in checks.items() if not good]


def same_words(before: Sequence[TextSplit], after: Sequence[TextSplit]) -> list[str]:
    """A cleaned copy has every word with an area at most once, where it was, as readable and as ignored as it was."""
    def words(splits: Sequence[TextSplit]) -> set[tuple[Any, ...]]:
        return {
            (*(round(value, 2) + 0.0 for value in quad.reshape(-1).tolist()), bool(ignore))
            for split in splits
            for quad, ignore in zip(np.round(mend(split.quads).quads, 3), split.ignore, strict=True)
        }  # fmt: skip

    more = words(after) - words(before)
    return [f"the cleaned copy has {len(more)} words that were not there: {sorted(more)[:2]}"] if more else []


def figure_faults(results: Sequence[EvalResult], remarks: Sequence[str]) -> list[str]:
    """Figures are shares or missing, remarks are lines."""
    faults = [f"{name} is {value}" for result in results for name, value in result.values.items() if value is not None and not (math.isfinite(value) and 0 <= value <= 1)]
    return faults + [fault for line in remarks if (fault := line_fault(line))]
