"""Damage to files of words: lines and numbers as converters, spreadsheets and hands make them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable

from fuzzing.damage_json import NUMBERS as JSON_NUMBERS
from fuzzing.damage_json import OTHERS, dump

Damage = Callable[[random.Random, bytes], bytes]

NUMBERS = (
    b"", b" ", b"-1", b"0", b"-0", b"+5", b"1.5", b"1.", b".5", b"1e2", b"1e400", b"-1e400", b"1e-400", b"nan", b"NaN", b"inf", b"-Infinity", b"0x10", b"1_0", b"1 2", b"twelve",
    b"9" * 30, b"9" * 400, b"9" * 100000, b"4294967296", b"-9223372036854775809", b"1e15", b"99999999", "٣".encode(), "\uff11".encode(), "½".encode(), b"None", b"True", b"'3'", b'"3"',
    b"3\0", b"3;", b"1,5", b"--3", b"\xff",
)
PIECES = (
    b"", b",", b",,", b",,,,,,,", b"#", b"###", b"####", b"#" * 70000, b'"', b'""', b'"a', b'\\"', b"'", b"[", b"]]", b"x: [[", b"ornt: [", b"transcriptions: [", b"]]]", b"{}",
    b"\t", b" " * 5000, b"x" * 70000, b"\0", b"\x1a", b"\x1b[31m", b"\n", b"\r", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", "한글".encode(),
    "\u202e".encode(), b"Latin,", b"Arabic", b"1,2,3,4,5,6,7,8,", b"0 0.5 0.5 0.2 0.2", b"\\", b"%s%n", b"<b>", b"u'",
)
LINES = (
    b"", b" ", b"#", b"1", b"1,2", b"1,2,3", b"1,2,3,4", b"1,2,3,4,5", b"1,2,3,4,5,6,7", b"1,2,3,4,5,6,7,8", b"1,2,3,4,5,6,7,8,9,10,###", b",".join([b"7"] * 28), b",".join([b"7"] * 32),
    b",".join([b"1"] * 100001), b"1 2 3 4 a", b"1\t2\t3\t4\ta", b"0,0,0,0,0,0,0,0,a", b"5,5,5,5,a", b"9,9,1,1,a", b"-9,-9,-5,-9,-5,-5,-9,-5,a", b"1000,1000,1010,1000,1010,1010,1000,1010,b",
    b"3,4,20,14,20,5,3,13,crossed", b"3,4,3,13,20,14,20,5,turned", b"3,4,3.5,4,3.5,4.2,3,4.2,tiny", b"1e300,0,1e300,1,0,1,0,0,far", b"img_1.png 3,4,20,14,0", b"x1,y1,x2,y2,x3,y3,x4,y4,text",
    b"x: [[1 2 3]], y: [[1 2 3 4]], ornt: [u'c'], transcriptions: [u'a']", b"x: [[]], y: [[]], ornt: [], transcriptions: []", b'1 2 3 4 5 6 7 8 9 "a"', b"<annotation/>", b"[]", b"null",
    b"x: [[" + b"1 " * 30000 + b"]], y: [[" + b"1 " * 30000 + b"]], ornt: [u'c'], transcriptions: [u'a']", b"x: [[" * 5000,
)
MOST_BYTES = 1 << 20  # of a file with repeated lines: more takes seconds to read, as it should
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def _lines_of(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def _number(rng: random.Random, content: bytes) -> bytes:
    """Other numbers in a few places."""
    for _ in range(rng.choice((1, 1, 2, 8, 60))):
        spans = [found.span() for found in _NUMBER.finditer(content[:20000])]
        if not spans:
            return content
        start, end = rng.choice(spans)
        content = content[:start] + rng.choice((*NUMBERS, *(str(rng.randint(-50, 120)).encode() for _ in range(12)))) + content[end:]
    return content


def _columns(rng: random.Random, content: bytes) -> bytes:
    """Columns too many, too few, or in another order."""
    lines = _lines_of(content)
    chosen = range(len(lines)) if rng.random() < 0.4 else rng.sample(range(len(lines)), min(len(lines), rng.choice((1, 1, 2))))
    separator = rng.choice((b",", b",", b" ", b"\t"))
    action, place = rng.randrange(5), rng.randrange(10)
    for row in chosen:
        fields = lines[row].split(separator)
        spot = min(place, len(fields) - 1)
        if action == 0:
            fields.pop(spot)
        elif action == 1:
            fields.insert(spot, rng.choice(NUMBERS))
        elif action == 2:
            fields = fields[: spot + 1]
        elif action == 3:
            fields = fields * 2
        else:
            fields[spot], fields[-1] = fields[-1], fields[spot]
        lines[row] = separator.join(fields)
    return b"\n".join(lines)


def _pieces(rng: random.Random, content: bytes) -> bytes:
    """Odd letters before, inside or after a line."""
    lines = _lines_of(content)
    for _ in range(rng.choice((1, 1, 2, 6))):
        row = rng.randrange(len(lines))
        place = rng.choice((0, len(lines[row]), rng.randrange(len(lines[row]) + 1)))
        lines[row] = lines[row][:place] + rng.choice(PIECES) + lines[row][place:]
    return b"\n".join(lines)


def _lines(rng: random.Random, content: bytes) -> bytes:
    """Lines of other formats, lines that are gone, written twice or shuffled."""
    lines = _lines_of(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        action, place = rng.randrange(6), rng.randrange(len(lines) + 1)
        if action <= 2:
            lines.insert(place, rng.choice(LINES))
        elif action == 3:
            lines[min(place, len(lines) - 1)] = rng.choice(LINES)
        elif action == 4:
            rng.shuffle(lines)
        else:
            lines += lines * rng.choice((1, 2, 300))
        lines = lines[:3000]
    return b"\n".join(lines)[:MOST_BYTES]


def _separators(rng: random.Random, content: bytes) -> bytes:
    """Another separator everywhere, brackets or quotes around lines."""
    old, new = rng.choice((
        (b",", b";"), (b",", b" "), (b",", b"\t"), (b",", b", "), (b" ", b","), (b" ", b"  "), (b",", b""), (b"\n", b"\r"), (b"\n", b""), (b"\n", b",\n"), (b"\n", b"\n\n"),
        (b'"', b""), (b'"', b'""'), (b"[[", b"["), (b"]]", b"]"), (b"u'", b"'"), (b"x:", b"X:"), (b"\n", b" "), (b",", b".,"), (b"<segs>", b"<pts>"), (b"#", b""),
    ))
    return content.replace(old, new)


def _far(rng: random.Random, content: bytes) -> bytes:
    """All numbers moved, scaled or made shares of the picture's sides."""
    scale, shift = rng.choice(((1, 1000), (1, -1000), (1000, 0), (1e5, 0), (0.01, 0), (-1, 0), (0, 0), (0, 7), (1, 0.5), (1e9, 0), (1e200, 0)))
    return _NUMBER.sub(lambda found: f"{float(found[0][:300]) * scale + shift:g}".encode(), content[:20000])


