"""What the user sees while a run trains: one bar for the whole training, one line per epoch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from finetune.callbacks.checkpoints import Checkpoints
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import find_callback
from finetune.callbacks.table import MetricsTable
from finetune.console import console
from finetune.run_log import RunLog

_REDRAW = 0.2  # seconds between changes of the bar
_SHOWN = ("AP50", "AP", "mAP", "precision", "recall", "hmean")  # figures of an evaluation that stand in the line of an epoch


def duration(seconds: float) -> str:
    """Seconds as "12 s", "3 min 05 s" or "2 h 07 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class ProgressLines(pl.Callback):
    """Draws the bar on a terminal and says a line at every epoch end.

    Args:
        log: Where lines go.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._train_seconds = self._val_seconds = self._mark = self._drawn = 0.0
        self._batches = self._validations = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        if not trainer.is_global_zero or not console().is_terminal:
            return
        self._bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[note]}"), console=console(), transient=True)
        self._task = self._bar.add_task("training", total=(trainer.max_epochs or 1) * trainer.num_training_batches, note="")
        self._bar.start()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._mark = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the bar."""
        now = time.perf_counter()
        self._train_seconds += now - self._mark
        self._mark = now
        self._batches += 1
        if now - self._drawn > _REDRAW:
            self._drawn = now
            self._draw(trainer, batch_idx + 1, f"left {duration(self._seconds_left(trainer, batch_idx + 1))}")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what takes its time."""
        if not trainer.sanity_checking:
            self._mark = time.perf_counter()
            self._draw(trainer, int(trainer.num_training_batches), "evaluating")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Learn how long a validation takes."""
        if not trainer.sanity_checking:
            self._val_seconds += time.perf_counter() - self._mark
            self._validations += 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The line of the epoch."""
        table, checkpoints = find_callback(trainer, MetricsTable), find_callback(trainer, Checkpoints)
        if trainer.is_global_zero and table is not None:
            self._log.say(epoch_line(table.rows[-1], int(trainer.max_epochs or 0), find_callback(trainer, Evaluation), checkpoints is not None and checkpoints.improved))
        self._draw(trainer, int(trainer.num_training_batches), "")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave a clean terminal."""
        self.on_train_end(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, batches: int, note: str) -> None:
        if self._bar is not None and self._task is not None:
            done = trainer.current_epoch * trainer.num_training_batches + batches
            self._bar.update(self._task, completed=done, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", note=note)

    def _seconds_left(self, trainer: pl.Trainer, batches: int) -> float:
        epochs = (trainer.max_epochs or 1) - trainer.current_epoch
        per_batch = self._train_seconds / max(1, self._batches)
        val_batches = sum(int(n) for n in trainer.num_val_batches)
        per_validation = self._val_seconds / self._validations if self._validations else val_batches * per_batch
        validations = -(-epochs // (trainer.check_val_every_n_epoch or 1))
        return (epochs * trainer.num_training_batches - batches) * per_batch + validations * per_validation


def epoch_line(row: Mapping[str, float | None], epochs: int, evaluation: Evaluation | None, best: bool) -> str:
    """One epoch in one line: epoch, losses, figures, rate, seconds, speed."""
    width = len(str(epochs))
    parts = [f"{name.removeprefix('train/')} {value:.3f}" for name, value in row.items() if name.startswith("train/") and name != "train/loss" and value is not None]
    cells = [f"epoch {int(row['epoch'] or 0):>{width}}/{epochs}", f"loss {row.get('train/loss') or 0.0:.3f}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")]
    if row.get("val/loss") is not None:
        cells.append(f"val loss {row['val/loss']:.3f}")
    shown = [f"{key} {_figure(row[f'val/{name}/{key}'])}" for name in (evaluation.protocols if evaluation else ()) for key in _SHOWN if f"val/{name}/{key}" in row]
    if shown:
        cells.append(", ".join(shown) + (" (best)" if best else ""))
    rates = [value for name, value in row.items() if name.startswith("lr/") and value is not None]
    cells += [f"lr {max(rates):.2g}"] if rates else []
    cells.append(f"{row.get('seconds') or 0.0:.1f} s")
    cells += [f"{row['images_per_second']:.1f} images/s"] if row.get("images_per_second") else []
    return " | ".join(cells)


def _figure(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
