"""Lines of ICDAR ground truth: rectangles or quads, commas or blanks, with or without the column of the script, quoted or plain text.

The words of one folder are written in one way, so the way is found by looking at all lines of a folder, and a line that does not fit
it is a fault. Reading each line by itself would take a quad that has lost a number for a rectangle with an odd text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.data.coco_values import MOST_PIXELS
from finetune.data.text.raw import IGNORED_TEXT, rectangle

# of ICDAR 2017 and 2019 MLT, in whatever case
SCRIPTS = ("arabic", "bangla", "bengali", "chinese", "devanagari", "hindi", "japanese", "korean", "latin", "mixed", "none", "symbols")
_NUMBER = r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?"
_COMMAS = re.compile(rf"\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*(?=,|$)")
_BLANKS = re.compile(rf"\s*{_NUMBER}(?:\s+{_NUMBER})*(?=\s|$)")
_QUOTED = re.compile(r'\s*"(.*)"\s*', re.DOTALL)
_MOST_SAMPLED = 20_000  # lines that are looked at to find the way in which a folder is written


class LineStyle(NamedTuple):
    """How the lines of a folder are written: separator "," or " ", 4 or 8 numbers, whether a script comes before the text."""

    separator: str = ","
    numbers: int = 8
    script: bool = False

    @property
    def words(self) -> str:
        """For messages: "x1,y1,x2,y2,x3,y3,x4,y4,text"."""
        names = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4") if self.numbers == 8 else ("left", "top", "right", "bottom")
        return self.separator.join((*names, *(["script"] if self.script else []), "text"))


class Word(NamedTuple):
    """What a line says: corners [4, 2], text, whether it is ignored."""

    quad: NDArray[np.float64]
    text: str
    ignore: bool


def style_of(lines: Iterable[str]) -> LineStyle | None:
    """The way in which most lines are written; None where none of them looks like a word."""
    votes: dict[LineStyle, int] = {}
    for line in _first(lines):
        style = _own_style(line)
        if style is not None:
            votes[style] = votes.get(style, 0) + 1
    if not votes:
        return None
    separator, numbers, _ = max(votes, key=lambda style: votes[style])
    plain, with_script = (votes.get(LineStyle(separator, numbers, script), 0) for script in (False, True))
    return LineStyle(separator, numbers, with_script > 4 * plain)


def parse_line(line: str, style: LineStyle) -> Word | str:
    """The word of a line, or what is wrong with the line."""
    fields, rest = split_numbers(line, style.separator)
    if len(fields) < style.numbers:
        return f"{len(fields)} number{'s' * (len(fields) != 1)} where {style.numbers} are needed"
    # a transcription may begin with numbers
    if len(fields) > style.numbers:
        rest = _after(line, style)
    values = np.array([float(field) for field in fields[: style.numbers]])
    if not (np.abs(values) < MOST_PIXELS).all():
        return "a number that is no pixel"
    text = rest or ""
    if style.script and text.partition(",")[0].strip().lower() in SCRIPTS:
        text = text.partition(",")[2]
    text = unquoted(text)
    quad = values.reshape(4, 2) if style.numbers == 8 else rectangle(*values.tolist())
    return Word(quad, text, text.strip() == IGNORED_TEXT)


def split_numbers(line: str, separator: str) -> tuple[list[str], str | None]:
    """The numbers at the head of a line, and what follows after the next separator; None where nothing does."""
    match = (_COMMAS if separator == "," else _BLANKS).match(line)
    if match is None:
        return [], line
    fields = match[0].split("," if separator == "," else None)
    rest = line[match.end() :]
    if separator == ",":
        return [field.strip() for field in fields], rest[1:] if rest.startswith(",") else None
    return fields, rest.strip() or None


def unquoted(text: str) -> str:
    """Text without the quotes around it; inside them, backslashes protect quotes and backslashes, as in ICDAR 2013."""
    match = _QUOTED.fullmatch(text)
    return re.sub(r'\\(["\\])', r"\1", match[1]) if match else text


def _own_style(line: str) -> LineStyle | None:
    """The way in which one line is written; of ambiguous ones the more usual."""
    for separator in (",", " "):
        fields, rest = split_numbers(line, separator)
        if len(fields) >= 8:
            script = rest is not None and separator == "," and "," in rest and rest.partition(",")[0].strip().lower() in SCRIPTS
            return LineStyle(separator, 8, script)
        if len(fields) >= 4 and (rest is not None or len(fields) == 4):
            return LineStyle(separator, 4, False)
    return None


def _after(line: str, style: LineStyle) -> str:
    """What follows the numbers of the corners, other numbers included."""
    parts = line.split(style.separator, style.numbers) if style.separator == "," else line.split(None, style.numbers)
    return parts[style.numbers]


def _first(lines: Iterable[str]) -> Iterable[str]:
    seen = 0
    for line in lines:
        if line.strip():
            seen += 1
            yield line
        if seen >= _MOST_SAMPLED:
            return
