"""Joining annotation files into one split, and cutting one split into two without a leak."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from finetune.data.file_listing import real_paths
from finetune.data.findings import Findings
from finetune.data.kinds import SEVERAL_FILES, SEVERAL_IDS
from finetune.data.raw import RawImage, RawSplit


def join_sources(raws: list[RawSplit], findings: Findings) -> RawSplit:
    """Join several annotation files: a picture that two files name is one image with the boxes of both; ids that collide get the file's name in front."""
    if len(raws) == 1:
        return raws[0]
    joined = RawSplit(one_based=any(raw.one_based for raw in raws))
    row_of_path: dict[str, int] = {}
    used_ids: set[str] = set()
    for raw in raws:
        rows = []
        for image, path in zip(raw.images, real_paths([image.path for image in raw.images]), strict=True):
            if path in row_of_path:
                findings.add(SEVERAL_FILES, image.path)
            else:
                number = _free_id(image, used_ids)
                if number != image.image_id:
                    findings.add(SEVERAL_IDS, image.annotation_file, value=f"image id {number}")
                used_ids.add(str(number))
                row_of_path[path] = len(joined.images)
                joined.images.append(image._replace(image_id=number))
            rows.append(row_of_path[path])
        joined.boxes += [box._replace(image=rows[box.image]) for box in raw.boxes]
        for name, category in raw.categories.items():
            joined.categories.setdefault(name, category)
        joined.placeholders |= raw.placeholders
    joined.placeholders -= {box.name for raw in raws for box in raw.boxes}
    return joined


def _free_id(image: RawImage, used: set[str]) -> int | str:
    """The image's id, or that with names of its file and folder in front until nothing else has it."""
    number = image.image_id
    prefixes = chain((f"{image.annotation_file.stem}:",), repeat(f"{image.annotation_file.parent.name}/"))
    while str(number) in used:
        number = f"{next(prefixes)}{number}"
    return number


def overlap(first: Sequence[RawImage], second: Sequence[RawImage]) -> list[str]:
    """Names of the pictures that are in both."""
    paths = {*real_paths([image.path for image in first])}
    return [image.path.name for image, path in zip(second, real_paths([image.path for image in second]), strict=True) if path in paths]


def seeded_partition(raw: RawSplit, val_fraction: float, seed: int) -> tuple[RawSplit, RawSplit] | None:
    """Cut a split into train and val; None when it has fewer than two different pictures.

    The choice depends on the seed and the set of pictures, not on their order in the file. Copies that Roboflow makes of
    one picture (name.rf.HASH.jpg) stay together.
    """
    in_val = validation_share(raw.images, val_fraction, seed)
    return None if in_val is None else (select_images(raw, [not value for value in in_val]), select_images(raw, in_val))


def validation_share(images: Sequence[RawImage], val_fraction: float, seed: int) -> list[bool] | None:
    """For each image whether it is kept for validation; None where there are fewer than two different pictures."""
    keys = [_origin(image.path) for image in images]
    origins = sorted(set(keys))
    if len(origins) < 2:
        return None
    count = min(len(origins) - 1, max(1, round(len(origins) * val_fraction)))
    chosen = {origins[i] for i in np.random.default_rng(seed).permutation(len(origins))[:count]}
    return [key in chosen for key in keys]


def _origin(path: Path) -> str:
    return re.sub(r"\.rf\.[0-9A-Za-z]+(?=\.)", "", path.as_posix())


def select_images(raw: RawSplit, keep: list[bool]) -> RawSplit:
    """The images for which ``keep`` is true, with their boxes."""
    new_row = {row: position for position, row in enumerate(row for row, kept in enumerate(keep) if kept)}
    boxes = [box._replace(image=new_row[box.image]) for box in raw.boxes if box.image in new_row]
    images = [raw.images[row] for row in new_row]
    return RawSplit(images, boxes, raw.categories, raw.placeholders, raw.one_based)
