"""Checks of words that need no pixels: quick enough to run before every training. Numpy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.data.findings import NAMED, Findings, Kind
from finetune.data.kinds import (
    CHARS_COUNT,
    CHARS_OUTSIDE,
    WORD_ANTICLOCKWISE,
    WORD_CROSSED,
    WORD_EMPTY,
    WORD_NO_TEXT,
    WORD_OFF,
    WORD_OUTSIDE,
    WORD_TINY,
    WORD_TWICE,
    WORDS_IGNORED,
)
from finetune.data.text.quads import letter_sizes, mend
from finetune.data.types import TextSplit

LEAST_LETTERS = 6.0  # pixels at the input size: lower words are ignored in training
_BEYOND = 3.0  # pixels beyond the picture that are rounding, or the drawer's hand
_CHAR_INSIDE = 0.5  # share of the rectangle around a character that must lie in that of its word

Describe = Callable[[int], str]


def check_words(split: TextSplit, files: Sequence[Path], scales: NDArray[np.float64], findings: Findings, *, thorough: bool = False) -> None:
    """Note words whose corners or size are wrong or odd.

    Args:
        split: Words as written.
        files: The annotation file of each picture.
        scales: [N] input pixels for a pixel of each picture, as evaluation has it.
        findings: Gets what was found; a strict sink gets the first few of a kind and the count.
        thorough: With the checks that are no cause to stop and look.
    """
    findings.split = split.name
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    hw = split.original_hw[image_of].astype(np.float64)
    mended = mend(split.quads)
    low, high = split.quads.min(1), split.quads.max(1)
    off = (high <= 0).any(1) | (low >= hw[:, ::-1]).any(1)
    outside = ((low < -_BEYOND) | (high > hw[:, ::-1] + _BEYOND)).any(1) & ~off
    empty = mended.empty
    real = ~split.ignore & ~off & ~empty

    def note(kind: Kind, mask: NDArray[np.bool_], describe: Describe) -> None:
        note_words(findings, kind, np.flatnonzero(mask), split, files, image_of, describe)

    note(WORD_EMPTY, empty, lambda row: quad_text(split.quads[row]))
    note(WORD_OFF, off & ~empty, lambda row: f"{quad_text(split.quads[row])} in {hw[row, 1]:g}x{hw[row, 0]:g}")
    note(WORD_CROSSED, mended.crossed, lambda row: quad_text(split.quads[row]))
    note(WORD_ANTICLOCKWISE, mended.anticlockwise, lambda row: quad_text(split.quads[row]))
    first = _first_equal(image_of, split.quads)
    note(WORD_TWICE, (first >= 0) & ~empty, lambda row: f"{quad_text(split.quads[row])}, as {split.annotation_ids[first[row]]}")
    letters = np.array([len(text) for text in split.texts], np.int64)
    heights = letter_sizes(mended.quads, letters)
    tiny = real & (heights * scales[image_of] < LEAST_LETTERS)
    note(WORD_TINY, tiny, lambda row: f"({split.texts[row][:20]!r}, {heights[row]:.3g} pixels, {heights[row] * scales[image_of[row]]:.1f} at the input size)")
    note(WORD_OUTSIDE, outside & ~split.ignore & ~empty, lambda row: f"{quad_text(split.quads[row])} in {hw[row, 1]:g}x{hw[row, 0]:g}")
    if len(split.char_quads):
        _check_characters(split, hw, letters, note)
    if thorough:
        note(WORD_NO_TEXT, real & (letters == 0), lambda row: quad_text(split.quads[row]))
        if split.ignore.sum() * 2 > len(split.ignore):
            findings.add(WORDS_IGNORED, Path(split.name), value=f"({int(split.ignore.sum()):,} of {len(split.ignore):,} words)")


def note_words(findings: Findings, kind: Kind, rows: NDArray[np.intp], split: TextSplit, files: Sequence[Path], image_of: NDArray[np.intp], describe: Describe) -> None:
    """Note rows of a split's words; a strict sink gets the first few and the count."""
    shown = rows if findings.lenient else rows[:NAMED]
    for row in shown.tolist():
        image = int(image_of[row])
        (x1, y1), (x2, y2) = split.quads[row].min(0).tolist(), split.quads[row].max(0).tolist()
        findings.add(kind, files[image], split.annotation_ids[row], describe(row), image=split.paths[image], box=(x1, y1, x2, y2))
    if not findings.lenient:
        findings.count_more(kind, len(rows) - NAMED)


def quad_text(quad: NDArray[np.float64]) -> str:
    """Corners in brackets: "(0,0 10,0 10,5 0,5)"."""
    return "(" + " ".join(f"{x:g},{y:g}" for x, y in quad.tolist()) + ")"


def _check_characters(split: TextSplit, hw: NDArray[np.float64], letters: NDArray[np.int64], note: Callable[[Kind, NDArray[np.bool_], Describe], None]) -> None:
    """Note words with characters that lie elsewhere, or that are not as many as the letters.

    Of a word that the picture's edge cuts, what lies beyond the edge counts neither way: its quad may end there while its characters go on.
    """
    counts = np.diff(split.char_offsets)
    word_of = np.repeat(np.arange(len(split.quads)), counts)
    sides = hw[:, ::-1]
    word_low, word_high = split.quads.min(1), split.quads.max(1)
    cut = ((word_low <= _BEYOND) | (word_high >= sides - _BEYOND)).any(1)
    edge_low, edge_high = np.where(cut[:, None], 0.0, -np.inf)[word_of], np.where(cut[:, None], sides, np.inf)[word_of]
    low, high = np.maximum(split.char_quads.min(1), edge_low), np.minimum(split.char_quads.max(1), edge_high)
    shared = np.maximum(np.minimum(high, word_high[word_of]) - np.maximum(low, word_low[word_of]), 0).prod(1)
    away = shared < _CHAR_INSIDE * np.maximum(high - low, 0).prod(1)
    elsewhere = np.bincount(word_of[away], minlength=len(split.quads))
    note(CHARS_OUTSIDE, (elsewhere > 0) & ~split.ignore, lambda row: f"({elsewhere[row]} of {counts[row]} characters of {split.texts[row][:20]!r})")
    written = np.array([len("".join(text.split())) for text in split.texts], np.int64)
    differ = (counts > 0) & (counts != written) & ~split.ignore & (letters > 0)
    note(CHARS_COUNT, differ, lambda row: f"({split.texts[row][:20]!r} has {counts[row]} characters)")


def _first_equal(image_of: NDArray[np.intp], quads: NDArray[np.float64]) -> NDArray[np.int64]:
    """[M] the first row of the same image with the same corners, or -1 for words that stand for themselves."""
    seen: dict[bytes, int] = {}
    first = np.full(len(quads), -1, np.int64)
    table = np.concatenate([image_of[:, None].astype(np.float64), quads.reshape(-1, 8) + 0.0], axis=1)
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    if len(unique) == len(table):
        return first
    inverse = inverse.reshape(-1)
    for row in np.flatnonzero(np.bincount(inverse)[inverse] > 1).tolist():
        start = seen.setdefault(table[row].tobytes(), row)
        first[row] = start if start != row else -1
    return first

