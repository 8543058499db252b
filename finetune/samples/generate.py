"""Draw a whole sample set into a folder, all or nothing; and the cached set that ``--data signs`` means."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backbones.errors import UsageError
from finetune.samples.layout import SPLITS, split_of
from finetune.samples.scene import draw_picture
from finetune.samples.truth import CLASS_NAMES, SignBox
from finetune.samples.writers import Size, write_coco, write_picture, write_voc_sets

GENERATOR_VERSION = 4  # raise it whenever the same seed would draw something else: cached sets are then drawn anew
MAX_IMAGES = 100_000
Progress = Callable[[int], None]  # pictures done


def generate_signs(out: Path, images: int, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Draw ``images`` street scenes into the new folder ``out``; nothing is left behind when it is interrupted.

    Returns:
        The summary that is also written to summary.json: counts of pictures, boxes, words.

    Raises:
        UsageError: ``images`` is out of range, or ``out`` is a file or a folder with something in it.
    """
    if not 2 <= images <= MAX_IMAGES:
        raise UsageError(f"a sample set has 2 to {MAX_IMAGES} images, not {images}: set --images to a number in that range")
    if seed < 0:
        raise UsageError(f"a seed counts from 0, {seed} does not: set --seed to 0 or more")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is never overwritten: give a folder that does not exist, or remove it first")
    return _draw_aside(out, images, seed, progress, lost_race=None)[1]


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
    return _draw_aside(folder, images, seed, progress, lost_race=folder / "summary.json")[0]


def _draw_aside(out: Path, images: int, seed: int, progress: Progress | None, lost_race: Path | None) -> tuple[Path, dict[str, Any]]:
    """Draw beside ``out`` and rename at the end; a set that somebody else finished meanwhile (``lost_race``) is as good."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        remedy = "set FINETUNE_CACHE to a folder that can be written" if lost_race else "choose another folder"
        raise UsageError(f"cannot write to {out.parent} ({error.strerror}): {remedy}") from error
    try:
        summary = _draw(work, images, seed, progress)
        work.chmod(0o755)  # temporary folders are private
        if lost_race is None and out.is_dir():
            out.rmdir()  # empty: not every system renames onto it
        try:
            work.replace(out)
        except OSError:
            if lost_race is None or not lost_race.is_file():
                raise
        return out, summary
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
