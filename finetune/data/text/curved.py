"""Readers of the curved sets, whose words have outlines: TotalText (text or MATLAB files) and CTW1500 (XML, or 14 points a line)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.data.file_listing import fault_and_remedy
from finetune.data.findings import Findings
from finetune.data.kinds import ANNOTATIONS_UNREADABLE, WORD_UNREADABLE
from finetune.data.raw import RawImage
from finetune.data.text.icdar import lines_of, read_text
from finetune.data.text.icdar_lines import split_numbers
from finetune.data.text.mat_file import read_mat
from finetune.data.text.pairs import TextPair
from finetune.data.text.raw import RawText, RawWord, words_of
from finetune.data.voc_xml import parse_any_xml

_START = re.compile(r"^[ \t]*x\s*:\s*\[\[", re.MULTILINE)
_TOTALTEXT = re.compile(r"\s*x\s*:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\]\s*,\s*ornt:\s*\[(?P<ornt>.*?)\]\s*,\s*transcriptions:\s*\[(?P<text>.*)\]\s*", re.DOTALL)
_LEAST_CORNERS = 3
_CTW_MARK = "####"  # before the transcription in CTW1500's text files
_FAR = 1e6  # pixels; numbers beyond are no corners

Words = Iterator[tuple[str, NDArray[np.float64] | str, str, bool]]  # place, outline or what is wrong with it, text, ignore


def read_totaltext(pairs: Sequence[TextPair], findings: Findings) -> RawText:
    """Read TotalText's ground truth, ``poly_gt_img1.txt`` or ``.mat``; "#" is a word to ignore."""

    def words(pair: TextPair) -> Words:
        return _totaltext_mat(pair.file) if pair.file.suffix.lower() == ".mat" else _totaltext_text(pair, findings)

    return _read(pairs, findings, words, "x: [[...]], y: [[...]], ornt: [...], transcriptions: [...]")


def read_ctw1500(pairs: Sequence[TextPair], findings: Findings) -> RawText:
    """Read CTW1500's ground truth: XML of the training set, text files of the test set; "###" is a word to ignore."""
    return _read(pairs, findings, lambda pair: _ctw_xml(pair.file) if pair.file.suffix.lower() == ".xml" else _ctw_text(pair, findings), "x1,y1,...,x14,y14,####text, or <segs> in XML")


def _read(pairs: Sequence[TextPair], findings: Findings, words: Callable[[TextPair], Words], form: str) -> RawText:
    raw = RawText()
    for pair in pairs:
        rows = []
        try:
            for place, outline, text, ignore in words(pair):
                if isinstance(outline, str):
                    findings.add(WORD_UNREADABLE, pair.file, place, f"({outline})", remedy=f"write it as {form}", image=pair.picture)
                else:
                    rows.append(RawWord(outline, text, ignore, place))
        except DataError as error:
            fault, remedy = fault_and_remedy(error, pair.file)
            findings.fault(ANNOTATIONS_UNREADABLE, pair.file, value=fault, remedy=remedy, image=pair.picture)
            continue
        raw.images.append(RawImage(pair.image_id, pair.picture, (0, 0), pair.file))
        raw.words.append(words_of(rows))
    findings.raise_faults()
    return raw


def _totaltext_text(pair: TextPair, findings: Findings) -> Words:
    text = "\n".join(lines_of(read_text(pair, findings) or "")).lstrip("\ufeff")
    starts = [*(found.start() for found in _START.finditer(text)), len(text)]
    if head := text[: starts[0]].strip(" \t\n\0\x1a"):
        yield f"{pair.file.name}#head", f"it is no word: {head[:40]!r}", "", False
    for number, (start, end) in enumerate(pairwise(starts), 1):
        place, found = f"{pair.file.name}#{number}", _TOTALTEXT.fullmatch(text, start, end)
        if found is None:
            yield place, f"it is no word: {text[start:end].strip()[:40]!r}", "", False
        else:
            yield place, _outline(_numbers(found["x"]), _numbers(found["y"])), _plain(found["text"]), _is_hash(_plain(found["text"])) or _is_hash(_plain(found["ornt"]))


def _totaltext_mat(file: Path) -> Words:
    found = read_mat(file, ("polygt", "gt"))
    rows = np.atleast_2d(np.asarray(found.get("polygt", found.get("gt"))))
    for number, row in enumerate(rows, 1):
        if len(row) < 5:
            yield f"{file.name}#{number}", f"it has {len(row)} fields, not x, y and text", "", False
            continue
        text, kind = (_mat_text(row[column]) if len(row) > column else "" for column in (4, 5))
        yield f"{file.name}#{number}", _outline(_mat_numbers(row[1]), _mat_numbers(row[3])), text, _is_hash(text) or _is_hash(kind)


def _ctw_xml(file: Path) -> Words:
    for number, box in enumerate(parse_any_xml(file).iter("box"), 1):
        text = (box.findtext("label") or "").strip()
        values = _numbers((box.findtext("segs") or box.findtext("pts") or "").replace(",", " "))
        yield f"{file.name}#{number}", _outline(values[0::2], values[1::2]), text, text == "###"


def _ctw_text(pair: TextPair, findings: Findings) -> Words:
    for number, line in enumerate(lines_of(read_text(pair, findings) or ""), 1):
        if not line.strip(" \t\ufeff"):
            continue
        fields, rest = split_numbers(line.lstrip("\ufeff"), ",")
        values = [float(field) for field in fields]
        if len(values) == 32:  # a rectangle, then 14 points counted from its corner
            values = [value + values[place % 2] for place, value in enumerate(values[4:])]
        text = (rest or "").strip().removeprefix(_CTW_MARK)
        yield f"{pair.file.name}#{number}", _outline(np.array(values[0::2]), np.array(values[1::2])), text, _is_hash(text) or (rest or "").strip() == "###"


def _outline(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64] | str:
    """[k, 2] corners, or why these are none."""
    if len(x) != len(y):
        return f"it has {len(x)} x and {len(y)} y"
    if len(x) < _LEAST_CORNERS:
        return f"an outline has at least {_LEAST_CORNERS} corners, this one {len(x)}"
    points = np.stack([x, y], axis=1).astype(np.float64)
    if not np.isfinite(points).all() or np.abs(points).max() > _FAR:
        return "its corners are not finite, or millions of pixels away"
    return points if len(points) > _LEAST_CORNERS else np.concatenate([points, points[-1:]])


def _numbers(text: str) -> NDArray[np.float64]:
    try:
        return np.array([float(word) for word in text.replace(",", " ").split()], np.float64)
    except ValueError:
        return np.zeros(0)


def _plain(text: str) -> str:
    """A Python literal such as u'word' as the word."""
    return re.sub(r"^u?(['\"])(.*)\1$", r"\2", text.strip(), flags=re.DOTALL)


def _is_hash(text: str) -> bool:
    return bool(text) and set(text) == {"#"}


def _mat_numbers(value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.zeros(0)


def _mat_text(value: Any) -> str:
    array = np.asarray(value).reshape(-1)
    return str(array[0]) if len(array) else ""
