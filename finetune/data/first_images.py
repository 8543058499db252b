"""Some images of a split as a split of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from finetune.data.types import BoxSplit, TextSplit

SplitT = TypeVar("SplitT", BoxSplit, TextSplit)


def take_images(split: SplitT, images: Sequence[int], name: str | None = None) -> SplitT:
    """Images of a split, in the order that is given; one that is named twice is there twice.

    Args:
        split: Boxes or words.
        images: Positions in the split.
        name: Of the new split; None keeps the old one.
    """
    offsets, rows = _ragged(split.offsets, np.asarray(images, np.int64))
    changed: dict[str, Any] = {
        "name": name or split.name,
        "image_ids": tuple(split.image_ids[i] for i in images),
        "paths": tuple(split.paths[i] for i in images),
        "original_hw": split.original_hw[list(images)],
        "offsets": offsets,
        "annotation_ids": tuple(split.annotation_ids[row] for row in rows.tolist()),
    }
    if isinstance(split, BoxSplit):
        return replace(split, **changed, **{field: getattr(split, field)[rows] for field in ("boxes", "labels", "crowd", "difficult", "areas")})
    point_offsets, points = _ragged(split.polygon_offsets, rows)
    char_offsets, characters = _ragged(split.char_offsets, rows)
    return replace(
        split, **changed, quads=split.quads[rows], ignore=split.ignore[rows], texts=tuple(split.texts[row] for row in rows.tolist()),
        polygon_offsets=point_offsets, polygon_points=split.polygon_points[points], char_offsets=char_offsets, char_quads=split.char_quads[characters],
    )  # fmt: skip


def _ragged(offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets and rows of some entries of a ragged table, in their order."""
    counts = np.diff(offsets)[chosen]
    ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.repeat(offsets[:-1][chosen] - ends[:-1], counts) + np.arange(ends[-1])
    return ends, rows.astype(np.int64)


def spread_images(split: BoxSplit | TextSplit, count: int) -> list[int]:
    """Positions of up to ``count`` images spread over a split, always the same ones: those with something that counts, where there are any."""
    counting = np.zeros(len(split), np.int64)
    np.add.at(counting, np.repeat(np.arange(len(split)), np.diff(split.offsets)), ~split.ignore)
    filled = np.flatnonzero(counting) if counting.any() else np.arange(len(split))
    return [int(index) for index in filled[np.unique(np.linspace(0, len(filled) - 1, min(count, len(filled))).round().astype(int))]]
