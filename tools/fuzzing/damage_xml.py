"""Damage to XML annotations and to lists of names."""

from __future__ import annotations

import copy
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

NUMBERS = (
    "", " ", "0", "-1", "1", "-0", "1e400", "-1e400", "1e300", "1e308", "nan", "NaN", "inf", "-inf", "1_0", "0x10", "1,5", "1.5", "12px", "twelve", "9" * 400, "9" * 100000,
    "1e-320", "+5", " 7 ", "\n7\n", "٣", "½", "\uff11\uff12", "1 2", "4294967296", "9223372036854775808", "True", "None", "1.0.0",
)
NAMES = (
    "", " ", "\n", "cat", "CAT", " cat ", "big\ndog", "\t", "x" * 300, "x" * 70000, "é", "e\u0301", "\u202e", "\u2028", "a/b", "..", "/etc/passwd", "C:\\a\\t1.png", "t1",
    "T1.PNG", "t1.png", "0", "1", "%s", "<", "&", "\x7f", "\ufeff", "\ue000",
)
ENTITIES = '<!DOCTYPE annotation [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
HEADS = (
    ENTITIES, '<!DOCTYPE a SYSTEM "file:///etc/passwd">', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "<!DOCTYPE annotation>", "<?xml version='1.0'?>",
    "<?xml version='1.1'?>", "<?xml version='1.0' encoding='utf-16'?>", "<?xml version='1.0' encoding='gb2312'?>", "<?xml version='1.0' encoding='latin-1'?>",
    "<?xml version='1.0' encoding='nonsense'?>", "<?xml version='1.0' encoding='idna'?>", "<?xml version='1.0' encoding='base64'?>", "<?xml-stylesheet href='x'?>", "<!-- x -->",
    "<!-- -- -->", "\ufeff", "\n\n", "<?php ?>", "<![CDATA[x]]>", '<!DOCTYPE a [<!ATTLIST annotation x CDATA "y"><!ELEMENT a ANY>]>',
)

TreeChange = Callable[[random.Random, ET.Element], ET.Element]


def _elements(root: ET.Element, *tags: str) -> list[ET.Element]:
    return [item for item in root.iter() if not tags or item.tag in tags]


def _texts(tags: tuple[str, ...], values: tuple[str, ...]) -> TreeChange:
    def apply(rng: random.Random, root: ET.Element) -> ET.Element:
        items = _elements(root, *tags)
        for item in rng.sample(items, min(len(items), rng.choice((1, 1, 2, 8)))):
            item.text = rng.choice(values)
        return root

    return apply


def _remove(rng: random.Random, root: ET.Element) -> ET.Element:
    for _ in range(rng.choice((1, 1, 3))):
        parents = [item for item in root.iter() if len(item)]
        if parents:
            parent = rng.choice(parents)
            parent.remove(rng.choice(list(parent)))
    return root


def _repeat(rng: random.Random, root: ET.Element) -> ET.Element:
    parents = [item for item in root.iter() if len(item)]
    if parents:
        parent = rng.choice(parents)
        chosen = rng.choice(list(parent))
        for _ in range(rng.choice((1, 1, 2, 100))):
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(chosen))
    return root


def _rename(rng: random.Random, root: ET.Element) -> ET.Element:
    tags = sorted({item.tag for item in root.iter()})
    old = rng.choice(tags)
    new = rng.choice((old.upper(), old.title(), old + "s", "x", "{http://example.org/a}" + old, "object", "bndbox", "name", "annotation", "part"))
    for item in root.iter():
        if item.tag == old:
            item.tag = new
    return root


def _nest(rng: random.Random, root: ET.Element) -> ET.Element:
    items = [item for item in root.iter() if item is not root]
    if not items:
        return root
    chosen = copy.deepcopy(rng.choice(items))
    rng.choice(_elements(root)).append(chosen)
    for _ in range(rng.choice((0, 0, 3, 3000))):
        deeper = ET.SubElement(chosen, rng.choice(("object", "bndbox", "x")))
        chosen = deeper
    return root


def _wrap(rng: random.Random, root: ET.Element) -> ET.Element:
    outer = ET.Element(rng.choice(("annotations", "annotation", "root", "data", "VOC")))
    outer.extend([root] * rng.choice((1, 2)))
    return outer


