"""Reader of SynthText's gt.mat (arXiv:1604.06646): words and characters of 800,000 pictures in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.data.coco_values import MOST_PIXELS, is_writable
from finetune.data.file_listing import fault_and_remedy, is_file
from finetune.data.findings import Findings, name_some
from finetune.data.kinds import ANNOTATIONS_UNREADABLE, CHARS_UNREADABLE, IMAGE_ENTRY_BROKEN, PICTURE_MISSING, WORD_UNREADABLE
from finetune.data.raw import RawImage
from finetune.data.text.mat_file import read_mat
from finetune.data.text.raw import RawText, RawWords
from finetune.data.text.sources import TextSource

_PARTS = ("imnames", "wordBB", "charBB", "txt")
_NO_WORD = "write its corners as numbers [2, 4, words], or take it out"


def read_synthtext(source: TextSource, findings: Findings, *, need_images: bool = True) -> RawText:
    """Read words with their characters, in the order of the file.

    Args:
        source: The file, and the folders below which its pictures lie.
        findings: Told of pictures that are missing (a fault), of words without usable corners, which are left out, and of words whose letters
            and characters differ in number, which then have no characters.
        need_images: Whether a missing picture is a fault.
    """
    raw, seen = RawText(), set[str]()
    for number, (name, words, chars, texts) in enumerate(zip(*_columns(source.place, findings), strict=True), 1):
        place, relative = f"{source.place.name}#{number}", _name(name)
        if relative is None:
            findings.fault(IMAGE_ENTRY_BROKEN, source.place, place)
            continue
        path = next((folder / relative for folder in source.image_dirs if is_file(folder / relative)), None)
        if path is None and need_images:
            findings.fault(PICTURE_MISSING, source.place, value=f"{relative} (looked in {name_some([str(folder) for folder in source.image_dirs])})")
            continue
        image_id = Path(relative).with_suffix("").as_posix()
        image_id = relative if image_id in seen else image_id
        seen.add(image_id)
        raw.images.append(RawImage(image_id, path or source.image_dirs[0] / relative, (0, 0), source.place))
        raw.words.append(_words(words, chars, texts, place, source.place, findings))
    findings.raise_faults()
    return raw


def _columns(file: Path, findings: Findings) -> list[NDArray[Any]]:
    """What the file says of each picture, part by part; nothing where it cannot be read, which is a fault."""
    try:
        found = read_mat(file, _PARTS)
        if len(found) < len(_PARTS):
            raise DataError(f"{file}: has no {' and no '.join(part for part in _PARTS if part not in found)}; is it the ground truth of another data set?")
        columns = [np.asarray(found[part]).reshape(-1) for part in _PARTS]
        counts = {part: len(column) for part, column in zip(_PARTS, columns, strict=True)}
        if len({*counts.values()}) > 1:
            raise DataError(f"{file}: {', '.join(f'{part} has {count}' for part, count in counts.items())} entries, one for each picture is wanted; copy it again")
    except DataError as error:
        fault, remedy = fault_and_remedy(error, file)
        findings.fault(ANNOTATIONS_UNREADABLE, file, value=fault, remedy=remedy)
        findings.raise_faults()
        return [np.zeros(0)] * len(_PARTS)
    return columns


def _name(value: Any) -> str | None:
    """The path of a picture; None where it is no text that a file can be named with."""
    array = np.asarray(value).reshape(-1)
    name = str(array[0]) if len(array) and array.dtype.kind == "U" else ""
    return name if Path(name).name not in ("", "..") and is_writable(name) else None


def _words(words: Any, chars: Any, texts: Any, place: str, file: Path, findings: Findings) -> RawWords:
    quads, char_quads = _quads(words), _quads(chars)
    if quads is None:
        findings.add(WORD_UNREADABLE, file, place, "(all words of the picture: wordBB is no [2, 4, words])", remedy=_NO_WORD)
        quads, char_quads, texts = np.zeros((0, 4, 2)), np.zeros((0, 4, 2)), ()
    letters = [word for text in np.asarray(texts).reshape(-1) for word in str(text).split()]
    counts = np.array([len(word) for word in letters], np.int64)
    if char_quads is None or len(letters) != len(quads) or counts.sum() != len(char_quads) or not _near(char_quads).all():
        found = "unusable" if char_quads is None or not _near(char_quads).all() else len(char_quads)
        findings.add(CHARS_UNREADABLE, file, place, f"({len(quads)} words and {found} characters, but {len(letters)} words of {int(counts.sum())} letters in its text)")
        counts, char_quads = np.zeros(len(quads), np.int64), np.zeros((0, 4, 2))
        letters = [*letters, *[""] * len(quads)][: len(quads)]
    good = _near(quads)
    rows = np.flatnonzero(good).tolist()
    for row in np.flatnonzero(~good).tolist():
        findings.add(WORD_UNREADABLE, file, f"{place}.{row + 1}", f"({letters[row][:20]!r}: corners that are no pixels)", remedy=_NO_WORD)
    none = np.zeros((0, 2))
    return RawWords(
        quads[good],
        (none,) * len(rows),
        tuple(letters[row] for row in rows),
        np.zeros(len(rows), np.bool_),
        tuple(f"{place}.{row + 1}" for row in rows),
        counts[good],
        char_quads[np.repeat(good, counts)],
    )


def _near(quads: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[N] whether all corners are finite and pixels of some picture."""
    return np.asarray((np.abs(quads) < MOST_PIXELS).all((1, 2)), np.bool_)


def _quads(value: Any) -> NDArray[np.float64] | None:
    """[2, 4] or [2, 4, N] of the file as [N, 4, 2]; None where it is something else."""
    array = np.asarray(value)
    if not array.size:
        return np.zeros((0, 4, 2))
    if array.dtype.kind not in "iuf" or array.shape[:2] != (2, 4) or array.ndim > 3:
        return None
    return array.astype(np.float64).reshape(2, 4, -1).transpose(2, 1, 0)
