"""Which pictures a user means: files, folders and globs, and a name for each that no other has."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from backbones.errors import DataError
from finetune.data.file_listing import IMAGE_SUFFIXES


def find_pictures(words: Sequence[str]) -> list[Path]:
    """Turn files, folders (searched to the bottom) and globs (``**`` too) into pictures, each once.

    A file that is named is taken whatever its suffix; in folders and globs only files with a picture's suffix are.

    Raises:
        DataError: A word fits nothing, or there are no pictures at all.
    """
    found: dict[Path, Path] = {}
    for word in words:
        path = Path(word).expanduser()
        if path.is_file():
            pictures = [path]
        elif path.is_dir():
            pictures = _inside(path)
            if not pictures:
                raise DataError(f"no pictures in {word} (looked for {' '.join(IMAGE_SUFFIXES)}): give another folder, or name the files")
        else:
            hits = [Path(hit) for hit in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - Path.glob takes no absolute patterns
            pictures = [hit for hit in hits if hit.is_file() and hit.suffix.lower() in IMAGE_SUFFIXES]
            pictures += [picture for hit in hits if hit.is_dir() for picture in _inside(hit)]
            if not pictures:
                raise DataError(f"{word} is no picture, no folder and no glob that fits pictures: check the path (from {Path.cwd()})")
        for picture in pictures:
            found.setdefault(picture.resolve(), picture)
    if not found:
        raise DataError("no pictures: name files, folders or globs")
    return list(found.values())


def _inside(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    return sorted(path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Names relative to the deepest folder that holds all pictures, POSIX: ``a/1.jpg`` and ``b/1.jpg`` stay apart."""
    whole = [path.absolute() for path in paths]
    base = Path(os.path.commonpath([path.parent for path in whole]))
    return [path.relative_to(base).as_posix() for path in whole]


def drawn_names(names: Sequence[str]) -> list[str]:
    """File names for drawn copies of pictures: ``a/1.png`` is drawn as ``a_1.jpg``; names that would collide are numbered."""
    taken: set[str] = set()
    result = []
    for name in names:
        stem = str(Path(name).with_suffix("")).replace("/", "_").replace("\\", "_")
        free, number = stem, 2
        while free.casefold() in taken:
            free, number = f"{stem}-{number}", number + 1
        taken.add(free.casefold())
        result.append(f"{free}.jpg")
    return result
