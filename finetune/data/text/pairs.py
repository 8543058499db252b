"""Which annotation file belongs to which picture."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from finetune.data.coco_values import is_writable
from finetune.data.file_listing import IMAGE_SUFFIXES, list_pictures
from finetune.data.findings import Findings, name_some
from finetune.data.kinds import PICTURE_MISSING, PICTURE_NAME, PICTURE_UNANNOTATED

_HEADS = ("gt_", "poly_gt_", "rect_gt_", "poly_", "label_", "res_")
_TAILS = ("_gt", "_poly", "_label")


class TextPair(NamedTuple):
    """An image id, its annotation file, its picture, and the file of its characters, where there is one."""

    image_id: str
    file: Path
    picture: Path
    characters: Path | None = None


def stems_of(name: str) -> Iterator[str]:
    """The stems that the picture of an annotation file may have, most likely first: "gt_img_1.txt" is that of img_1, "img_1.jpg.txt" too."""
    stem = os.path.splitext(name)[0]  # noqa: PTH122  (names, many of them)
    yield stem
    inner, dot = os.path.splitext(stem)  # noqa: PTH122
    if dot.lower() in IMAGE_SUFFIXES:
        yield inner
    lower = stem.lower()
    bare = [stem[len(head) :] for head in _HEADS if lower.startswith(head)] + [stem[: -len(tail)] for tail in _TAILS if lower.endswith(tail)]
    yield from bare
    yield from (f"img_{one}" for one in bare if one.isdecimal())
    for one in (stem, *bare):
        if one.isdecimal() and one.startswith("0"):  # CTW1500: 0001001.txt is that of 1001.jpg
            yield one.lstrip("0") or "0"


def picture_of(name: str, pictures: dict[str, Path]) -> Path | None:
    """The picture of an annotation file, or None."""
    return next((pictures[stem] for stem in stems_of(name) if stem in pictures), None)


def pair_files(
    files: Iterable[Path], image_dirs: tuple[Path, ...], findings: Findings, *, characters: dict[str, Path] | None = None, need_images: bool = True, all_annotated: bool = True
) -> list[TextPair]:
    """Find the picture of every annotation file.

    Args:
        files: Annotation files of one folder.
        image_dirs: Folders of pictures, most likely first.
        findings: Told of files without a picture (a fault) and of pictures without a file.
        characters: Files of characters by the stem of their picture.
        need_images: Whether a missing picture is a fault.
        all_annotated: Whether a picture without a file is worth a note.
    """
    pictures = list_pictures(image_dirs)
    pairs: list[TextPair] = []
    used: dict[Path, Path] = {}
    for file in files:
        picture = picture_of(file.name, pictures)
        if picture is None and not need_images:
            picture = (image_dirs[0] if image_dirs else file.parent) / f"{list(stems_of(file.name))[-1]}.jpg"
        if picture is None:
            findings.fault(PICTURE_MISSING, file, value=f"(looked for {name_some([*dict.fromkeys(stems_of(file.name))])} in {name_some([str(folder) for folder in image_dirs]) or 'no folder'})")
            continue
        if picture in used:
            findings.add(PICTURE_UNANNOTATED, file, value=f"(it has {used[picture].name} already)", remedy="keep one annotation file for each picture", image=picture)
            continue
        if not is_writable(str(picture)) or not is_writable(file.name):
            findings.fault(PICTURE_NAME, picture.parent, value=picture.name, image=picture)
            continue
        used[picture] = file
        pairs.append(TextPair(picture.stem, file, picture, (characters or {}).get(picture.stem)))
    findings.raise_faults()
    if need_images and all_annotated:
        for picture in pictures.values():
            if picture not in used:
                findings.add(PICTURE_UNANNOTATED, picture, image=picture)
    return sorted(pairs, key=lambda pair: natural(pair.picture.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts img_2 before img_10."""
    return [(0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in re.split(r"([0-9]{1,18})", name)]
