"""One row an epoch: losses, figures, rates and seconds, written after each, drawn now and then and at the end."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from detectors.types import Batch
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import find_callback
from finetune.curves import draw_curves
from finetune.run_folder import RunFolder, WriteError, write_atomic

Row = dict[str, float | None]

_FIRST_DRAWING = 10.0  # seconds
_PAUSE = 20.0  # seconds of training per second of drawing, so that short epochs do not pay for it


class MetricsTable(pl.Callback):
    """Collects a row at every epoch end and, given a folder, writes metrics.csv and, every now and then, curves.png.

    Args:
        folder: Where to write; None only collects.
    """

    def __init__(self, folder: RunFolder | None = None) -> None:
        self.rows: list[Row] = []
        self._folder = folder
        self._images = self._drawn = 0
        self._epoch_start = self._train_end = 0.0
        self._rates: Row = {}
        self._next_drawing = time.perf_counter() + _FIRST_DRAWING

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A killed run may have left a row that no checkpoint has: the file begins as the rows do."""
        if self._folder is None or not trainer.is_global_zero:
            return
        if self.rows:
            write_atomic(self._folder.metrics, lambda path: write_table(path, self.rows))
        else:
            self._folder.metrics.unlink(missing_ok=True)
            self._folder.curves.unlink(missing_ok=True)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._epoch_start = self._train_end = time.perf_counter()
        self._images = 0

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int) -> None:
        """The rates of an epoch are those of its last step; at its end the schedule has moved on."""
        groups = trainer.optimizers[0].param_groups
        names = [str(group.get("name", index)) for index, group in enumerate(groups)]
        self._rates = {f"lr/{name}": group["lr"] for name, group in zip(names, groups, strict=True) if not name.endswith(".plain")}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, *_: Any) -> None:
        """Count images and the time they took."""
        self._images += len(batch.metas) * trainer.world_size
        self._train_end = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the row of this epoch."""
        self.rows = [*self.rows[: trainer.current_epoch], self._row(trainer)]
        if self._folder is not None and trainer.is_global_zero:
            write_atomic(self._folder.metrics, lambda path: write_table(path, self.rows))
            if time.perf_counter() > self._next_drawing:
                self.draw()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The curves of the whole run."""
        if trainer.is_global_zero:
            self.draw()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The curves of a run that stopped say most; without them (a full disk) the exception still counts."""
        if trainer.is_global_zero:
            with suppress(WriteError):
                self.draw()

    def draw(self) -> None:
        """Draw curves.png, unless it shows all rows already."""
        if self._folder is None or len(self.rows) == self._drawn:
            return
        started = time.perf_counter()
        write_atomic(self._folder.curves, lambda path: draw_curves(self.rows, path))
        self._drawn = len(self.rows)
        self._next_drawing = time.perf_counter() + _PAUSE * (time.perf_counter() - started)

    def _row(self, trainer: pl.Trainer) -> Row:
        row: Row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        row.update({name: value for name, value in logged.items() if name.startswith("train/")})
        evaluation = find_callback(trainer, Evaluation)
        if evaluation is not None and evaluation.epoch == trainer.current_epoch and evaluation.results:
            row.update({name: value for name, value in logged.items() if name.startswith("val/") and name.count("/") == 1})
            row.update({f"val/{name}/{key}": value for name, result in evaluation.results.items() for key, value in result.values.items()})
        row.update(self._rates)
        trained = self._train_end - self._epoch_start
        row.update({"seconds": time.perf_counter() - self._epoch_start, "images_per_second": self._images / trained if trained else None})
        return row

    def state_dict(self) -> dict[str, Any]:
        """The rows travel with the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue a table."""
        self.rows = list(state_dict["rows"])


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; a column for every name that occurs, empty where a row has no value."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
