"""Stops a run whose figure no longer improves."""

from __future__ import annotations

import pytorch_lightning as pl

from finetune.callbacks.checkpoints import Checkpoints
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import find_callback


class EarlyStop(pl.Callback):
    """Stops after some evaluations without a better figure.

    Args:
        patience: How many evaluations.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.waited = 0
        self.stopped = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed after it had stopped does not train on."""
        trainer.should_stop = trainer.should_stop or self.stopped

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count."""
        checkpoints, evaluation = find_callback(trainer, Checkpoints), find_callback(trainer, Evaluation)
        if trainer.sanity_checking or checkpoints is None or evaluation is None or evaluation.figure is None:
            return
        better = checkpoints.best_figure is None or evaluation.figure > checkpoints.best_figure or not checkpoints.best_figure
        self.waited = 0 if better else self.waited + 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop."""
        if self.waited >= self.patience:
            self.stopped = True
            trainer.should_stop = True

    def state_dict(self) -> dict[str, int | bool]:
        """The count travels with the checkpoint."""
        return {"waited": self.waited, "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, int | bool]) -> None:
        """Continue counting."""
        self.waited, self.stopped = int(state_dict["waited"]), bool(state_dict["stopped"])
