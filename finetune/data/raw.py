"""Annotations as a reader finds them, before pictures are opened and classes chosen."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class RawImage(NamedTuple):
    """One annotated picture; ``declared_hw`` is what the annotations say (0, 0 when they say nothing)."""

    image_id: int | str
    path: Path
    declared_hw: tuple[int, int]
    annotation_file: Path


class RawBox(NamedTuple):
    """One box in pixel-edge coordinates (0-based, half-open), neither clipped nor checked. A tuple, because COCO has a million of them."""

    image: int  # index into RawSplit.images
    xyxy: tuple[float, float, float, float]
    name: str
    crowd: bool
    difficult: bool
    area: float | None
    annotation_id: int | str


@dataclass
class RawSplit:
    """Everything that the annotation files of one split say; ``categories`` maps each class name to its id (0 where the format has no ids)."""

    images: list[RawImage] = field(default_factory=list)
    boxes: list[RawBox] = field(default_factory=list)
    categories: dict[str, int] = field(default_factory=dict)
    placeholders: set[str] = field(default_factory=set)  # classes that exist only as parents of the others
    one_based: bool = False
    skipped: bool = False  # a split that is listed but has no annotations at all


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection while millions of objects are made that all stay: looking through them again and again takes as long as making them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
