"""Reader of SynthText's gt.mat (arXiv:1604.06646): words and characters of 800,000 pictures in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.data.findings import Findings, name_some
from finetune.data.kinds import CHARS_UNREADABLE, PICTURE_MISSING
from finetune.data.raw import RawImage
from finetune.data.text.mat_file import read_mat
from finetune.data.text.raw import RawText, RawWords
from finetune.data.text.sources import TextSource

_PARTS = ("imnames", "wordBB", "charBB", "txt")


def read_synthtext(source: TextSource, findings: Findings, *, need_images: bool = True) -> RawText:
    """Read words with their characters, in the order of the file.

    Args:
        source: The file, and the folders below which its pictures lie.
        findings: Told of pictures that are missing (a fault), and of words whose letters and characters differ in number, which then have no characters.
        need_images: Whether a missing picture is a fault.
    """
    columns = [np.asarray(read_mat(source.place, (part,))).reshape(-1) for part in _PARTS]
    raw = RawText()
    for number, (name, words, chars, texts) in enumerate(zip(*columns, strict=False), 1):
        relative = str(np.asarray(name).reshape(-1)[0])
        path = next((folder / relative for folder in source.image_dirs if (folder / relative).is_file()), None)
        if path is None and need_images:
            findings.fault(PICTURE_MISSING, source.place, value=f"{relative} (looked in {name_some([str(folder) for folder in source.image_dirs])})")
            continue
        raw.images.append(RawImage(Path(relative).with_suffix("").as_posix(), path or source.image_dirs[0] / relative, (0, 0), source.place))
        raw.words.append(_words(words, chars, texts, f"{source.place.name}#{number}", source.place, findings))
    findings.raise_faults()
    return raw


def _words(words: Any, chars: Any, texts: Any, place: str, file: Path, findings: Findings) -> RawWords:
    quads, char_quads = _quads(words), _quads(chars)
    letters = [word for text in np.asarray(texts).reshape(-1) for word in str(text).split()]
    counts = np.array([len(word) for word in letters], np.int64)
    if len(letters) != len(quads) or counts.sum() != len(char_quads):
        findings.add(CHARS_UNREADABLE, file, place, f"({len(quads)} words and {len(char_quads)} characters, but {len(letters)} words of {int(counts.sum())} letters in its text)")
        counts, char_quads = np.zeros(len(quads), np.int64), np.zeros((0, 4, 2))
        letters = [*letters, *[""] * len(quads)][: len(quads)]
    none = np.zeros((0, 2))
    return RawWords(quads, (none,) * len(quads), tuple(letters), np.zeros(len(quads), np.bool_), tuple(f"{place}.{row}" for row in range(1, len(quads) + 1)), counts, char_quads)


def _quads(value: Any) -> NDArray[np.float64]:
    """[2, 4] or [2, 4, N] of the file as [N, 4, 2]."""
    array = np.asarray(value, np.float64)
    return array.reshape(2, 4, -1).transpose(2, 1, 0) if array.size else np.zeros((0, 4, 2))
