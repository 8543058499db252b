"""Checkpoints that are whole or not there: ``last`` after every epoch, ``best`` when the figure improves, and the weights file."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from backbones.errors import FinetuneError
from finetune.callbacks.averaging import WeightAveraging
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import detector_of, find_callback
from finetune.record import results_to_json
from finetune.run_folder import RunFolder, write_atomic, write_json_atomic


class Checkpoints(pl.callbacks.Checkpoint):
    """Saves at every epoch end, each file in one step; files hold tensors and primitives only.

    An evaluation is better when its primary figure is larger; a figure of zero or none never beats a later one, so that
    a run which finds nothing keeps its latest weights.

    Args:
        folder: Where to save.
        save_weights: Writes a detector state to a file, with its epoch (from 1).
        seconds: Wall-clock seconds of this process so far, for the sum over all resumes.
    """

    def __init__(self, folder: RunFolder, save_weights: Callable[[Path, Mapping[str, Tensor], int], None], seconds: Callable[[], float]) -> None:
        self._folder = folder
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
        """Save the state; the best one also with its weights and figures. Until an evaluation, the latest is the best."""
        self.finished = trainer.current_epoch + 1
        self.save(trainer, self._folder.last)
        if not trainer.is_global_zero or not (self.improved or self.best_epoch is None):
            return
        write_atomic(self._folder.best, lambda temporary: _copy(self._folder.last, temporary))
        self._save_weights(self._folder.weights, state_to_use(trainer, pl_module), self.finished)
        if self.improved:
            write_json_atomic(self._folder.evaluation("val"), {"split": "val", "epoch": self.best_epoch, "results": self.best_results})

    def save(self, trainer: pl.Trainer, path: Path) -> None:
        """Save the whole state in one step."""
        temporary = path.with_name(f".{path.name}.saving")
        try:
            trainer.save_checkpoint(temporary)  # every process takes part
            if trainer.is_global_zero:
                write_atomic(path, temporary.replace)
        except OSError as error:
            raise FinetuneError(f"cannot write {path}: {error.strerror or error}; the state of the epoch before is whole, free some space and resume") from error
        finally:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {
            "figure": self.best_figure,
            "epoch": self.best_epoch,
            "results": self.best_results,
            "primary": self.best_primary,
            "notes": self.best_notes,
            "finished": self.finished,
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
