"""How train, val and test of scene text are found in a folder. The table in docs/data.md says the same in words."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from backbones.errors import DataError
from finetune.data.file_listing import expand, file_names, folders_in, is_dir, is_file
from finetune.data.findings import name_some
from finetune.data.sources import SPLITS, WORDS
from finetune.data.text.pairs import stems_of
from finetune.data.text.sources import FORMATS, SYNTHTEXT, Folder, TextFormat, TextSource, files_of, format_of, look_into

_DEEP = 3  # folders below the root
_MOST_FOLDERS = 400
_SAMPLED = 60  # annotation files that choose the folder of their pictures

NAMES: dict[TextFormat, str] = {"icdar": "ICDAR", "totaltext": "TotalText", "ctw1500": "CTW1500", "synthtext": "SynthText"}
_PLACES: dict[TextFormat, str] = {
    "icdar": "gt_NAME.txt or NAME.txt with lines x1,y1,...,x4,y4,text or left,top,right,bottom,text",
    "totaltext": "poly_gt_NAME.txt or .mat",
    "ctw1500": ".xml with <segs>, or .txt with 14 points a line",
    "synthtext": SYNTHTEXT,
}


@dataclass(frozen=True)
class TextLayout:
    """What was found: the name of the format in docs/data.md, and the sources of each split that is there."""

    name: str
    sources: Mapping[str, tuple[TextSource, ...]] = field(default_factory=dict)


def find_text_layout(root: Path, kind: str = "auto", images: Path | None = None) -> TextLayout:
    """Find words and pictures in ``root``.

    Args:
        root: A folder, or gt.mat of SynthText.
        kind: One of ``FORMATS`` looks only for that format; "auto" for all.
        images: Picture folder that is looked at before all others.

    Returns:
        The name of the format in docs/data.md, and the sources of each split.

    Raises:
        DataError: Nothing is found; the message says what was looked for and what is there.
    """
    if is_file(root) and root.name == SYNTHTEXT:
        return TextLayout(NAMES["synthtext"], {"train": (_synthtext(root, images),)})
    if not is_dir(root):
        raise DataError(f"{root} is no folder of scene text; set data.root to the folder that holds pictures and their annotation files")
    for place in (root, *folders_in(root)):
        if is_file(place / SYNTHTEXT) and kind in ("auto", "synthtext"):
            return TextLayout(NAMES["synthtext"], {"train": (_synthtext(place / SYNTHTEXT, images),)})
    folders = scan(root)
    sources: dict[str, list[TextSource]] = {}
    formats: list[TextFormat] = []
    for folder in folders:
        found = format_of(folder)
        if found is not None and kind in ("auto", found) and found != "synthtext":
            source = _source(folder, found, folders, images)
            if source.image_dirs or found != "icdar" or _is_named(folder):
                sources.setdefault(folder.split or "", []).append(source)
                formats.append(found)
    if not sources:
        raise DataError(_nothing_found(root, kind))
    if "train" not in sources and "" in sources:
        sources["train"] = sources[""]
    if set(sources) in ({"test"}, {"val"}):  # a folder of its own, whatever it is called
        sources["train"] = sources.pop(next(iter(sources)))
    return TextLayout(NAMES[max(FORMATS, key=lambda one: formats.count(one))], {split: tuple(sources[split]) for split in SPLITS if split in sources})


def named_text_source(root: Path, name: str, kind: str, images: Path | None) -> tuple[TextSource, ...]:
    """The sources of an explicit setting; empty where there is none.

    It is a folder of annotation files, one that holds such folders, the name of a split, an annotation file, or a glob of those in one
    folder ("train_gts/gt_img_8?.txt").
    """
    if set(name) & set("*?[") or (is_file(root / name) and (root / name).name != SYNTHTEXT):
        return _some_files(root, name, kind, images)
    for path in (root / name, expand(name)):
        if is_file(path) and path.name == SYNTHTEXT:
            return (_synthtext(path, images),)
        if is_dir(path):
            base = root if path.is_relative_to(root) else path.parent
            folders = [*scan(base)] if base == root else [*scan(base, deep=1)]
            folder = next((folder for folder in folders if folder.path == path), None) or look_into(path, base)
            found = format_of(folder)
            if found is not None:
                return (_source(folder, found, folders, images),)
            inner = find_text_layout(path, kind, images)
            return tuple(source for sources in inner.sources.values() for source in sources)
    split = next((split for split, words in WORDS.items() if name.lower() in words), None)
    if split is not None:
        return tuple(find_text_layout(root, kind, images).sources.get(split, ()))
    return ()


def _some_files(root: Path, pattern: str, kind: str, images: Path | None) -> tuple[TextSource, ...]:
    """The files of a folder whose names fit a glob, as a part of the folder's source."""
    folder, _, names = pattern.rpartition("/")
    place = expand(folder) if folder.startswith(("/", "~")) else root / folder
    chosen = tuple(name for name in file_names(place) if fnmatch.fnmatchcase(name, names)) if is_dir(place) else ()
    whole = named_text_source(root, str(place), kind, images) if chosen else ()
    if len(whole) != 1 or whole[0].format == "synthtext":
        return ()
    return (replace(whole[0], names=chosen),)