def _attributes(rng: random.Random, root: ET.Element) -> ET.Element:
    """Values as attributes instead of elements."""
    for item in _elements(root, "bndbox", "object", "size"):
        for child in list(item):
            if not len(child):
                item.set(child.tag, child.text or "")
                item.remove(child)
    return root


def _corners(rng: random.Random, root: ET.Element) -> ET.Element:
    """Corners in another order, outside, as x, y, w, h, or as fractions."""
    for item in _elements(root, "bndbox"):
        sides = [rng.choice((-5, 0, 0.5, 1, 3, 20, 30, 40, 41, 1e6)) for _ in range(4)]
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True):
            for child in item.findall(tag):
                child.text = str(value)
    return root


TREE_DAMAGE: dict[str, TreeChange] = {
    "xml: numbers": _texts(("xmin", "ymin", "xmax", "ymax"), NUMBERS),
    "xml: sizes and flags": _texts(("width", "height", "depth", "difficult", "truncated"), NUMBERS),
    "xml: names": _texts(("name", "filename", "path", "folder"), NAMES),
    "xml: removed": _remove,
    "xml: repeated": _repeat,
    "xml: other tags": _rename,
    "xml: nested": _nest,
    "xml: wrapped": _wrap,
    "xml: attributes": _attributes,
    "xml: corners": _corners,
}


def _tree(change: TreeChange) -> Callable[[random.Random, bytes], bytes]:
    def apply(rng: random.Random, content: bytes) -> bytes:
        try:
            root = ET.fromstring(content)
        except (ET.ParseError, ValueError, LookupError):  # damaged before
            return content
        try:
            return ET.tostring(change(rng, root), encoding=rng.choice(("utf-8", "utf-8", "us-ascii", "utf-16", "latin-1")))
        except RecursionError:
            return content

    return apply


def _head(rng: random.Random, content: bytes) -> bytes:
    return rng.choice(HEADS).encode() + (content if rng.random() < 0.5 else re.sub(rb"^<\?xml.*?\?>\s*", b"", content))


def _markup(rng: random.Random, content: bytes) -> bytes:
    """CDATA, comments, entities and instructions in or beside a text."""
    spans = [found.span(1) for found in re.finditer(rb">([^<>]+)</", content)]
    if not spans:
        return content
    start, end = rng.choice(spans)
    value = content[start:end]
    change = rng.choice((
        b"<![CDATA[%v]]>", b"<!-- x -->%v", b"%v<!-- x -->", b"<?x y?>%v", b"&#49;%v", b"&nbsp;%v", b"&a;", b"&#0;", b"&#xD800;", b"&amp;%v", b"<b>%v</b>", b"%v<br>", b"&lt;%v",
        b"<![CDATA[%v", b"]]>%v", b"%v</object>", b"<object>%v", b"&#x1F600;",
    ))
    return content[:start] + change.replace(b"%v", value) + content[end:]


DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {**{name: _tree(change) for name, change in TREE_DAMAGE.items()}, "xml: head": _head, "xml: markup": _markup}


def _lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    odd = (
        b"", b" ", b"ghost", b"t1", b"t1 1", b"t1 -1", b"t1  0", b"t1.jpg", b"t1.png", b"JPEGImages/t1.png", b"/abs/t1.png", b"C:\\x\\t1.jpg", b"..", b".", b"/", b"t1/", b"../t1",
        b"a\0b", b"\xff\xfe", b"\xef\xbb\xbft1", b"#t1", b"t1,t2", b"t1\tt2", b"*", b"x" * 300, b"x" * 70000, b"t1\r", "é".encode(), b"\x1b[31m",
    )
    for _ in range(rng.choice((1, 1, 2, 5))):
        action, place = rng.randrange(4), rng.randrange(len(lines) + 1)
        if action == 0 and lines:
            lines.pop(min(place, len(lines) - 1))
        elif action == 1 and lines:
            lines[min(place, len(lines) - 1)] = rng.choice(odd)
        elif action == 2:
            lines = [line + rng.choice((b" 1", b" -1", b".jpg", b"\r", b" ", b"")) for line in lines]
        else:
            lines.insert(place, rng.choice(odd))
    return b"\n".join(lines)


LIST_DAMAGE: dict[str, Callable[[random.Random, bytes], bytes]] = {"list: odd lines": _lines}
