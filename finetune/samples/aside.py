"""Sample sets appear whole or not at all: they are drawn beside their folder and renamed at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backbones.errors import UsageError

MAX_IMAGES = 100_000
Progress = Callable[[int], None]  # pictures done


def check_new_set(out: Path, images: int, seed: int) -> None:
    """Whether a set of that size may be drawn into ``out``.

    Raises:
        UsageError: ``images`` or ``seed`` is out of range, or ``out`` is a file or a folder with something in it.
    """
    if not 2 <= images <= MAX_IMAGES:
        raise UsageError(f"a sample set has 2 to {MAX_IMAGES} images, not {images}: set --images to a number in that range")
    if seed < 0:
        raise UsageError(f"a seed counts from 0, {seed} does not: set --seed to 0 or more")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is never overwritten: give a folder that does not exist, or remove it first")


def draw_aside(out: Path, draw: Callable[[Path], dict[str, Any]], lost_race: Path | None) -> tuple[Path, dict[str, Any]]:
    """Let ``draw`` fill a folder beside ``out``, then rename it.

    Args:
        out: Where the set is to be.
        draw: Fills a folder and returns its summary.
        lost_race: A file that shows that somebody else finished the same set meanwhile, which is as good; None where nobody else may.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        remedy = "set FINETUNE_CACHE to a folder that can be written" if lost_race else "choose another folder"
        raise UsageError(f"cannot write to {out.parent} ({error.strerror}): {remedy}") from error
    try:
        summary = draw(work)
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
