"""Keeps what is known about a loss that was not finite."""

from __future__ import annotations

import json
import math

import pytorch_lightning as pl

from finetune.run_folder import RunFolder, write_json_atomic
from finetune.task import NonFiniteLossError


class NonFiniteReport(pl.Callback):
    """Writes the image ids of the batch whose loss was not finite into the run folder.

    Args:
        folder: Where to write non_finite_loss.json.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write."""
        if isinstance(exception, NonFiniteLossError):
            losses = {name: value if math.isfinite(value) else str(value) for name, value in exception.losses.items()}
            facts = {"epoch": exception.epoch + 1, "step": exception.step, "losses": losses, "image_ids": exception.image_ids, "sources": exception.sources}
            write_json_atomic(self._folder.root / "non_finite_loss.json", json.loads(json.dumps(facts)))
