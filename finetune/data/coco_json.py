"""COCO JSON from disk: parsed without the polygons, which nothing here needs, and told from other JSON."""

from __future__ import annotations

import json
import mmap
import re
from pathlib import Path
from typing import Any, Literal

from backbones.errors import DataError
from finetune.data.file_listing import odd_start, read_bytes

PARTS = ("images", "annotations", "categories")
NO_POLYGONS = 1  # stands for polygons that were not parsed
_POLYGONS = re.compile(rb'"segmentation"(?<!\\"segmentation")\s*:\s*\[[0-9 \t\r\n.,eE+\-\[\]]*\](?=\s*[,}])')
_ODD_BOX = re.compile(rb'"bbox"\s*+:\s*+(?!\[\s*+[-\d.])')
_SMALL = 1_000_000
# keys by which JSON of other tools is known, and what it is
_OTHER_TOOLS = (
    ({"shapes", "imagePath"}, "a labelme file of one picture; convert the folder to COCO (labelme2coco)"),
    ({"_via_img_metadata"}, "a VIA project; choose Annotation > Export as COCO format in VIA"),
    ({"filename", "regions"}, "VIA annotations; choose Annotation > Export as COCO format in VIA"),
    ({"asset", "regions"}, "a VoTT file; export the project from VoTT and convert it to COCO"),
    ({"image", "annotations"}, "CreateML; export the data as COCO"),
    ({"data", "annotations"}, "Label Studio tasks; choose Export > COCO in Label Studio"),
    ({"data", "completions"}, "Label Studio tasks; choose Export > COCO in Label Studio"),
    ({"image_id", "score"}, "a list of predictions; score it with finetune evaluate --predictions"),
    ({"image_id", "bbox"}, "only a list of annotations; put it into an object with images, annotations and categories"),
    ({"imgs", "anns"}, "an index of the COCO API; save the original file instead"),
)


def load_coco_json(file: Path) -> dict[str, Any]:
    """Return the parsed file, with ``images``, ``annotations`` and ``categories`` present as lists; raise DataError otherwise.

    Polygons are left out of the text before it is parsed (``NO_POLYGONS`` stands for them) where every annotation has a box:
    COCO train2017 then takes a fifth of the time and a third of the memory.
    """
    content = _parse(file)
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in PARTS):
        raise DataError(f"{file}: {_why_not_coco(content)}")
    return content


def look_at(file: Path) -> Literal["coco", "broken", "other"]:
    """What a JSON file is, with as little reading as possible; "broken" where it cannot be parsed or is cut off, so that its fault can be shown."""
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            there = [content.find(f'"{key}"'.encode()) >= 0 for key in PARTS]
            if all(there):
                return "coco"
            if len(content) > _SMALL and b"\0" not in content[:4]:
                return "broken" if there[0] and not content[-100:].rstrip().endswith(b"}") else "other"
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        pass
    try:
        found = _parse(file)
    except DataError:
        return "broken"
    return "coco" if isinstance(found, dict) and all(key in found for key in PARTS) else "other"


def _parse(file: Path) -> Any:
    text = _without_polygons(read_bytes(file))  # without a name for the whole content, which is four times as large
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        content = read_bytes(file)
    try:  # again as it is, for the right line and column
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: {_why_not_json(content, error)}") from error


def _without_polygons(content: bytes) -> bytes:
    """The text with a 1 instead of every list of polygons, unless some annotation may have nothing else."""
    if len(content) < _SMALL:
        return content
    text, count = _POLYGONS.subn(f'"segmentation":{NO_POLYGONS}'.encode(), content)
    return content if text.count(b'"bbox"') < count or _ODD_BOX.search(text) else text


def _why_not_json(content: bytes, error: Exception) -> str:
    if odd := odd_start(content):
        return f"not a JSON file but {odd}"
    if content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "not a JSON file but XML or a web page; give a COCO JSON file (a download may have needed a login)"
    if isinstance(error, UnicodeDecodeError):
        return f"not a JSON file in UTF-8 (byte {error.object[error.start]:#04x} at {error.start}); save it as UTF-8, or export the annotations again"
    if isinstance(error, RecursionError):
        return "not a JSON file that can be read: brackets are nested too deeply; export the annotations again"
    more = " (one JSON object per line? COCO is one object)" if "Extra data" in str(error) else ""
    return f"not a JSON file ({error}){more}; export the annotations again"


def _why_not_coco(content: Any) -> str:
    first = content[0] if isinstance(content, list) and content else next(iter(content.values()), None) if isinstance(content, dict) else None
    for keys, words in _OTHER_TOOLS:
        if any(isinstance(item, dict) and keys <= item.keys() for item in (content, first)):
            return f"this is {words}"
    if not isinstance(content, dict):
        return f"a COCO annotation file is a JSON object with images, annotations and categories; this one is a {type(content).__name__}"
    key = next(key for key in PARTS if not isinstance(content.get(key), list))
    kind = "has no" if key not in content else "has no list of"
    found = ", ".join(f"{name[:40]!r}" for name in list(content)[:8]) or "nothing"
    hint = "; a list without annotations, as for test pictures, cannot be read: leave it out" if key == "annotations" and isinstance(content.get("images"), list) else ""
    return f"{kind} {key!r}; a COCO annotation file needs images, annotations and categories (found: {found}){hint}"
