"""Files in folders as people leave them: suffixes in any case, hidden leftovers of other systems, links that lead nowhere."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from backbones.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_ODD_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer instead of the file; run git lfs pull"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"\0\5\26\7", "a macOS resource file; take it out"),
)
_NOT_DATA = ("__MACOSX", "__pycache__")


def expand(text: str) -> Path:
    """A path from a setting, with a leading ~ or ~user replaced where that user is known."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  (Path.expanduser raises for unknown users)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; names that no file can have are no fault here."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_dir(path: Path) -> bool:
    """Whether there is a folder; names that no folder can have are no fault here."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def file_names(folder: Path | str, hidden: bool = False) -> list[str]:
    """Names of the regular files in a folder; hidden ones (".x", such as ".DS_Store" and the "._x" of macOS zips) only on request; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if (hidden or not entry.name.startswith(".")) and _is_regular(entry)]
    except (OSError, ValueError):
        return []


def files_with(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder whose name ends in ``suffix``, in whatever case, sorted by name."""
    return [folder / name for name in sorted(file_names(folder)) if name.lower().endswith(suffix)]


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, hidden ones and leftovers of macOS zips left out, sorted by name; none where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.name not in _NOT_DATA and _is_folder(entry)]
    except (OSError, ValueError):
        return []
    return [folder / name for name in sorted(names)]


def list_pictures(image_dirs: Sequence[Path]) -> dict[str, Path]:
    """Map the stem of every picture in some folders to its path; earlier folders and suffixes win."""
    pictures: dict[str, Path] = {}
    for folder in image_dirs:
        named = [(stem, IMAGE_SUFFIXES.index(dot.lower()), stem + dot) for stem, dot in map(os.path.splitext, file_names(folder)) if dot.lower() in IMAGE_SUFFIXES]
        for stem, _, name in sorted(named):
            pictures.setdefault(stem, folder / name)
    return pictures


def walk_files(folder: Path, most: int) -> Iterator[str]:
    """Paths of the regular files in a folder and below, hidden ones left out, links to folders not followed; at most ``most`` entries are looked at."""
    waiting, seen = [str(folder)], 0
    while waiting and seen < most:
        try:
            with os.scandir(waiting.pop()) as entries:
                rows = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError:
            continue
        seen += len(rows) + 1
        waiting += sorted((entry.path for entry in rows if entry.name not in _NOT_DATA and entry.is_dir(follow_symlinks=False)), reverse=True)
        yield from (entry.path for entry in rows if _is_regular(entry))


def real_paths(paths: Sequence[Path]) -> list[str]:
    """Every path with links resolved; folders once each, so that 100,000 pictures take no time."""
    folders: dict[Path, str] = {}
    found = []
    for path in paths:
        parent = folders.get(path.parent)
        if parent is None:
            parent = folders[path.parent] = os.path.realpath(path.parent)
        real = os.path.join(parent, path.name)  # noqa: PTH118  (a Path for each of 100,000 files costs a second)
        found.append(os.path.realpath(real) if os.path.islink(real) else real)  # noqa: PTH114
    return found


def read_bytes(file: Path) -> bytes:
    """The content of an annotation file; raise DataError where it cannot be read."""
    if not is_file(file):
        raise DataError(f"{file}: " + ("is no regular file" if os.path.lexists(file) else "does not exist") + "; give an annotation file")
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error}); make it readable") from error


def odd_start(content: bytes) -> str | None:
    """What a file is that should hold text, where its first bytes tell: "empty; ...", "a zip archive; unpack it"."""
    if not content.strip(b"\0 \t\r\n"):
        return f"{'only blanks or zero bytes' if content else 'empty'}; copy or export it again"
    return next((words for head, words in _ODD_STARTS if content.startswith(head)), None)


def fault_and_remedy(error: DataError, file: Path) -> tuple[str, str]:
    """The two parts of a message "FILE: fault; remedy", for a sink that says them in its own order."""
    fault, _, remedy = str(error).removeprefix(f"{file}: ").partition("; ")
    return fault, remedy


def decode_text(content: bytes) -> str:
    """Text of a small file in UTF-8 or, as Windows tools write it, UTF-16; what is neither becomes replacement characters."""
    for mark, codec in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if content.startswith(mark):
            return content.decode(codec, "replace")
    if b"\0" in content[:4]:
        return content.decode("utf-16-be" if content.startswith(b"\0") else "utf-16-le", "replace")
    return content.decode("utf-8", "replace")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
