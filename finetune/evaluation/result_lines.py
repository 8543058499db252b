"""Lines of ICDAR ground truth and result files: what the official scripts take, and in words why they would refuse a line.

The official scripts take whole numbers only, spaces around them, a byte order mark, either line ending and empty lines; they refuse
fractions, missing or further columns, lines of blanks, and corners that do not run clockwise. ``strict=False`` bends what can be bent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from backbones.errors import DataError
from finetune.data.findings import shorten

_WHOLE, _FROM_0 = r"(-?[0-9]+)", r"([0-9]+)"
_POINTS = {
    "quad": r"\s*,\s*".join([_WHOLE] * 8),
    "ltrb": r"\s*,\s*".join([_WHOLE, _WHOLE, _FROM_0, _FROM_0]),
}
_CONFIDENCE = r"\s*,\s*([0-1].?[0-9]*)"
_ENDS = {"": r"\s*$", "confidence": _CONFIDENCE + r"\s*$", "text": r"\s*,(.*)$"}
_COUNT = {"quad": 8, "ltrb": 4}
_FORMAT = {"quad": "x1,y1,x2,y2,x3,y3,x4,y4", "ltrb": "left,top,right,bottom", "polygon": "x1,y1,...,xn,yn"}
_MOST = 2**31 - 1
_TURNED = "the corners do not run clockwise"
SCRIPTS = frozenset({"Arabic", "Latin", "Chinese", "Japanese", "Korean", "Bangla", "Hindi", "Symbols", "Mixed", "None"})


@dataclass(frozen=True)
class LineFormat:
    """How the lines of a file are read.

    Args:
        shape: "quad", "ltrb" (left, top, right, bottom) or "polygon".
        end: What follows the coordinates: "" (nothing), "confidence" or "text".
        strict: Take what the official scripts take, nothing else.
    """

    shape: str
    end: str
    strict: bool = True

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a line must match."""
        comma = r"\s*,?" if self.shape == "ltrb" and not self.end else ""
        return re.compile(r"^\s*" + _POINTS[self.shape] + comma + _ENDS[self.end])

    @property
    def words(self) -> str:
        """The format for people."""
        return _FORMAT[self.shape] + {"": "", "confidence": ",confidence", "text": ",transcription"}[self.end]


@dataclass(frozen=True)
class TextLines:
    """The words of one file, in its order: coordinates x1, y1, x2, y2 ... of corners, confidences (1 where none), texts, line numbers from 1.

    ``bent`` counts per kind of fault the lines that only ``strict=False`` takes.
    """

    points: list[list[float]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    bent: dict[str, int] = field(default_factory=dict)


def split_lines(content: bytes) -> list[tuple[int, str]]:
    """Numbered lines that are not empty, without carriage returns and byte order mark; what is not UTF-8 becomes a replacement mark."""
    text = content.decode("utf-8-sig", errors="replace").replace("\r", "")
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line]


