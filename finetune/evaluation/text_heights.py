"""What became of the words of the truth, by how high they are: which words a method misses, and in which way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from finetune.data.text.quads import sizes
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.polygon_area import areas, intersections
from finetune.evaluation.text_evaluator import TextMatches, touching_pairs
from finetune.evaluation.text_store import TextRows

if TYPE_CHECKING:
    from finetune.data.types import TextSplit

_EDGES = (0, 12, 20, 32, 48, 80)  # pixels of the original pictures
_MOSTLY = 0.7  # share of an area that lies in the other
_HARDLY = 0.1


@dataclass(frozen=True)
class HeightRow:
    """Words of one range of heights: those that count, those found, and what became of the others.

    ``low`` and ``high`` are pixels of the original pictures, high excluded, None without end. ``merged``: one detection holds most of the
    word and at least as much else; ``pieces``: several detections lie in it; ``bounds``: detected, but not well enough for a match;
    ``unseen``: less than a tenth of it lies in any detection.
    """

    low: int
    high: int | None
    words: int
    found: int
    merged: int
    pieces: int
    bounds: int
    unseen: int


def rows_by_height(split: TextSplit, rows: TextRows, matches: TextMatches) -> tuple[HeightRow, ...]:
    """Count the fates of the words that count; ranges without words are left out.

    Args:
        split: The truth.
        rows: The detected words, as they were matched.
        matches: Of a protocol that pairs words with detections.
    """
    height = sizes(split.quads).min(1)  # of text that stands, the width
    counted = ~matches.truth_ignored
    found = counted & (matches.partner >= 0)
    merged, pieces, unseen = _misses(split, rows)
    kinds = [found, merged, pieces & ~merged, ~(merged | pieces | unseen), unseen & ~merged & ~pieces]
    fate = np.stack([kinds[0], *(kind & counted & ~found for kind in kinds[1:])])
    place = np.digitize(height, _EDGES[1:])
    table = []
    for number, (low, high) in enumerate(zip(_EDGES, (*_EDGES[1:], None), strict=True)):
        here = place == number
        if (here & counted).any():
            numbers = fate[:, here].sum(1).tolist()
            table.append(HeightRow(low, high, int((here & counted).sum()), *numbers))
    return tuple(table)


def _misses(split: TextSplit, rows: TextRows) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """For each word of the truth: merged with others, cut into pieces, not seen."""
    truth, found = Outlines.of_quads(split.quads), rows.outlines
    words, detections, _ = touching_pairs(split.offsets, rows.image, truth.bounds(), found.bounds())
    corners = found.counts[detections] if len(detections) else np.zeros(0, np.int64)
    common = np.zeros(len(words))
    for most in np.unique(corners):
        part = corners == most
        common[part] = intersections(truth.take(words[part]).padded(), found.take(detections[part]).padded())
    of_word = common / np.maximum(areas(truth.padded())[words], 1e-9)
    of_detection = common / np.maximum(areas(found.padded())[detections], 1e-9)
    number = len(split.quads)
    merged = np.bincount(words[(of_word > _MOSTLY) & (of_detection < 0.5)], minlength=number) > 0
    pieces = np.bincount(words[(of_word > _HARDLY) & (of_detection > _MOSTLY)], minlength=number) > 1
    unseen = np.bincount(words, of_word, minlength=number) < _HARDLY
    return merged, pieces, unseen


def height_table(rows: tuple[HeightRow, ...]) -> Table:
    """The rows for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("word height", style="bold")
    for name in ("words", "recall", "merged", "in pieces", "badly bounded", "not seen"):
        table.add_column(name, justify="right")
    for row in rows:
        span = f"{row.low} px and more" if row.high is None else f"{row.low} to {row.high} px" if row.low else f"under {row.high} px"
        table.add_row(span, *(str(v) for v in (row.words, f"{row.found / row.words:.3f}", row.merged, row.pieces, row.bounds, row.unseen)))
    return table


def rows_to_json(rows: tuple[HeightRow, ...]) -> list[dict[str, int | None]]:
    """Plain values."""
    return [asdict(row) for row in rows]
