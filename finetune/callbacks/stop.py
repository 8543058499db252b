"""A stop reaches the training wherever it is, and the other processes of the run with it."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from typing import Any

import pytorch_lightning as pl

from finetune.stopping import raise_if_stopped, take_signals

_PATIENCE = 10.0  # seconds for the other processes to end by themselves


class StopCheck(pl.Callback):
    """Takes the signals back from Lightning, looks once a batch whether a stop got lost, and ends the processes that this one started."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning's own SIGTERM handler trains on to the next batch, under SLURM even to the end, and waits for other processes inside the handler."""
        take_signals()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Look."""
        raise_if_stopped()

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Look."""
        raise_if_stopped()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The others wait for this process in a step that it never takes."""
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGTERM)


def end_processes(trainer: pl.Trainer) -> None:
    """Wait for the processes that a strategy started, and kill those that do not end."""
    launcher = trainer.strategy.launcher
    if launcher is not None and not trainer.interrupted:  # else on_exception did
        launcher.kill(signal.SIGTERM)
    for process in getattr(launcher, "procs", ()):
        if isinstance(process, subprocess.Popen):
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
                continue
            process.kill()
            process.wait()
