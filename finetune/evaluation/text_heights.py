"""What became of the words of the truth, by how high they are: which words a method misses, and in which way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from finetune.data.text.quads import sizes
from finetune.evaluation.outlines import Outlines, common_areas
from finetune.evaluation.polygon_area import areas
from finetune.evaluation.text_evaluator import TextMatches, touching_pairs
from finetune.evaluation.text_store import TextRows
from finetune.evaluation.word_fates import WORD_KINDS, Pairs, shares, word_kinds

if TYPE_CHECKING:
    from finetune.data.types import TextSplit

_EDGES = (0, 12, 20, 32, 48, 80)  # pixels of the original pictures


@dataclass(frozen=True)
class HeightRow:
    """Words of one range of heights: those that count, and how many of each of ``WORD_KINDS``.

    ``low`` and ``high`` are pixels of the original pictures, high excluded, None without end.
    """

    low: int
    high: int | None
    words: int
    found: int
    split: int
    merged: int
    low_iou: int
    missed: int


def rows_by_height(split: TextSplit, truth: Outlines, rows: TextRows, found: Outlines, matches: TextMatches) -> tuple[HeightRow, ...]:
    """Count the fates of the words that count; ranges without words are left out.

    Args:
        split: The truth.
        truth: Its outlines, as the protocol sees them.
        rows: The detected words, as they were matched.
        found: Their outlines, as the protocol sees them.
        matches: Of a protocol that pairs words with detections.
    """
    words, detections, _ = touching_pairs(split.offsets, rows.image, truth.bounds(), found.bounds())
    counted = ~matches.truth_ignored[words] & ~matches.found_ignored[detections]
    words, detections = words[counted], detections[counted]
    common = common_areas(truth, found, words, detections)
    pairs = Pairs(words, detections, *shares(common, areas(truth.padded())[words], areas(found.padded())[detections]))
    kinds = word_kinds(pairs, matches.partner, matches.truth_ignored, len(rows.image))
    place = np.digitize(sizes(split.quads).min(1), _EDGES[1:])  # of text that stands, the width is its height
    table = []
    for number, (low, high) in enumerate(zip(_EDGES, (*_EDGES[1:], None), strict=True)):
        counts = np.bincount(kinds[(place == number) & (kinds >= 0)], minlength=len(WORD_KINDS)).tolist()
        if sum(counts):
            table.append(HeightRow(low, high, sum(counts), *counts))
    return tuple(table)


def height_table(rows: tuple[HeightRow, ...]) -> Table:
    """The rows for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("word height", style="bold")
    for name in ("words", "recall", *WORD_KINDS[1:]):
        table.add_column(name, justify="right")
    for row in rows:
        span = f"{row.low} px and more" if row.high is None else f"{row.low} to {row.high} px" if row.low else f"under {row.high} px"
        table.add_row(span, *(str(v) for v in (row.words, f"{row.found / row.words:.3f}", row.split, row.merged, row.low_iou, row.missed)))
    return table


def rows_to_json(rows: tuple[HeightRow, ...]) -> list[dict[str, int | None]]:
    """Plain values."""
    return [asdict(row) for row in rows]
