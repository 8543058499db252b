"""Where the annotations and pictures of one split lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finetune.data.file_listing import folders_in, is_dir

SPLITS = ("train", "val", "test")
EMBEDDED = ("signs", "words")  # sets that are drawn here; signs has boxes and words
WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
PICTURE_FOLDERS = ("", "images", "JPEGImages", "Images", "imgs", "img", "data")


@dataclass(frozen=True)
class CocoSource:
    """One COCO file and the folders in which its pictures are looked for."""

    file: Path
    image_dirs: tuple[Path, ...]


@dataclass(frozen=True)
class VocSource:
    """A folder of VOC XML files, the folders of their pictures, and the list of names (none: every XML file)."""

    xml_dir: Path
    image_dirs: tuple[Path, ...]
    set_file: Path | None = None


Source = CocoSource | VocSource


def split_dirs(root: Path) -> list[tuple[str, Path]]:
    """Folders that are called like a split, in whatever case, with the split; the usual word first."""
    folders = folders_in(root)
    return [(split, folder) for split, words in WORDS.items() for word in words for folder in folders if folder.name.lower() == word]


def picture_dirs(folder: Path, images: Path | None, within: str = "") -> tuple[Path, ...]:
    """Folders that may hold the pictures of ``folder``, the given one first; ``within`` is a folder inside each, such as "train"."""
    bases = [base for name in PICTURE_FOLDERS if is_dir(base := folder / name)] if is_dir(folder) else []
    dirs = [path for base in bases if is_dir(path := base / within)] if within else bases
    return (*([images] if images else []), *dirs)
