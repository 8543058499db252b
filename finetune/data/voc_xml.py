"""One VOC XML file: parsed safely in whatever encoding it has, and its values checked."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # entities are refused before parsing, and ElementTree loads nothing from outside
from pathlib import Path

from backbones.errors import DataError
from finetune.data.coco_values import MOST_PIXELS, short
from finetune.data.file_listing import odd_start, read_bytes

SIDES = ("xmin", "ymin", "xmax", "ymax")
# expat knows encodings of one byte a letter only
_MULTI_BYTE = ("gb2312", "gbk", "gb18030", "cp936", "big5", "cp950", "shift_jis", "cp932", "euc-jp", "euc-kr", "cp949")
_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding=["']([\w.-]+)["'][^>]*\?>""")


def parse_xml(xml: Path) -> ET.Element:
    """Return the <annotation> of a file; raise DataError when it is unreadable, malformed, something else, or declares entities."""
    root = parse_any_xml(xml)
    inside = root.findall("annotation")
    if root.tag != "annotation" and len(inside) == 1:
        return inside[0]
    if root.tag != "annotation":
        hint = "this is CVAT's own format: export as PASCAL VOC or COCO" if root.tag == "annotations" and root.find("image") is not None else "export it as PASCAL VOC"
        several = f" with {len(inside)} <annotation> in it, where every picture needs its own file" if inside else ""
        raise DataError(f"{xml}: the root element of a VOC annotation is <annotation>, not <{root.tag[:60]}>{several}; {hint}")
    return root


def parse_any_xml(xml: Path) -> ET.Element:
    """Return the root of a file, names without their namespace; raise DataError when it is unreadable, malformed, or declares entities."""
    content = read_bytes(xml)
    if b"<!ENTITY" in content.replace(b"\0", b""):
        raise DataError(f"{xml}: declares XML entities, which annotations do not need and which can exhaust memory; take the DOCTYPE out")
    try:
        root = ET.fromstring(_expat_readable(content))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{xml}: {_why_not_xml(content, error)}") from error
    if root.tag.startswith("{"):  # a namespace
        for item in root.iter():
            item.tag = item.tag.rpartition("}")[2]
    return root


def corners_of(item: ET.Element) -> tuple[float, float, float, float] | None:
    """xmin, ymin, xmax, ymax of an object, or None."""
    corners = [_number(item.findtext(f"bndbox/{side}")) for side in SIDES]
    return None if any(corner is None for corner in corners) else tuple(corners)  # type: ignore[return-value]


def why_no_corners(item: ET.Element) -> str:
    """What stands there instead of a box."""
    if item.find("bndbox") is None:
        other = next((tag for tag in ("robndbox", "polygon") if item.find(tag) is not None), None)
        return f"(no bndbox but {other})" if other else "(no bndbox)"
    side = next((side for side in SIDES if _number(item.findtext(f"bndbox/{side}")) is None), SIDES[0])
    return f"({side} is {short(item.findtext(f'bndbox/{side}'))})"


def declared_hw(root: ET.Element) -> tuple[int, int]:
    """Height and width that the file gives its picture; 0 where it says nothing."""
    height, width = (_number(root.findtext(f"size/{side}")) for side in ("height", "width"))
    return (int(height) if height and height > 0 else 0, int(width) if width and width > 0 else 0)


def _number(text: str | None) -> float | None:
    if text is None or "_" in text or len(text) > 60:  # Python reads 1_0 as 10
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < MOST_PIXELS else None


def _expat_readable(content: bytes) -> bytes | str:
    declared = _DECLARATION.match(content)
    if declared is None or (codec := declared[1].decode("ascii", "replace").lower()) not in _MULTI_BYTE:
        return content
    text = content[declared.end() :].decode("gb18030" if codec in ("gb2312", "gbk") else codec)  # the larger alphabet, which tools write under the smaller's name
    return text if "<!ENTITY" not in text else content


def _why_not_xml(content: bytes, error: Exception) -> str:
    if odd := odd_start(content):
        return f"not an XML file but {odd}"
    if content.lstrip().startswith((b"{", b"[")):
        return "not an XML file but JSON; give its folder or file as COCO data"
    if "invalid token" in str(error) and _DECLARATION.match(content) is None:
        try:
            content.decode()
        except UnicodeDecodeError as wrong:
            return f"not well-formed XML: not UTF-8 at byte {wrong.start}; save it as UTF-8, or declare its encoding in the first line"
    return f"not well-formed XML ({error}); export the annotation again"