LINE_DAMAGE: dict[str, Damage] = {
    "words: numbers": _number,
    "words: columns": _columns,
    "words: odd letters": _pieces,
    "words: lines": _lines,
    "words: separators": _separators,
    "words: moved": _far,
}


def _characters(rng: random.Random, content: bytes) -> bytes:
    """Corners and counts of characters in a chars_NAME.json."""
    try:
        tree = json.loads(content)
        word = rng.choice(tree["words"])
        chars = word["characters"]
        corner = rng.choice(rng.choice(chars))
    except (ValueError, RecursionError, LookupError, TypeError):  # damaged before
        return content
    action = rng.randrange(8)
    if action == 0:
        corner[rng.randrange(2)] = rng.choice((*JSON_NUMBERS, *OTHERS, "1", "x"))
    elif action == 1:
        corner.append(1)
    elif action == 2:
        chars.pop()
    elif action == 3:
        chars.extend(chars * rng.choice((1, 200)))
    elif action == 4:
        word["characters"] = rng.choice(OTHERS)
    elif action == 5:
        word["text"] = rng.choice((*OTHERS, 5, "", "\ud800", "x" * 70000))
    elif action == 6:
        rng.shuffle(tree["words"])
    else:
        chars[rng.randrange(len(chars))] = rng.choice(([], [[1, 2]], [[1, 2, 3, 4]], [1, 2, 3, 4, 5, 6, 7, 8], "abc", {"quad": [1]}, None, [[0, 0]] * 4))
    return dump(tree)


CHARACTER_DAMAGE: dict[str, Damage] = {"json: characters": _characters}