def scan(root: Path, deep: int = _DEEP) -> list[Folder]:
    """The folder and those below it, nearest first."""
    found, level = [look_into(root, root)], [root]
    for _ in range(deep):
        level = [child for path in level for child in folders_in(path)][: _MOST_FOLDERS - len(found)]
        found += [look_into(path, root) for path in level]
    return found


def _source(folder: Folder, kind: TextFormat, folders: Sequence[Folder], images: Path | None) -> TextSource:
    own = tuple(path.path for path in folders if path.chars and (path.path == folder.path or path.split == folder.split))
    return TextSource(kind, folder.path, (*([images] if images else []), *_picture_dirs(folder, kind, folders)), own)


def _picture_dirs(folder: Folder, kind: TextFormat, folders: Sequence[Folder]) -> list[Path]:
    """Folders of the pictures: the one that has most of them, and those that are called like it but for a number."""
    names = files_of(folder, kind)
    step = max(1, len(names) // _SAMPLED)
    wanted = [list(stems_of(name)) for name in names[::step]]

    def rank(other: Folder) -> tuple[bool, int, bool, bool, int]:
        matches = sum(any(stem in other.pictures for stem in stems) for stems in wanted)
        conflict = None not in (other.split, folder.split) and other.split != folder.split
        apart = len(set(other.path.parts) ^ set(folder.path.parts))
        return conflict, -matches, other.path != folder.path, other.split != folder.split, apart

    usable = [other for other in folders if other.pictures and any(stem in other.pictures for stems in wanted for stem in stems)]
    if not usable:
        return []
    best = min(usable, key=rank)
    alike = [other.path for other in usable if other is not best and _plain(other.path) == _plain(best.path) and rank(other)[0] == rank(best)[0]]
    return [best.path, *alike]


def _plain(path: Path) -> tuple[Path, str]:
    return path.parent, re.sub(r"\d+$", "", path.name)


def _synthtext(file: Path, images: Path | None) -> TextSource:
    return TextSource("synthtext", file, (*([images] if images else []), file.parent))


def _is_named(folder: Folder) -> bool:
    return any(name.lower().startswith(("gt_", "poly_gt_")) for name in folder.texts)


def text_places(kind: str = "auto") -> str:
    """Which files of a format, or of all of them, are looked for, in words."""
    return "; ".join(_PLACES.values()) if kind not in FORMATS else _PLACES[kind]


def _nothing_found(root: Path, kind: str) -> str:
    here = name_some(sorted([*file_names(root), *(f"{folder.name}/" for folder in folders_in(root))]), most=8) or "an empty folder"
    return f"no scene text in {root}; looked for {text_places(kind)}; found {here}; set data.root to the folder that holds pictures and annotation files (layouts: docs/data.md)"
