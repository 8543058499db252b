"""Draw a whole sample set into a folder, all or nothing; and the cached set that ``--data signs`` means."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from finetune.samples.aside import Progress, check_new_set, draw_aside
from finetune.samples.layout import SPLITS, split_of
from finetune.samples.scene import draw_picture
from finetune.samples.truth import CLASS_NAMES, SignBox
from finetune.samples.writers import Size, write_coco, write_picture, write_voc_sets

GENERATOR_VERSION = 4  # raise it whenever the same seed would draw something else: cached sets are then drawn anew


def generate_signs(out: Path, images: int, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Draw ``images`` street scenes into the new folder ``out``; nothing is left behind when it is interrupted.

    Returns:
        The summary that is also written to summary.json: counts of pictures, boxes, words.

    Raises:
        UsageError: ``images`` is out of range, or ``out`` is a file or a folder with something in it.
    """
    check_new_set(out, images, seed)
    return draw_aside(out, lambda root: _draw(root, images, seed, progress), lost_race=None)[1]


def cache_folder() -> Path:
    """Where generated data are kept: FINETUNE_CACHE, else XDG_CACHE_HOME/finetune, else ~/.cache/finetune."""
    own, shared = os.environ.get("FINETUNE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "finetune"


def cached_signs(images: int, seed: int) -> Path:
    """The folder of a cached set, there or not; another generator has another folder."""
    return cache_folder() / f"signs-v{GENERATOR_VERSION}-n{images}-s{seed}"


def ensure_cached(images: int, seed: int, progress: Progress | None = None) -> Path:
    """Draw a set into the cache unless it is there; two processes at once are safe."""
    folder = cached_signs(images, seed)
    if (folder / "summary.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # sets appear whole: one without its summary was damaged later
    return draw_aside(folder, lambda root: _draw(root, images, seed, progress), lost_race=folder / "summary.json")[0]


def _draw(root: Path, images: int, seed: int, progress: Progress | None) -> dict[str, Any]:
    truths: list[tuple[Size, tuple[SignBox, ...]]] = []
    words = Counter({"readable": 0, "unreadable": 0})
    for index in range(images):
        picture = draw_picture(seed, index)
        write_picture(root, index, picture)
        truths.append((picture.image.size, picture.signs))
        words.update("readable" if word.readable else "unreadable" for word in picture.words)
        if progress is not None:
            progress(index + 1)
    write_coco(root, truths, seed, GENERATOR_VERSION)
    write_voc_sets(root, images)
    summary = {"generator": GENERATOR_VERSION, "seed": seed, "images": images, **_count(truths), "words": dict(words)}
    (root / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def _count(truths: list[tuple[Size, tuple[SignBox, ...]]]) -> dict[str, Any]:
    boxes = {name: {split: 0 for split in SPLITS} for name in CLASS_NAMES}
    for index, (_, signs) in enumerate(truths):
        for sign in signs:
            boxes[sign.label][split_of(index)] += 1
    return {
        "splits": {split: sum(split_of(index) == split for index in range(len(truths))) for split in SPLITS},
        "empty_images": sum(not signs for _, signs in truths),
        "ignored_boxes": sum(sign.ignore for _, signs in truths for sign in signs),
        "boxes": boxes,
    }
