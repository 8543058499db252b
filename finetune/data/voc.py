"""Reader of Pascal VOC XML (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html)."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET  # entities are refused before parsing, and ElementTree loads nothing from outside
from pathlib import Path

from backbones.errors import DataError
from finetune.data.findings import Findings, name_some
from finetune.data.kinds import BOX_UNUSABLE, PICTURE_ORPHAN
from finetune.data.raw import RawBox, RawImage, RawSplit

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")


def read_voc(pairs: list[tuple[str, Path, Path]], findings: Findings, *, one_based: bool) -> RawSplit:
    """Read XML files.

    Args:
        pairs: Image id, XML file and picture, one per image.
        findings: Gets what was dropped, with file and object number.
        one_based: Coordinates count pixels from 1 and include the last one, as in the devkit: (1, 1, 1, 1) becomes the
            pixel-edge box (0, 0, 1, 1). Otherwise they are taken as pixel edges, as they are.

    Returns:
        Images in the order given. An object's annotation id is "file.xml#2", counted from 1.
    """
    split = RawSplit(one_based=one_based)
    for row, (image_id, xml, picture) in enumerate(pairs):
        root = parse_xml(xml)
        split.images.append(RawImage(image_id, picture, _declared_hw(root), xml))
        for number, item in enumerate(root.findall("object"), start=1):
            place = f"{xml.name}#{number}"
            name = (item.findtext("name") or "").strip()
            if not name:
                raise DataError(f"{xml}: object {number} has no name; add one or take the object out")
            split.categories.setdefault(name, 0)
            xyxy = _corners(item)
            if xyxy is None:
                findings.add(BOX_UNUSABLE, xml, place, image=picture)
                continue
            if one_based and xyxy[2] > xyxy[0] and xyxy[3] > xyxy[1]:  # a box without area stays so, and is dropped later
                xyxy = (xyxy[0] - 1, xyxy[1] - 1, xyxy[2], xyxy[3])
            split.boxes.append(RawBox(row, xyxy, name, False, (item.findtext("difficult") or "").strip() == "1", None, place))
    return split


def parse_xml(xml: Path) -> ET.Element:
    """Return the root of an annotation file; raise DataError when it is unreadable, malformed or declares entities."""
    try:
        content = xml.read_bytes()
    except OSError as error:
        raise DataError(f"{xml}: cannot be read ({error.strerror or error})") from error
    if b"<!ENTITY" in content.replace(b"\0", b""):
        raise DataError(f"{xml}: declares XML entities, which annotations do not need and which can exhaust memory; take the DOCTYPE out")
    try:
        root = ET.fromstring(content)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{xml}: not well-formed XML ({error}); export the annotation again") from error
    if root.tag != "annotation":
        raise DataError(f"{xml}: the root element of a VOC annotation is <annotation>, not <{root.tag}>")
    return root


def pair_set(names: list[str], set_file: Path, xml_dir: Path, image_dirs: tuple[Path, ...], *, need_images: bool = True) -> list[tuple[str, Path, Path]]:
    """Find XML file and picture for each name in an ImageSets file; raise DataError naming what is missing."""
    pictures = list_pictures(image_dirs)
    known = {path.stem for path in xml_dir.glob("*.xml")} if xml_dir.is_dir() else set()
    pairs, no_xml, no_picture = [], [], []
    for name in names:
        stem = _known_stem(name, known)
        xml = xml_dir / f"{stem}.xml"
        picture = pictures.get(stem)
        if stem not in known:
            no_xml.append(f"{stem}.xml")
        elif picture is None and need_images:
            no_picture.append(stem)
        else:
            pairs.append((stem, xml, picture or (image_dirs[0] / f"{stem}.jpg")))
    if no_xml:
        raise DataError(
            f"{len(no_xml)} of {len(names)} names in {set_file} have no annotation in {xml_dir}: {name_some(no_xml)}; "
            "take them out of the list, or write an XML without objects for a picture that shows nothing"
        )
    if no_picture:
        looked = ", ".join(map(str, image_dirs))
        raise DataError(
            f"{len(no_picture)} of {len(names)} pictures named in {set_file} are missing: {name_some(no_picture)} ({' '.join(IMAGE_SUFFIXES)}); "
            f"looked in {looked}; set data.images to their folder"
        )
    return pairs


def pair_folder(xml_dir: Path, image_dirs: tuple[Path, ...], findings: Findings, *, need_images: bool = True) -> list[tuple[str, Path, Path]]:
    """Find the picture of every XML file of a folder: the one of the same name, else the one that <filename> says."""
    pictures = list_pictures(image_dirs)
    pairs, missing = [], []
    for xml in sorted(xml_dir.glob("*.xml")):
        picture = pictures.get(xml.stem)
        if picture is None:
            named = (parse_xml(xml).findtext("filename") or "").strip().replace("\\", "/")
            picture = next((folder / Path(named).name for folder in image_dirs if named and (folder / Path(named).name).is_file()), None)
        if picture is None and need_images:
            missing.append(xml.name)
        else:
            pairs.append((xml.stem, xml, picture or (image_dirs[0] / f"{xml.stem}.jpg")))
    if missing:
        looked = ", ".join(map(str, image_dirs))
        raise DataError(
            f"{len(missing)} annotations in {xml_dir} have no picture: {name_some(missing)}; "
            f"looked in {looked} for the same name with {' '.join(IMAGE_SUFFIXES)}; set data.images to their folder"
        )
    used = {picture for _, _, picture in pairs}
    for path in pictures.values():
        if path not in used:
            findings.add(PICTURE_ORPHAN, path, image=path)
    return pairs


def read_set_file(file: Path) -> list[str]:
    """Return the names in an ImageSets file, in order, each once."""
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def list_pictures(image_dirs: tuple[Path, ...]) -> dict[str, Path]:
    """Map the stem of every picture in some folders to its path; earlier folders and suffixes win."""
    pictures: dict[str, Path] = {}
    for folder in image_dirs:
        if folder.is_dir():
            found = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
            for path in sorted(found, key=lambda p: (p.stem, IMAGE_SUFFIXES.index(p.suffix.lower()))):
                pictures.setdefault(path.stem, path)
    return pictures


def _known_stem(name: str, known: set[str]) -> str:
    """A line of a set file may be a stem, a file name, a path, or "stem 1" / "stem -1" (lists of one class)."""
    plain = Path(name.replace("\\", "/")).name
    suffix = Path(plain).suffix.lower()
    choices = [name, plain]
    if suffix in (*IMAGE_SUFFIXES, ".xml"):
        choices.append(plain[: -len(suffix)])
    choices.append(re.sub(r"\s+-?[01]$", "", plain))
    return next((choice for choice in choices if choice in known), choices[-1])


def _declared_hw(root: ET.Element) -> tuple[int, int]:
    sides = [_number(root.findtext(f"size/{side}")) for side in ("height", "width")]
    return tuple(int(side) if side is not None and side > 0 else 0 for side in sides)  # type: ignore[return-value]


def _corners(item: ET.Element) -> tuple[float, float, float, float] | None:
    corners = [_number(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
    return None if any(corner is None for corner in corners) else tuple(corners)  # type: ignore[return-value]


def _number(text: str | None) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
