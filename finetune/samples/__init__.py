"""The embedded sample sets: street scenes with road signs, and pictures full of words, drawn by our own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def ensure_signs(images: int = 300, seed: int = 0) -> Path:
    """The folder of the sample set that ``--data signs`` means: COCO layout, half train and half val; drawn once, then cached.

    Args:
        images: Number of pictures.
        seed: The same seed draws the same pictures.
    """
    from finetune.samples.generate import cached_signs, ensure_cached

    return _ensure(cached_signs(images, seed), images, lambda done: ensure_cached(images, seed, done))


def ensure_words(images: int = 300, seed: int = 0) -> Path:
    """The folder of a set of 640 x 640 pictures full of words: ICDAR 2015 layout with characters beside it, a tenth val; drawn once, then cached.

    Args:
        images: Number of pictures.
        seed: The same seed draws the same pictures.
    """
    from finetune.samples.text.word_sets import cached_words, ensure_cached_words

    return _ensure(cached_words(images, seed), images, lambda done: ensure_cached_words(images, seed, done))


def _ensure(folder: Path, images: int, draw: Callable[[Callable[[int], None]], Path]) -> Path:
    from rich.progress import Progress

    from finetune.console import console

    if (folder / "summary.json").is_file():
        return folder
    console().print(f"Drawing the sample set once: {images} pictures into {folder}", markup=False)
    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("drawing", total=images)
        return draw(lambda done: bar.update(task, completed=done))
