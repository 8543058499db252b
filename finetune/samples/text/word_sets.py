"""A set of word pictures in the layout of ICDAR 2015, drawn by several processes.

- train/img_N.jpg  val/img_N.jpg                  the pictures; every tenth is val
- {train,val}/gt_img_N.txt                        x1,y1,...,x4,y4,word in whole pixels, or ### where it cannot be read
- {train,val}/chars_img_N.json                    the same words in the same order: text, ignore, exact quad, one quad per character
- summary.json                                    what was drawn
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from finetune.samples.aside import Progress, check_new_set, draw_aside
from finetune.samples.generate import cache_folder
from finetune.samples.text.corpus import name_dropped
from finetune.samples.text.word_pictures import WordPicture, WordPictures

WORDS_VERSION = 1  # raise it whenever the same seed would draw something else
CACHED_SIZE = (640, 640)
_CHUNK = 8
_OURS: list[tuple[Path, WordPictures]] = []  # what a process of several draws
_FEW = 24  # pictures that are drawn before other processes have started


@dataclass(frozen=True)
class WordSettings:
    """What word pictures are made of; see ``WordPictures``."""

    size_hw: tuple[int, int] = (640, 640)
    seed: int = 0
    corpus: str | None = None
    fonts: str = "matplotlib"
    backgrounds: str | None = None


def generate_words(out: Path, images: int, settings: WordSettings, workers: int = 0, progress: Progress | None = None) -> dict[str, Any]:
    """Draw ``images`` pictures into the new folder ``out``; nothing is left behind when it is interrupted.

    Args:
        out: Folder to create.
        images: Number of pictures.
        settings: What they are made of.
        workers: Processes; 0 is one per core. The files do not depend on it.
        progress: Told how many are done.

    Returns:
        The summary that is also written to summary.json.
    """
    check_new_set(out, images, settings.seed)
    pictures = WordPictures(**asdict(settings))  # faults are told before anything is written
    return draw_aside(out, lambda root: _draw(root, images, pictures, settings, workers, progress), lost_race=None)[1]


def cached_words(images: int, seed: int) -> Path:
    """The folder of the cached set of words, there or not."""
    return cache_folder() / f"words-v{WORDS_VERSION}-n{images}-s{seed}"


def ensure_cached_words(images: int, seed: int, progress: Progress | None = None) -> Path:
    """Draw a set of pictures with the embedded words into the cache unless it is there; two processes at once are safe."""
    folder = cached_words(images, seed)
    if (folder / "summary.json").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    settings = WordSettings(CACHED_SIZE, seed)
    return draw_aside(folder, lambda root: _draw(root, images, WordPictures(**asdict(settings)), settings, 0, progress), folder / "summary.json")[0]


def word_split(index: int) -> str:
    """The split of a picture: it does not depend on how many there are."""
    return "val" if index % 10 == 1 else "train"


def _draw(root: Path, images: int, pictures: WordPictures, settings: WordSettings, workers: int, progress: Progress | None) -> dict[str, Any]:
    for split in ("train", "val"):
        (root / split).mkdir()
    counts = {"readable": 0, "unreadable": 0}
    heights: list[float] = []
    for done, one in enumerate(_all(root, images, pictures, settings, workers), 1):
        for readable, height in one:
            counts["readable" if readable else "unreadable"] += 1
            if readable:
                heights.append(height)
        if progress is not None:
            progress(done)
    tall = {f"p{share}": round(float(np.percentile(heights, share)), 1) for share in (5, 25, 50, 75, 95)} if heights else {}
    splits = {split: sum(word_split(index) == split for index in range(images)) for split in ("train", "val")}
    summary = {
        "generator": WORDS_VERSION, **asdict(settings), "images": images, "splits": splits, "words": counts, "word_heights": tall, "fonts_used": len(pictures.fonts.paths),
        "fonts_unusable": pictures.fonts.unusable, "left_out": len(pictures.dropped), "left_out_words": name_dropped(pictures.dropped),
    }  # fmt: skip
    (root / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _all(root: Path, images: int, pictures: WordPictures, settings: WordSettings, workers: int) -> Iterator[list[tuple[bool, float]]]:
    """What is in every picture, in order."""
    workers = min(workers or _cores(), -(-images // _CHUNK))
    if workers == 1 or images <= _FEW:
        for index in range(images):
            yield write_words(root, index, pictures)
        return
    starts = range(0, images, _CHUNK)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (root, settings)) as pool:
        try:
            for some in pool.map(_some, [(start, min(start + _CHUNK, images)) for start in starts]):
                yield from some
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(root: Path, settings: WordSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops the others
    cv2.setNumThreads(1)
    _OURS[:] = [(root, WordPictures(**asdict(settings)))]


def _some(rows: tuple[int, int]) -> list[list[tuple[bool, float]]]:
    root, pictures = _OURS[0]
    return [write_words(root, index, pictures) for index in range(*rows)]


def write_words(root: Path, index: int, pictures: WordPictures) -> list[tuple[bool, float]]:
    """Write one picture and its truth.

    Returns:
        For every word whether it can be read, and its height in pixels.
    """
    picture, encoded = pictures.develop(index)
    folder, name = root / word_split(index), f"img_{index + 1}"
    (folder / f"{name}.jpg").write_bytes(encoded)
    corners = whole_pixels(picture)
    offsets = picture.char_offsets
    lines, words = [], []
    for k, text in enumerate(picture.texts):
        lines.append(",".join(map(str, corners[k].reshape(-1))) + "," + ("###" if picture.ignore[k] else text) + "\n")
        characters = picture.char_quads[offsets[k] : offsets[k + 1]].round(2).tolist()
        words.append({"text": text, "ignore": bool(picture.ignore[k]), "quad": picture.quads[k].round(2).tolist(), "characters": characters})
    (folder / f"gt_{name}.txt").write_text("".join(lines), encoding="utf-8")
    (folder / f"chars_{name}.json").write_text(json.dumps({"image": f"{name}.jpg", "words": words}, ensure_ascii=False), encoding="utf-8")
    return list(zip((~picture.ignore).tolist(), picture.word_heights.tolist(), strict=True))


def whole_pixels(picture: WordPicture) -> np.ndarray:
    """[N, 4, 2] corners in whole pixels inside the picture, as ICDAR files have them."""
    height, width = picture.image.shape[:2]
    return np.clip(np.rint(picture.quads), 0, (width, height)).astype(int)
