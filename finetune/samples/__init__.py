"""The embedded sample set: street scenes with road signs, drawn by our own code."""

from __future__ import annotations

from pathlib import Path


def ensure_signs(images: int = 300, seed: int = 0) -> Path:
    """The folder of the sample set that ``--data signs`` means: COCO layout, half train and half val; drawn once, then cached.

    Args:
        images: Number of pictures.
        seed: The same seed draws the same pictures.
    """
    from rich.progress import Progress

    from finetune.console import console
    from finetune.samples.generate import cached_signs, ensure_cached

    folder = cached_signs(images, seed)
    if (folder / "summary.json").is_file():
        return folder
    console().print(f"Drawing the sample set once: {images} pictures into {folder}", markup=False)
    with Progress(console=console(), transient=True) as bar:
        task = bar.add_task("drawing", total=images)
        return ensure_cached(images, seed, lambda done: bar.update(task, completed=done))
