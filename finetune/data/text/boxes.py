"""Words as boxes of one class, for detectors of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from finetune.config import DataConfig
from finetune.data.assemble import fingerprint_of
from finetune.data.splits import DataSplits
from finetune.data.types import BoxSplit, TextSplit


def boxes_of_splits(splits: DataSplits[TextSplit], config: DataConfig) -> DataSplits[BoxSplit]:
    """The same splits with the upright boxes around words, clipped to their pictures."""
    found = {name: boxes_of_split(split, clip=True) for name in ("train", "val", "test") if (split := getattr(splits, name)) is not None}
    note = "boxes: the upright ones around words, all of the class text; ignored words are difficult"
    return DataSplits(found.get("train"), found.get("val"), found.get("test"), ("text",), (1,), (*splits.summary, note), splits.class_map, fingerprint_of(found), splits.name)


def boxes_of_split(split: TextSplit, clip: bool = False) -> BoxSplit:
    """The upright boxes around the words of a split.

    Args:
        split: Words.
        clip: Clip boxes to their pictures, and leave out those without area.
    """
    boxes = np.concatenate([split.quads.min(1), split.quads.max(1)], axis=1) if len(split.quads) else np.zeros((0, 4))
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    keep: NDArray[np.bool_] = np.ones(len(boxes), np.bool_)
    if clip:
        boxes = np.clip(boxes, 0, split.original_hw[image_of][:, [1, 0, 1, 0]].astype(np.float64))
        keep = np.asarray((boxes[:, 2:] > boxes[:, :2]).all(1), np.bool_)
    boxes, rows = boxes[keep], np.flatnonzero(keep)
    counts = np.bincount(image_of[keep], minlength=len(split))
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return BoxSplit(
        name=split.name, class_names=split.class_names, image_ids=split.image_ids, paths=split.paths, original_hw=split.original_hw,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), boxes=boxes, labels=np.zeros(len(boxes), np.int64), crowd=np.zeros(len(boxes), np.bool_),
        difficult=split.ignore[keep], areas=areas, annotation_ids=tuple(split.annotation_ids[row] for row in rows.tolist()), category_ids=split.category_ids,
    )  # fmt: skip
