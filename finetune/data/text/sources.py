"""Where the words and pictures of one split lie, and which format a folder of annotation files has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.data.file_listing import IMAGE_SUFFIXES, decode_text, file_names
from finetune.data.sources import WORDS
from finetune.data.text.icdar_lines import split_numbers

TextFormat = Literal["icdar", "totaltext", "ctw1500", "synthtext"]
FORMATS: tuple[TextFormat, ...] = ("icdar", "totaltext", "ctw1500", "synthtext")
SYNTHTEXT = "gt.mat"
_SAMPLED = 12  # files of a folder that are looked into
_HEAD = 4096  # bytes of each
_TRUTH_NAME = re.compile(r"(?:poly_|rect_)?gt_", re.IGNORECASE)
_TOTALTEXT = re.compile(r"\s*x\s*:\s*\[\[")


@dataclass(frozen=True)
class TextSource:
    """One folder of annotation files (SynthText: one file), the folders of its pictures, those of files with characters, and the names of the files where only some are meant."""

    format: TextFormat
    place: Path
    image_dirs: tuple[Path, ...]
    char_dirs: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """What lies in a folder: its files by kind, and the split that its path speaks of."""

    path: Path
    pictures: frozenset[str]  # stems
    texts: tuple[str, ...]
    xmls: tuple[str, ...]
    mats: tuple[str, ...]
    chars: bool
    split: str | None


def look_into(path: Path, root: Path) -> Folder:
    """List a folder once."""
    names = file_names(path)
    by_suffix: dict[str, list[str]] = {}
    for name in names:
        by_suffix.setdefault(name.rpartition(".")[2].lower(), []).append(name)
    pictures = frozenset(name.rpartition(".")[0] for suffix in IMAGE_SUFFIXES for name in by_suffix.get(suffix[1:], ()))
    texts = sorted(by_suffix.get("txt", ()))
    chars = any(name.endswith("_GT.txt") for name in texts) or any(name.startswith("chars_") for name in by_suffix.get("json", ()))
    own = tuple(name for name in texts if not name.endswith("_GT.txt"))
    return Folder(path, pictures, own, tuple(sorted(by_suffix.get("xml", ()))), tuple(sorted(by_suffix.get("mat", ()))), chars, split_word(path, root))


def split_word(path: Path, root: Path) -> str | None:
    """The split that the names of a folder below ``root`` speak of, the innermost first: "ch4_training_images" is train."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-1:]
    for part in reversed(parts):
        words = {re.sub(r"\d+$", "", word) for word in re.split(r"[\W_]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", part).lower())}
        words |= {re.sub(r"\d", "", word) for word in words}
        found = [split for split, names in WORDS.items() if words & {*names, *(("trainval",) if split == "train" else ())}]
        if len(found) == 1:
            return found[0]
    return None


def format_of(folder: Folder) -> TextFormat | None:
    """The format of the annotation files of a folder, or None where there are none."""
    if SYNTHTEXT in folder.mats:
        return "synthtext"
    texts = sorted(folder.texts, key=lambda name: _TRUTH_NAME.match(name) is None)[:_SAMPLED]
    votes = [found for name in texts if (found := _format_of_text(_head(folder.path / name))) is not None]
    if votes:
        return max(FORMATS, key=votes.count)
    if any(b"<segs" in _head(folder.path / name) for name in folder.xmls[:_SAMPLED]):
        return "ctw1500"
    if any(_TRUTH_NAME.match(name) for name in folder.mats):
        return "totaltext"
    return "icdar" if any(_TRUTH_NAME.match(name) for name in texts) else None  # broken or without a word: shown, or read


def files_of(folder: Folder, kind: TextFormat) -> Sequence[str]:
    """Names of the annotation files of a folder that has a format."""
    if kind == "ctw1500":
        return folder.xmls or folder.texts
    if kind == "totaltext":
        return folder.texts or folder.mats
    named = [name for name in folder.texts if _TRUTH_NAME.match(name)]
    return named if named and len(named) * 2 >= len(folder.texts) else [name for name in folder.texts if not _is_list(folder.path / name)]


def _format_of_text(content: bytes) -> TextFormat | None:
    lines = [line for line in decode_text(content).split("\n")[:8] if line.strip(" \r\t\ufeff")]
    for line in lines:
        plain = line.lstrip("\ufeff")
        if _TOTALTEXT.match(plain):
            return "totaltext"
        for separator in (",", " "):
            fields, rest = split_numbers(plain, separator)
            if len(fields) >= 14:
                return "ctw1500"
            if len(fields) >= 10 and len(fields) % 2 == 0 and (rest or "").startswith("###"):
                return "ctw1500"
            if len(fields) >= 4 and not _is_yolo(fields, rest):
                return "icdar"
    return None


def _is_yolo(fields: Sequence[str], rest: str | None) -> bool:
    """A class number and four shares of the picture's sides."""
    return rest is None and len(fields) in (5, 6) and fields[0].isdecimal() and all("." in field and 0 <= float(field) <= 1.0001 for field in fields[1:5])


def _is_list(file: Path) -> bool:
    """A list of names or a note, beside annotation files: none of its lines begins with four numbers."""
    content = _head(file)
    lines = [line for line in decode_text(content).split("\n")[:8] if line.strip(" \r\t\ufeff\0")]
    return bool(lines) and b"\0" not in content and not any(len(split_numbers(line.lstrip("\ufeff"), separator)[0]) >= 2 for line in lines for separator in (",", " "))


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_HEAD)
    except (OSError, ValueError):
        return b""
