"""The truth to score against: exactly what the annotation files say, however the predictions arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from backbones.errors import DataError, UsageError
from finetune.config import DataConfig
from finetune.data.sources import EMBEDDED
from finetune.data.splits import load_annotations, load_splits
from finetune.data.types import BoxSplit, TextSplit
from finetune.nearest import did_you_mean

SPLITS = ("train", "val", "test")


def load_truth(data: str, split: str, one_based: bool = True) -> BoxSplit | TextSplit:
    """Read annotations to score a file of predictions with; pictures are not needed.

    Args:
        data: COCO file (scored as a whole), or folder.
        split: Split of a folder that has several.
        one_based: VOC files count pixels from 1.
    """
    check_split(split)
    return load_annotations(DataConfig(root=data, one_based=one_based), split)


def load_run_truth(config: DataConfig, seed: int, split: str, wants: Literal["boxes", "text"] = "boxes") -> BoxSplit | TextSplit:
    """A split of the data that a run was trained on; where the run kept a share of train for validation, that share.

    Boxes are as written in the files, not clipped as for training, so that a file of the same predictions scores the same. ``wants`` says what the run
    finds; of text data a run of boxes gets the boxes around words.

    Raises:
        DataError: The data are not where they were.
        UsageError: There is no such split.
    """
    check_split(split)
    if config.root not in EMBEDDED and not Path(config.root).expanduser().exists():
        raise DataError(f"the data of this run, {config.root}, are not there: say where they are with --data")
    used = load_splits(config, seed, wants=wants).get(split)
    if isinstance(used, TextSplit):  # quads of words are kept as written
        return used
    try:
        written = load_annotations(config, split, wants="boxes")
    except UsageError:  # val was cut from train
        written = load_annotations(config, "train", wants="boxes")
    return _select(written, used)


def load_other_truth(config: DataConfig, data: str, split: str, class_names: Sequence[str]) -> tuple[BoxSplit, list[str]]:
    """A split of other data than those of a run of boxes, with the classes that both know by name.

    Args:
        config: Data settings of the run; its renamings are applied where the data have the old name.
        data: COCO file (scored as a whole), or folder.
        split: Split of a folder that has several.
        class_names: Classes of the run.

    Returns:
        The truth, labels in the order of the run's classes, and the map of classes in words.

    Raises:
        DataError: Run and data have no class in common.
    """
    check_split(split)
    plain = replace(config, root=data, format="auto", train=None, val=None, test=None, images=None, include=(), rename={})
    written = load_annotations(plain, split, wants="boxes")
    names = written.class_names
    plain = replace(plain, rename={old: new for old, new in config.rename.items() if old in names})
    here = [plain.rename.get(name, name) for name in names]
    common = tuple(name for name in class_names if name in here)
    if not common:
        raise DataError(f"the data have the classes {', '.join(here[:8])}, the run {', '.join(class_names[:8])}, none in common: rename the classes in the annotations")
    lines = [f"class {name} -> {plain.rename.get(name, name)}" if plain.rename.get(name, name) in common else f"class {name} -> left out, unknown to the run" for name in names]
    lines += [f"class {name} of the run -> left out, not in the data" for name in class_names if name not in common]
    return load_annotations(replace(plain, include=common), split, need_images=True, wants="boxes"), lines


def check_split(split: str) -> None:
    """Raise UsageError, with the nearest name, unless a split is train, val or test."""
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}{did_you_mean(split, SPLITS)} (choose from {', '.join(SPLITS)})")


def _select(written: BoxSplit, used: BoxSplit) -> BoxSplit:
    """``used`` with the boxes of the same images, and the same classes, in ``written``."""
    index = {image_id: i for i, image_id in enumerate(written.image_ids)}
    if any(image_id not in index for image_id in used.image_ids):
        return used
    label_of = np.array([used.class_names.index(name) if name in used.class_names else -1 for name in written.class_names], np.int64)
    rows = [np.arange(span.start, span.stop) for span in (written.rows(index[image_id]) for image_id in used.image_ids)]
    kept = [part[label_of[written.labels[part]] >= 0] for part in rows]
    chosen = np.concatenate(kept).astype(np.int64) if kept else np.zeros(0, np.int64)
    return replace(
        used,
        offsets=np.concatenate([[0], np.cumsum([len(part) for part in kept])]).astype(np.int64),
        boxes=written.boxes[chosen],
        labels=label_of[written.labels[chosen]],
        crowd=written.crowd[chosen],
        difficult=written.difficult[chosen],
        areas=written.areas[chosen],
        annotation_ids=tuple(written.annotation_ids[i] for i in chosen),
    )
