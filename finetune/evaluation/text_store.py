"""Detected words of one split, kept as flat arrays: what the text evaluators collect, and what travels between processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError
from finetune.evaluation.outlines import Outlines
from finetune.evaluation.store import State

if TYPE_CHECKING:
    from detectors.types import ImageMeta, TextDetections
    from finetune.data.types import TextSplit


class TextRows(NamedTuple):
    """Detected words as columns: image [D] i64 (index into the split), D outlines in original pixels, scores [D] f64 (1 where unknown)."""

    image: NDArray[np.int64]
    outlines: Outlines
    scores: NDArray[np.float64]

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> TextRows:
        """The rows that an index or mask array chooses."""
        return TextRows(self.image[which], self.outlines.take(which), self.scores[which])


class TextStore:
    """Collects words of a split; an image that comes twice (padded distributed samplers do that) counts once, the first time.

    Args:
        split: The truth.
        polygons: Keep the outlines of detections that have them, instead of their quads.
    """

    def __init__(self, split: TextSplit, polygons: bool = False) -> None:
        self._index = {image_id: i for i, image_id in enumerate(split.image_ids)}
        self._split = split
        self._polygons = polygons
        self.reset()

    def reset(self) -> None:
        """Forget all detections."""
        self.seen = np.zeros(len(self._split), np.bool_)
        self._parts: list[TextRows] = []
        self.dropped = 0

    def process(self, detections: Sequence[TextDetections], metas: Sequence[ImageMeta]) -> None:
        """Add words, in original pixels, of some images.

        Raises:
            DataError: An image does not belong to the split.
        """
        for found, meta in zip(detections, metas, strict=True):
            index = self._index.get(str(meta.image_id))
            if index is None:
                raise DataError(f"image {meta.image_id!r} ({meta.source}) is not in split {self._split.name!r}: evaluate with the split that the detections were made on")
            if self.seen[index]:
                continue
            self.seen[index] = True
            if self._polygons and len(found.polygons) == len(found.quads):
                outlines = Outlines.of_list([polygon.detach().cpu().numpy() for polygon in found.polygons])
            else:
                outlines = Outlines.of_quads(found.quads.detach().cpu().numpy())
            scores = found.scores.detach().cpu().numpy().astype(np.float64)
            self._append(TextRows(np.full(len(scores), index, np.int64), outlines, scores))

    def add(self, rows: TextRows, images: NDArray[np.int64] | None = None) -> None:
        """Add words that were read from files; their images count as processed, and so do ``images`` (files without words)."""
        self.seen[rows.image] = True
        self.seen[rows.image[:0] if images is None else images] = True
        self._append(rows)

    def _append(self, rows: TextRows) -> None:
        bad = ~np.isfinite(rows.outlines.points).all(axis=1)
        words = np.repeat(np.arange(len(rows.image)), rows.outlines.counts)
        sound = np.isfinite(rows.scores) & (rows.outlines.counts > 0)
        sound[words[bad]] = False
        if not sound.all():
            self.dropped += int((~sound).sum())
            rows = rows.take(sound)
        self._parts.append(rows)

    def rows(self) -> TextRows:
        """All words, images in the order of the split, within an image in the order they came."""
        if len(self._parts) != 1:
            image = np.concatenate([np.zeros(0, np.int64), *(part.image for part in self._parts)])
            scores = np.concatenate([np.zeros(0), *(part.scores for part in self._parts)])
            self._parts = [TextRows(image, Outlines.joined([part.outlines for part in self._parts]), scores)]
        rows = self._parts[0]
        if (np.diff(rows.image) < 0).any():
            self._parts = [rows := rows.take(np.argsort(rows.image, kind="stable"))]
        return rows

    def state(self) -> State:
        """Everything collected so far as plain arrays, to be sent to another process and merged there."""
        rows = self.rows()
        flat = {"image": rows.image, "points": rows.outlines.points, "offsets": rows.outlines.offsets, "scores": rows.scores}
        return {"seen": self.seen.copy(), "dropped": np.array(self.dropped), **flat}

    def merge(self, state: State) -> None:
        """Add what another process collected; images that are already here are left out."""
        theirs = TextRows(state["image"], Outlines(state["points"], state["offsets"]), state["scores"])  # type: ignore[arg-type]
        self._append(theirs.take(~self.seen[theirs.image]))
        self.seen |= state["seen"].astype(np.bool_)
        self.dropped += int(state["dropped"])
