"""Detections of one split, kept as flat arrays: what every evaluator collects, and what travels between processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backbones.errors import DataError

if TYPE_CHECKING:
    from detectors.types import BoxDetections, ImageMeta
    from finetune.data.types import BoxSplit

State = dict[str, NDArray[np.generic]]


class Rows(NamedTuple):
    """Detections as columns: image [D] i64 (index into the split), boxes [D, 4] f64 xywh in original pixels, scores [D] f64, labels [D] i64."""

    image: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Rows:
        """The rows that an index or mask array chooses."""
        return Rows(self.image[which], self.boxes[which], self.scores[which], self.labels[which])


def _no_rows() -> Rows:
    return Rows(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


class DetectionStore:
    """Collects detections of a split; an image that comes twice (padded distributed samplers do that) counts once, the first time.

    Boxes are kept as x, y, width, height, because that is what COCO results hold: nothing is lost on the way through a file.
    """

    def __init__(self, split: BoxSplit) -> None:
        self._index = {image_id: i for i, image_id in enumerate(split.image_ids)}
        self._split = split
        self.reset()

    def reset(self) -> None:
        """Forget all detections."""
        self._seen = np.zeros(len(self._split), np.bool_)
        self._parts: list[Rows] = []
        self.dropped = 0

    @property
    def seen(self) -> NDArray[np.bool_]:
        """[N] images that were processed, with or without detections."""
        return self._seen

    def process(self, detections: Sequence[BoxDetections], metas: Sequence[ImageMeta]) -> None:
        """Add detections (xyxy, original pixels) of some images.

        Raises:
            DataError: An image does not belong to the split.
        """
        for found, meta in zip(detections, metas, strict=True):
            index = self._index.get(meta.image_id)
            if index is None:
                raise DataError(f"image {meta.image_id!r} ({meta.source}) is not in split {self._split.name!r}: evaluate with the split that the detections were made on")
            if self._seen[index]:
                continue
            self._seen[index] = True
            boxes = found.boxes.detach().cpu().numpy().astype(np.float64).reshape(-1, 4)
            boxes[:, 2:] -= boxes[:, :2]
            scores = found.scores.detach().cpu().numpy().astype(np.float64)
            labels = found.labels.detach().cpu().numpy().astype(np.int64)
            self._append(Rows(np.full(len(boxes), index, np.int64), boxes, scores, labels))

    def add(self, rows: Rows) -> None:
        """Add columns that were read from a file; all their images count as processed and nothing is taken for a repetition."""
        self._seen[rows.image] = True
        self._append(rows)

    def _append(self, rows: Rows) -> None:
        finite = np.isfinite(rows.boxes).all(axis=1) & np.isfinite(rows.scores)
        if not finite.all():
            self.dropped += int((~finite).sum())
            rows = rows.take(finite)
        self._parts.append(rows)

    def rows(self) -> Rows:
        """All detections, images in the order of the split, within an image in the order they came."""
        if not self._parts:
            return _no_rows()
        if len(self._parts) > 1:
            self._parts = [Rows(*(np.concatenate(columns) for columns in zip(*self._parts, strict=True)))]
        rows = self._parts[0]
        order = np.argsort(rows.image, kind="stable")
        return rows.take(order)

    def state(self) -> State:
        """Everything collected so far as plain arrays, to be sent to another process and merged there."""
        return {"seen": self._seen.copy(), "dropped": np.array(self.dropped), **self.rows()._asdict()}

    def merge(self, state: State) -> None:
        """Add what another process collected; images that are already here are left out."""
        theirs = Rows(state["image"], state["boxes"], state["scores"], state["labels"])  # type: ignore[arg-type]
        new = ~self._seen[theirs.image]
        self._append(theirs.take(new))
        self._seen |= state["seen"].astype(np.bool_)
        self.dropped += int(state["dropped"])


class CollectingEvaluator:
    """The half that evaluators of boxes have in common: they collect detections of a split, here or from other processes."""

    def __init__(self, split: BoxSplit) -> None:
        self.split = split
        self.store = DetectionStore(split)

    def reset(self) -> None:
        """Forget all detections."""
        self.store.reset()

    def process(self, detections: Sequence[BoxDetections], metas: Sequence[ImageMeta]) -> None:
        """Add the detections of some images, in original pixels."""
        self.store.process(detections, metas)

    def add(self, rows: Rows) -> None:
        """Add detections that were read from a file."""
        self.store.add(rows)

    def state(self) -> State:
        """What was collected, as plain arrays for another process."""
        return self.store.state()

    def merge(self, state: State) -> None:
        """Add what another process collected; repeated images count once."""
        self.store.merge(state)
