"""What a user should know about splits in memory."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from backbones.errors import DataError
from finetune.data.findings import Findings
from finetune.data.types import BoxSplit, TextSplit

SplitT = TypeVar("SplitT", BoxSplit, TextSplit)


def without_empty(split: SplitT, notes: list[str], what: str = "boxes") -> SplitT:
    """Leave out images without boxes (or words: ``what``), and say so in ``notes``."""
    counts = np.diff(split.offsets)
    kept = np.flatnonzero(counts)
    if len(kept) < len(split):
        notes.append(f"train: {len(split) - len(kept)} images without {what} left out (keep_empty false)")
    offsets = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
    changed: dict[str, Any] = {"image_ids": tuple(split.image_ids[i] for i in kept), "paths": tuple(split.paths[i] for i in kept), "original_hw": split.original_hw[kept], "offsets": offsets}
    return replace(split, **changed)


def finding_lines(findings: Findings, root: str) -> list[str]:
    """One line per kind of finding, worst first, and the command that shows them all."""
    lines = findings.lines()
    if any(kind.severity != "note" for kind in findings.kinds()):
        lines.append(f"all findings, with pictures: finetune check {shlex.quote(root)} --html check.html")
    return lines


def describe(splits: Mapping[str, BoxSplit], root: str = "the data") -> list[str]:
    """One line per split, and warnings; raise DataError, naming ``root``, when train has nothing to learn from."""
    lines = []
    for name, split in splits.items():
        empty = int((np.diff(split.offsets) == 0).sum())
        ignored = int(split.ignore.sum())
        extra = [f"{empty} images without boxes"] * bool(empty) + [f"{ignored} crowd or difficult boxes"] * bool(ignored)
        lines.append(f"{name}: {len(split)} images, {len(split.boxes)} boxes" + (f" ({', '.join(extra)})" if extra else ""))
    train = splits.get("train")
    if train is not None:
        counts = np.bincount(train.labels[~train.ignore], minlength=len(train.class_names))
        if not counts.sum():
            raise DataError(f"{root}: train has no boxes of the {len(train.class_names)} classes ({', '.join(train.class_names[:8])}); there is nothing to learn")
        never = [name for name, count in zip(train.class_names, counts, strict=True) if not count]
        if never:
            lines.append(f"warning: train has no boxes of {len(never)} classes: {', '.join(never[:8])}{' ...' if len(never) > 8 else ''}")
    return lines
