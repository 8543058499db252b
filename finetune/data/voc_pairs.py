"""Which XML file belongs to which picture."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from backbones.errors import DataError
from finetune.data.coco_values import is_writable
from finetune.data.file_listing import IMAGE_SUFFIXES, decode_text, files_with, is_file, list_pictures, read_bytes
from finetune.data.findings import Findings
from finetune.data.kinds import ANNOTATIONS_MISSING, PICTURE_MISSING, PICTURE_NAME, PICTURE_ORPHAN
from finetune.data.picture_finder import PictureFinder
from finetune.data.voc_xml import parse_xml


class Pair(NamedTuple):
    """An image id, its XML file and its picture."""

    image_id: str
    xml: Path
    picture: Path


def read_set_file(file: Path) -> list[str]:
    """Return the names in an ImageSets file, in order, each once."""
    lines = decode_text(read_bytes(file)).splitlines()
    return list(dict.fromkeys(line.strip() for line in lines if line.strip("\0 \t\ufeff")))


def pair_set(names: list[str], set_file: Path, xml_dir: Path, image_dirs: tuple[Path, ...], findings: Findings, *, need_images: bool = True) -> list[Pair]:
    """Find XML file and picture for each name in an ImageSets file; what is missing is a fault."""
    pictures, finder = list_pictures(image_dirs), PictureFinder(image_dirs, findings)
    known = {path.stem: path for path in files_with(xml_dir, ".xml")}
    missing = f"the list names {len(names)}, looked in {xml_dir}; {ANNOTATIONS_MISSING.remedy}"
    pairs: dict[str, Pair] = {}
    for name in names:
        stem, xml = _xml_of(name, xml_dir, known)
        if stem in pairs:
            continue
        if xml is None:
            findings.fault(ANNOTATIONS_MISSING, set_file, value=f"{stem}.xml", remedy=missing)
            continue
        picture = pictures.get(stem) or _picture_of(xml, stem, finder)
        if picture is None and need_images:
            findings.fault(PICTURE_MISSING, set_file, value=stem, remedy=_looked(finder.dirs, f"the list names {len(names)}"))
        elif _has_names(stem, picture, findings):
            pairs[stem] = Pair(stem, xml, picture or _placeholder(image_dirs, stem))
    findings.raise_faults()
    return list(pairs.values())


def pair_folder(xml_dir: Path, image_dirs: tuple[Path, ...], findings: Findings, *, need_images: bool = True) -> list[Pair]:
    """Find the picture of every XML file of a folder: the one of the same name, else the one that <filename> says."""
    pictures, finder = list_pictures(image_dirs), PictureFinder(image_dirs, findings)
    pairs = []
    for xml in files_with(xml_dir, ".xml"):
        picture = pictures.get(xml.stem) or _picture_of(xml, xml.stem, finder)
        if picture is None and need_images:
            findings.fault(PICTURE_MISSING, xml_dir, value=f"that of {xml.name}", remedy=_looked(finder.dirs, "looked for the same name, or that in <filename>"))
        elif _has_names(xml.stem, picture, findings):
            pairs.append(Pair(xml.stem, xml, picture or _placeholder(image_dirs, xml.stem)))
    findings.raise_faults()
    used = {pair.picture for pair in pairs}
    for path in pictures.values():
        if path not in used:
            findings.add(PICTURE_ORPHAN, path, image=path)
    return pairs


def _xml_of(name: str, xml_dir: Path, known: dict[str, Path]) -> tuple[str, Path | None]:
    """Stem and XML file for a line of a set file, which may be a stem, a file name, a path, or "stem 1" / "stem -1" (lists of one class)."""
    posix = name.replace("\\", "/")
    plain = posix.rpartition("/")[2] or posix
    choices = [name, plain, *_without_suffix(plain), re.sub(r"\s+-?[01]$", "", plain)]
    stem = next((choice for choice in choices if choice in known), choices[-1])
    if stem in known or "/" not in posix.strip("/") or ".." in PurePosixPath(posix).parts:
        return stem, known.get(stem)
    for choice in (posix, *_without_suffix(posix)):  # XML files in folders of their own
        if is_file(xml := xml_dir / f"{choice.strip('/')}.xml"):
            return choice, xml
    return stem, None


def _without_suffix(name: str) -> Iterable[str]:
    suffix = PurePosixPath(name).suffix
    return (name[: -len(suffix)],) if suffix.lower() in (*IMAGE_SUFFIXES, ".xml") else ()


def _picture_of(xml: Path, stem: str, finder: PictureFinder) -> Path | None:
    """The picture that an XML file names, or one of its name somewhere below the folders."""
    try:
        named = (parse_xml(xml).findtext("filename") or "").strip()
    except DataError:  # reading it will say so
        return _placeholder(finder.dirs, stem)
    by_name = finder.find(named, xml) if PurePosixPath(named).suffix.lower() in IMAGE_SUFFIXES else finder.find_stem(named, xml) if named else None
    return by_name or finder.find_stem(stem, xml)


def _placeholder(image_dirs: tuple[Path, ...], stem: str) -> Path:
    return (image_dirs[0] if image_dirs else Path()) / f"{stem}.jpg"


def _has_names(stem: str, picture: Path | None, findings: Findings) -> bool:
    if is_writable(stem) and (picture is None or is_writable(str(picture))):
        return True
    findings.fault(PICTURE_NAME, picture.parent if picture else Path(), value=picture.name if picture else stem, image=picture)
    return False


def _looked(dirs: tuple[Path, ...], how: str) -> str:
    return f"{how}; looked in {', '.join(map(str, dirs)) or 'no folder'} ({' '.join(IMAGE_SUFFIXES)}); set data.images to their folder"
