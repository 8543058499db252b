"""Warns when a text detector stays at the loss of one that answers the same everywhere."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl

from detectors.craft.loss import CraftLoss
from detectors.types import Batch
from finetune.callbacks.lookup import detector_of
from finetune.config import RunConfig
from finetune.run_log import RunLog

_BATCHES = 8  # whose targets say what that loss is
_STUCK = 0.9  # share of it above which nothing is learnt
_PATIENCE = 0.2  # share of the budget, after the warm-up, and two epochs at least


class TrivialLoss(pl.Callback):
    """Compares the region loss of each epoch with that of the best constant answer.

    Args:
        config: Settings of the run.
        log: Where the warning goes.
    """

    def __init__(self, config: RunConfig, log: RunLog) -> None:
        self._config, self._log = config, log
        self._levels: list[float] = []
        self._stuck = 0
        self._said = False

    @property
    def level(self) -> float | None:
        """The region loss of a network that answers the same everywhere, None as long as no batch was seen."""
        return sum(self._levels) / len(self._levels) if self._levels else None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Learn the level from the first batches."""
        criterion = getattr(detector_of(pl_module), "criterion", None)
        if len(self._levels) < _BATCHES and isinstance(criterion, CraftLoss):
            height, width = (math.ceil(side / criterion.stride) for side in batch.input_hw)
            self._levels.append(criterion.constant_level(batch.targets, (height, width)))  # type: ignore[arg-type]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count epochs at the level; warn once."""
        loss, level, train = trainer.callback_metrics.get("train/region"), self.level, self._config.train
        if loss is None or level is None or level <= 0:
            return
        self._stuck = self._stuck + 1 if float(loss) > _STUCK * level else 0
        epoch, epochs = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        long = max(2, math.ceil(_PATIENCE * epochs))
        if self._said or self._stuck < long or epoch < train.warmup * epochs + 1:
            return
        self._said = True
        self._log.say(
            f"warning: the region loss is still {float(loss):.3f} after {epoch} of {epochs} epochs; a network that answers the same everywhere has {level:.3f}, so nothing is learnt yet. "
            f"Most often train.lr ({train.lr:g}) is too low or too high (finetune train ... --dry-run --find lr measures it), or too little trains "
            f"(freeze.policy {self._config.freeze.policy}, train.backbone_lr_scale {train.backbone_lr_scale:g}); --overfit 8 tests the set-up"
        )

    def state_dict(self) -> dict[str, Any]:
        """What was learnt travels with the checkpoint."""
        return {"levels": self._levels, "stuck": self._stuck, "said": self._said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue."""
        self._levels, self._stuck, self._said = list(state_dict["levels"]), int(state_dict["stuck"]), bool(state_dict["said"])
