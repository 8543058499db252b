"""Findings about classes: without boxes, missing in a split, rare, or named twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.data.findings import Findings
from finetune.data.kinds import CLASS_ALIKE, CLASS_NOT_IN_SPLIT, CLASS_NOT_IN_TRAIN, CLASS_RARE, CLASS_UNUSED
from finetune.data.types import BoxSplit

_RARE = 10  # boxes


def class_counts(split: BoxSplit) -> NDArray[np.int64]:
    """[C] boxes of each class that count (neither crowd nor difficult)."""
    return np.bincount(split.labels[~split.ignore], minlength=len(split.class_names))


def check_classes(splits: Mapping[str, BoxSplit], names: Sequence[str], root: Path, findings: Findings) -> None:
    """Note classes that cannot be learnt or scored.

    Args:
        splits: By name.
        names: Class names as the files have them, before renaming.
        root: The data set.
        findings: Gets what was found.
    """
    findings.split = ""
    counts = {name: class_counts(split) for name, split in splits.items()}
    train = counts.get("train")
    for label, name in enumerate(next(iter(splits.values())).class_names if splits else ()):
        here = {split: int(rows[label]) for split, rows in counts.items()}
        missing = [split for split, count in here.items() if not count]
        if len(missing) == len(here):
            findings.add(CLASS_UNUSED, root, value=f"class {name}")
        elif "train" in missing:
            findings.add(CLASS_NOT_IN_TRAIN, root, value=f"class {name} ({_listed(here)})")
        elif missing:
            findings.add(CLASS_NOT_IN_SPLIT, root, value=f"class {name} ({_listed(here)})")
        if train is not None and 0 < train[label] < _RARE:
            findings.add(CLASS_RARE, root, value=f"class {name} ({train[label]})")
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(re.sub(r"[\s_.-]+", "", name).casefold() or name, []).append(name)
    for same in alike.values():
        for name in same[1:]:
            findings.add(CLASS_ALIKE, root, value=f"{name!r}, like {same[0]!r}")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count}" for split, count in counts.items())
