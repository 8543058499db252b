"""The usual places of VOC files."""

from __future__ import annotations

from pathlib import Path

from finetune.data.file_listing import file_names, folders_in, is_dir, is_file
from finetune.data.sources import WORDS, VocSource, picture_dirs, split_dirs

_XML_FOLDERS = ("Annotations", "annotations", "labels", "xml")


def image_sets(root: Path, images: Path | None) -> dict[str, tuple[VocSource, ...]]:
    """ImageSets/Main/train.txt, in the root or in every VOC20xx folder; trainval.txt where there is no train.txt."""
    found: dict[str, tuple[VocSource, ...]] = {}
    for base in devkits(root):
        for split, words in WORDS.items():
            names = (*words, "trainval") if split == "train" else words
            file = next((file for name in names if (file := set_file(base, name))), None)
            if file is not None:
                found[split] = (*found.get(split, ()), source_of_set(file, images))
    return found


def split_folders(root: Path, images: Path | None) -> dict[str, tuple[VocSource, ...]]:
    """train/*.xml beside its pictures, or annotations/train beside images/train."""
    found: dict[str, tuple[VocSource, ...]] = {}
    for split, folder in split_dirs(root):
        source = folder_files(folder, images)
        if source is not None:
            found.setdefault(split, (source,))
    for parent in (root / name for name in _XML_FOLDERS):
        for split, folder in split_dirs(parent):
            if split not in found and _has_xml(folder):
                found[split] = (VocSource(folder, (*picture_dirs(root, images, folder.name), folder)),)
    return found


def plain_folder(root: Path, images: Path | None) -> dict[str, tuple[VocSource, ...]]:
    """XML files beside their pictures, without splits."""
    source = folder_files(root, images)
    return {"train": (source,)} if source else {}


def folder_files(folder: Path, images: Path | None) -> VocSource | None:
    """The XML files of a folder that is one split."""
    xml_dir = next((path for path in (folder, *(folder / name for name in _XML_FOLDERS)) if _has_xml(path)), None) if is_dir(folder) else None
    return VocSource(xml_dir, picture_dirs(folder, images)) if xml_dir else None


def devkits(root: Path) -> list[Path]:
    """``root`` itself if it has ImageSets, else every VOC20xx folder in it or in its VOCdevkit."""
    if is_dir(root / "ImageSets"):
        return [root]
    return [base for parent in (root, root / "VOCdevkit") if is_dir(parent) for base in folders_in(parent) if base.name.startswith("VOC") and is_dir(base / "ImageSets")]


def set_file(base: Path, name: str) -> Path | None:
    """The list of a split in a VOC folder."""
    return next((file for file in (base / "ImageSets" / "Main" / f"{name}.txt", base / "ImageSets" / f"{name}.txt") if is_file(file)), None)


def source_of_set(file: Path, images: Path | None) -> VocSource:
    """The source of a list of names: its XML files lie in the nearest Annotations folder above it."""
    base = next((parent for parent in file.parents if any(is_dir(parent / name) for name in _XML_FOLDERS)), file.parent)
    xml_dir = next((base / name for name in _XML_FOLDERS if is_dir(base / name)), base)
    return VocSource(xml_dir, picture_dirs(base, images), file)


def _has_xml(folder: Path) -> bool:
    return any(name.lower().endswith(".xml") for name in file_names(folder))
