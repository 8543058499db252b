"""Words that no target could be drawn for are named in the log, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from detectors.craft.heatmaps import SkippedQuad
from detectors.craft.loss import CraftLoss
from detectors.types import Batch, ImageMeta, TextTarget
from finetune.callbacks.lookup import detector_of
from finetune.data.types import TextSplit
from finetune.run_log import RunLog

_NAMED = 20  # lines a run


class SkippedWords(pl.Callback):
    """Listens to the loss of CRAFT and says which words taught nothing.

    Args:
        log: Where lines go.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._waiting: list[SkippedQuad] = []
        self._known: set[str] = set()
        self._before: CraftLoss | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen."""
        detector = detector_of(pl_module)
        criterion = getattr(detector, "criterion", None)
        if isinstance(criterion, CraftLoss) and criterion.on_skipped is None:
            self._before, detector.criterion = criterion, replace(criterion, on_skipped=self._waiting.extend)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Name the words of this batch that are new."""
        if not self._waiting:
            return
        skipped, self._waiting[:] = list(self._waiting), []
        if not trainer.is_global_zero:
            return
        split: Any = getattr(trainer.datamodule.splits, "train", None)  # type: ignore[attr-defined]
        names = {word_name(entry, batch.targets[entry.image], batch.metas[entry.image], split): entry for entry in reversed(skipped)}  # type: ignore[arg-type]
        for name in reversed(names):
            if name not in self._known:
                self._known.add(name)
                self._say(name, names[name])

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Only training batches are listened to: the words of others teach nothing anyway."""
        self._waiting.clear()

    on_train_epoch_start = on_validation_start

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say how many there were in all, and listen no more."""
        if len(self._known) > _NAMED:
            self._log.say(f"words without a target: {len(self._known)} in all, the first {_NAMED} are named above; finetune check lists what is wrong with the annotations")
        if self._before is not None:
            detector_of(pl_module).criterion, self._before = self._before, None

    def _say(self, name: str, entry: SkippedQuad) -> None:
        if len(self._known) > _NAMED:
            return
        what = {"word": "it cannot be divided into characters", "character": f"its character {entry.row} is not drawn", "affinity": f"what joins its characters {entry.row} and the next is not drawn"}
        self._log.say(f"{name}: {what[entry.kind] if entry.row >= 0 or entry.kind == 'word' else 'a part of it is not drawn'}: corners without area, or in no order around a convex shape")


def word_name(entry: SkippedQuad, target: TextTarget, meta: ImageMeta, split: TextSplit | None) -> str:
    """The annotation that a word of a target comes from, with its text; where that is not to be found, image and text."""
    text = target.texts[entry.word] if entry.word < len(target.texts) else ""
    shown = f" {text[:40]!r}" if text else ""
    place = _annotation(target.quads[entry.word], meta, split) if split is not None else None
    return f"{place}{shown}" if place else f"image {meta.image_id}, word{shown or f' {entry.word}'}"


def _annotation(quad: torch.Tensor, meta: ImageMeta, split: TextSplit) -> str | None:
    """The annotation id of the word of this image whose corners are nearest, in pixels of the picture."""
    if meta.image_id not in split.image_ids:
        return None
    rows = split.rows(split.image_ids.index(str(meta.image_id)))
    a, b, tx, c, d, ty = meta.affine
    corners = (quad.detach().cpu().double().numpy() - (tx, ty)) @ np.linalg.inv(np.array([[a, b], [c, d]])).T
    if rows.stop == rows.start or not np.isfinite(corners).all():
        return None
    centres = split.quads[rows].mean(1)
    return split.annotation_ids[rows.start + int(np.argmin(np.nan_to_num(np.linalg.norm(centres - corners.mean(0), axis=1), nan=np.inf)))]


__all__: Sequence[str] = ["SkippedWords", "word_name"]
