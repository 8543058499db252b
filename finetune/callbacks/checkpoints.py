"""Checkpoints that are whole or not there: ``last`` after every epoch, ``best`` when the figure improves, and the weights file."""

from __future__ import annotations

import io
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import TorchCheckpointIO
from torch import Tensor

from finetune.callbacks.averaging import WeightAveraging
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import detector_of, find_callback
from finetune.record import results_to_json
from finetune.run_folder import RunFolder, write_atomic, write_json_atomic


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place, forces it to disk and puts it there in one step; reads tensors and primitives only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write.

        Raises:
            WriteError: The disk is full; what was there before is whole.
        """
        buffer = io.BytesIO()  # torch.save to a file hides the reason of an error
        torch.save(checkpoint, buffer)
        write_atomic(Path(path), lambda temporary: temporary.write_bytes(buffer.getbuffer()))

    def load_checkpoint(self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Read, never unpickling objects."""
        return torch.load(path, map_location=map_location, weights_only=True)


class Checkpoints(pl.callbacks.Checkpoint):
    """Saves at every epoch end, each file in one step; files hold tensors and primitives only.

    An evaluation is better when its primary figure is larger; a figure of zero or none never beats a later one, so that
    a run which finds nothing keeps its latest weights.

    Args:
        folder: Where to save.
        save_weights: Writes a detector state to a file, with its epoch (from 1).
        seconds: Wall-clock seconds of this process so far, for the sum over all resumes.
        data: What a resumed run compares its data with (primitives).
    """

    def __init__(self, folder: RunFolder, save_weights: Callable[[Path, Mapping[str, Tensor], int], None], seconds: Callable[[], float], data: Mapping[str, Any]) -> None:
        self._folder = folder
        self._data = dict(data)
        self._save_weights = save_weights
        self._seconds = seconds
        self._seconds_before = 0.0
        self.best_figure: float | None = None
        self.best_epoch: int | None = None
        self.best_results: list[dict[str, Any]] = []
        self.best_primary: str | None = None
        self.best_notes: list[str] = []
        self.improved = False
        self.finished = 0

    @property
    def total_seconds(self) -> float:
        """Seconds over all resumes."""
        return self._seconds_before + self._seconds()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Lightning's own writer goes through the folder for temporary files of the system, which may be small or on another disk."""
        trainer.strategy.checkpoint_io = WholeFiles()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed after ``last`` and before the files that follow it gets them now."""
        if self.finished:
            self._save_best(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing has improved yet in this epoch."""
        self.improved = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember whether this evaluation is the best."""
        evaluation = find_callback(trainer, Evaluation)
        if trainer.sanity_checking or evaluation is None or not evaluation.results:
            return
        figure = evaluation.figure
        if (figure or 0.0) > (self.best_figure or 0.0) or not self.best_figure:
            self.best_figure, self.best_epoch = figure, trainer.current_epoch + 1
            self.best_results = results_to_json(evaluation.results)
            self.best_primary = evaluation.results[evaluation.protocols[0]].primary
            self.best_notes = [note for result in evaluation.results.values() for note in result.notes]
            self.improved = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the state, and what hangs on it."""
        self.finished = trainer.current_epoch + 1
        trainer.save_checkpoint(self._folder.last)  # every process takes part
        self._save_best(trainer, pl_module)

    def _save_best(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """When the last finished epoch is the best: save it so, with its weights and figures. Until an evaluation, the latest is the best."""
        if not trainer.is_global_zero or self.best_epoch not in (None, self.finished):
            return
        write_atomic(self._folder.best, lambda temporary: _copy(self._folder.last, temporary))
        self._save_weights(self._folder.weights, state_to_use(trainer, pl_module), self.finished)
        if self.best_epoch is not None:
            write_json_atomic(self._folder.evaluation("val"), {"split": "val", "epoch": self.best_epoch, "results": self.best_results})

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {
            "figure": self.best_figure,
            "epoch": self.best_epoch,
            "results": self.best_results,
            "primary": self.best_primary,
            "notes": self.best_notes,
            "finished": self.finished,
            "data": self._data,
            "seconds": self.total_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue."""
        self.best_figure, self.best_epoch, self.best_results = state_dict["figure"], state_dict["epoch"], state_dict["results"]
        self.best_primary, self.best_notes = state_dict["primary"], state_dict["notes"]
        self.finished, self._seconds_before = state_dict["finished"], state_dict["seconds"]


def state_to_use(trainer: pl.Trainer, pl_module: pl.LightningModule) -> Mapping[str, Tensor]:
    """The detector state that was evaluated: the average where there is one."""
    averaging = find_callback(trainer, WeightAveraging)
    return averaging.average() if averaging is not None else detector_of(pl_module).state_dict()


def checkpoint_size(detector_bytes: int, optimizer_copies: int, averaged: bool) -> int:
    """Bytes that a run needs on the disk: two checkpoints, one being written, the weights twice, and some for pictures."""
    one = detector_bytes * (1 + optimizer_copies + averaged)
    return math.ceil(3 * one + 2 * detector_bytes) + 8 * 2**20


def _copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