def read_lines(name: str, content: bytes, form: LineFormat) -> TextLines:
    """The words of one file.

    Args:
        name: The file, for messages.
        content: Its bytes.
        form: The format of its lines.

    Raises:
        DataError: A line is not in the format; the message has file, line, what is wrong and what to do.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{name} is UTF-16: the official scripts read UTF-8; save it as UTF-8")
    found = TextLines()
    if form.shape == "polygon":
        _read_polygons(name, content, form, found)
        return found
    match, count = form.pattern.match, _COUNT[form.shape]
    for number, line in split_lines(content):
        taken = match(line)
        groups: Sequence[str] = taken.groups() if taken else ()
        points = list(map(float, groups[:count]))
        confidence, fault = 1.0, None if taken else _format_fault(line, form)
        if taken and form.end == "confidence":
            try:
                confidence = float(groups[count])
            except ValueError:
                fault = f"the confidence {shorten(groups[count], 40)!r} is not a number"
        fault = fault or _shape_fault(points, form.shape)
        if fault and fault.startswith(_TURNED) and (form.end == "text" or not form.strict):
            found.bent[_TURNED] = found.bent.get(_TURNED, 0) + 1  # a polygon is the same in either direction
        elif fault and not form.strict:
            points, confidence = _bend(name, number, line, form, found, fault)
        elif fault:
            raise DataError(f"{name}, line {number}: {shorten(repr(line), 80)}: {fault}")
        found.points.append(points)
        found.confidences.append(confidence)
        found.texts.append(_unquoted(groups[count]) if form.end == "text" and taken else "")
        found.numbers.append(number)
    return found


def _shape_fault(points: Sequence[float], shape: str) -> str | None:
    """What the official scripts have against coordinates that are written well."""
    if not points:
        return None
    if max(points) > _MOST or min(points) < -_MOST:
        return f"a coordinate lies outside +-{_MOST}: write pixels of the original picture"
    if shape == "ltrb":
        left, top, right, bottom = points
        if right < left or bottom < top:
            return "right lies left of left, or bottom above top: write left,top,right,bottom (not width and height)"
        return None
    x1, y1, x2, y2, x3, y3, x4, y4 = points
    turn = (x2 - x1) * (y2 + y1) + (x3 - x2) * (y3 + y2) + (x4 - x3) * (y4 + y3) + (x1 - x4) * (y1 + y4)
    return f"{_TURNED} (y grows downwards), which the official script refuses: write them in the other direction" if turn > 0 else None


def _format_fault(line: str, form: LineFormat) -> str:
    """Why a line does not match, and the remedy."""
    wanted = f"the official script takes {form.words}"
    fields = line.split(",")
    numbers = [_number(part) for part in fields]
    count = _COUNT[form.shape]
    if not line.strip():
        return f"a line of blanks, which the official script refuses; {wanted}: remove the line"
    if len(fields) == 1 and len(line.split()) >= count:
        return f"values are parted by blanks; {wanted}: write commas"
    if all(number is not None for number in numbers[:count]) and len(fields) >= count:
        if any(not re.fullmatch(r"\s*-?[0-9]+\s*", part) for part in fields[:count]):
            return f"coordinates with fractions; {wanted} in whole pixels: cut the fractions off as int() does, or pass --strict false"
        if form.shape == "ltrb" and (fields[2].strip().startswith("-") or fields[3].strip().startswith("-")):
            return f"right or bottom is negative, which the official script refuses: leave out words outside the picture; {wanted}"
        extra = len(fields) - count
        if form.end == "confidence":
            return f"{extra} values after the coordinates, or a confidence not in 0..1; {wanted}"
        more = "; where that is a confidence, pass --confidences" if extra == 1 and numbers[-1] is not None else ""
        if form.shape == "ltrb" and len(fields) >= 8:
            more = ": these look like quads; write upright rectangles, or score quads with icdar2015-iou and a truth of quads"
        return f"{extra} more {'value' if extra == 1 else 'values'} than coordinates; {wanted} and nothing else{more}"
    if form.shape == "quad" and 4 <= len(fields) < 8:
        return f"{len(fields)} values: these look like rectangles left,top,right,bottom; {wanted}, all four corners, because the truth has quads"
    return f"not a line of the format; {wanted} in whole pixels"


def _bend(name: str, number: int, line: str, form: LineFormat, found: TextLines, fault: str) -> tuple[list[float], float]:
    """Coordinates of a line that the official scripts refuse."""
    count = _COUNT[form.shape]
    values = [_number(part) for part in re.split(r"[,\s]+", line.strip().rstrip(","))]
    points = [float(int(value)) for value in values[:count] if value is not None and abs(value) <= _MOST]
    if len(points) < count:
        raise DataError(f"{name}, line {number}: {shorten(repr(line), 80)}: {fault}")
    rest = [value for value in values[count:] if value is not None]
    kind = re.split("[;:]", fault)[0]
    found.bent[kind] = found.bent.get(kind, 0) + 1
    return points, rest[0] if form.end == "confidence" and rest else 1.0


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _unquoted(text: str) -> str:
    """A transcription without the quotes and escapes that ICDAR 2013 writes."""
    quoted = re.match(r'^\s*"(.*)"\s*$', text)
    return quoted[1].replace("\\\\", "\\").replace('\\"', '"') if quoted else text


def _read_polygons(name: str, content: bytes, form: LineFormat, found: TextLines) -> None:
    """Any even number of coordinates, fractions allowed, in either direction; CTW1500's four marks before a text are taken off."""
    for number, line in split_lines(content):
        fields = line.split(",")
        values: list[float] = []
        for part in fields:
            value = _number(part)
            if value is None:
                break
            values.append(value)
        rest = fields[len(values) :]
        confidence = values.pop() if form.end == "confidence" and not rest and len(values) % 2 else 1.0
        if form.end == "text" and len(values) % 2:
            values.pop()
            rest = fields[len(values) :]
        if len(values) % 2 or len(values) < 6 or (form.end != "text" and any(part.strip() for part in rest)):
            raise DataError(f"{name}, line {number}: {shorten(repr(line), 80)}: not a line of the format {form.words}, with three corners or more, coordinates in pairs")
        if max(map(abs, values)) > _MOST:
            raise DataError(f"{name}, line {number}: {shorten(repr(line), 80)}: a coordinate lies outside +-{_MOST}: write pixels of the original picture")
        text = ",".join(rest).strip()
        found.points.append(values)
        found.confidences.append(confidence)
        found.texts.append(_unquoted(text[4:] if text.startswith("####") else text))
        found.numbers.append(number)
