"""Characters that are known beside the words: our own chars_NAME.json, and the segmentation files of ICDAR 2013 (NAME_GT.txt)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.data.coco_values import MOST_PIXELS
from finetune.data.file_listing import decode_text, fault_and_remedy, files_with, read_bytes
from finetune.data.findings import Findings
from finetune.data.kinds import CHARS_UNMATCHED, CHARS_UNREADABLE
from finetune.data.text.pairs import TextPair
from finetune.data.text.raw import RawWords, rectangle

# red, green, blue and centre of a character, then its rectangle and the character in quotes
_ROW = re.compile(r'\s*#?\s*(?:-?\d+(?:\.\d+)?\s+){5}(-?\d{1,9}(?:\.\d+)?)\s+(-?\d{1,9}(?:\.\d+)?)\s+(-?\d{1,9}(?:\.\d+)?)\s+(-?\d{1,9}(?:\.\d+)?)\s+"(.*)"\s*')
_INSIDE = 0.5  # share of a group of characters that must lie in its word
_SAME = 0.5  # IoU of the rectangles around a word of both files
Group = tuple[NDArray[np.float64], str]


def characters_in(folder: Path) -> dict[str, Path]:
    """Files of characters in a folder, by the stem of their picture."""
    found = {file.stem[6:]: file for file in files_with(folder, ".json") if file.stem.startswith("chars_")}
    return found | {file.stem[:-3]: file for file in files_with(folder, ".txt") if file.stem.endswith("_GT")}


def add_characters(words: RawWords, pair: TextPair, findings: Findings) -> RawWords:
    """The words with their characters, where there is a file of them."""
    if pair.characters is None or not words.total:
        return words
    try:
        groups = _json_groups(pair.characters) if pair.characters.suffix.lower() == ".json" else _segmentation_groups(pair.characters)
    except DataError as error:
        fault, remedy = fault_and_remedy(error, pair.characters)
        findings.add(CHARS_UNREADABLE, pair.characters, value=f"({fault})", remedy=remedy, image=pair.picture)
        return words
    in_order = pair.characters.suffix.lower() == ".json" and [text for _, text in groups] == _expected(words, groups)
    owner = np.arange(len(groups)) if in_order else _owners(words, groups)
    chars: list[NDArray[np.float64]] = [np.zeros((0, 4, 2)) for _ in range(words.total)]
    for (quads, text), row in zip(groups, owner, strict=True):
        if row < 0:
            findings.add(CHARS_UNMATCHED, pair.characters, value=f"({text[:40]!r})", image=pair.picture, box=_box(quads.reshape(-1, 2)))
        else:
            chars[row] = np.concatenate([chars[row], quads])
    return words._replace(char_counts=np.array([len(part) for part in chars], np.int64), char_quads=np.concatenate(chars))


def _expected(words: RawWords, groups: list[Group]) -> list[str]:
    """The texts that groups have which stand in the order of the words; an ignored word has no text of its own."""
    if len(groups) != words.total:
        return []
    return [text if skip else own for own, skip, (_, text) in zip(words.texts, words.ignore.tolist(), groups, strict=True)]


def _json_groups(file: Path) -> list[Group]:
    """Quads [k, 4, 2] and text of every word of a chars_NAME.json."""
    try:
        content = json.loads(decode_text(read_bytes(file)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: no JSON; make it again, or take it out") from error
    words = content.get("words") if isinstance(content, dict) else None
    if not isinstance(words, list):
        raise DataError(f"{file}: has no list of words; make it again, or take it out")
    groups = []
    for number, word in enumerate(words):
        quads = _as_quads(word.get("characters") if isinstance(word, dict) else None)
        if quads is None:
            raise DataError(f"{file}: word {number} has no usable characters; each needs four corners")
        if len(quads):
            groups.append((quads, str(word.get("text", ""))))
    return groups


def _as_quads(value: Any) -> NDArray[np.float64] | None:
    try:
        quads = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if quads.size == 0 and isinstance(value, list):
        return np.zeros((0, 4, 2))
    return quads if quads.ndim == 3 and quads.shape[1:] == (4, 2) and bool((np.abs(quads) < MOST_PIXELS).all()) else None


def _segmentation_groups(file: Path) -> list[Group]:
    """Rectangles and text of every group of lines (the characters of a word) of a NAME_GT.txt; blanks have no rectangle."""
    groups: list[Group] = []
    quads: list[NDArray[np.float64]] = []
    letters: list[str] = []
    for number, line in enumerate([*decode_text(read_bytes(file)).splitlines(), ""], start=1):
        if not line.strip():
            if quads:
                groups.append((np.stack(quads), "".join(letters)))
            quads, letters = [], []
        elif (match := _ROW.fullmatch(line.lstrip("\ufeff"))) is None:
            raise DataError(f'{file}: line {number} is no character; lines are: red green blue x y left top right bottom "character"')
        elif match[5].strip():
            quads.append(rectangle(*(float(match[side]) for side in range(1, 5))))
            letters.append(match[5])
    return groups


def _owners(words: RawWords, groups: list[Group]) -> NDArray[np.int64]:
    """[groups] the word that each group of characters belongs to, or -1: the one of the same rectangle, else the smallest that holds most of it."""
    owner = np.full(len(groups), -1, np.int64)
    low, high = words.quads.min(1), words.quads.max(1)
    area = np.maximum((high - low).prod(1), 1e-9)
    taken = np.zeros(words.total, np.bool_)
    for number, (quads, _) in enumerate(groups):
        first, last = quads.reshape(-1, 2).min(0), quads.reshape(-1, 2).max(0)
        own = max(float((last - first).prod()), 1e-9)
        shared = np.maximum(np.minimum(high, last) - np.maximum(low, first), 0).prod(1)
        overlap = np.where(taken, -1.0, shared / (area + own - shared))
        best = int(overlap.argmax())
        if overlap[best] < _SAME:
            inside = (shared >= _INSIDE * own) & ~taken
            best = int(np.where(inside, area, np.inf).argmin()) if inside.any() else -1
        owner[number] = best
        if best >= 0:
            taken[best] = True
    return owner


def _box(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    (x1, y1), (x2, y2) = points.min(0).tolist(), points.max(0).tolist()
    return x1, y1, x2, y2
