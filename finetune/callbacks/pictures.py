"""Every few epochs a sheet of validation pictures: what should be seen beside what is seen."""

from __future__ import annotations

import math
import time
from functools import partial

import pytorch_lightning as pl

from finetune.callbacks.looking import class_names_of, look_at_pictures
from finetune.run_folder import RunFolder, write_atomic
from finetune.sheets import draw_sheet

_SHEETS = 5  # a run, where nobody says
_SHARE = 0.02  # of the time that these may take
_GUESS = 0.5  # seconds of the first one


class ValidationPictures(pl.Callback):
    """Draws pictures/epoch_0005.png and so on: the same few pictures each time.

    Left to itself (-1) it draws about five sheets a run, each as soon as it is due and all of them together, with it, take less than 2% of the time.

    Args:
        every: Epochs between sheets; -1 chooses, 0 is off.
        folder: The run folder.
    """

    def __init__(self, every: int, folder: RunFolder) -> None:
        self._every, self._folder = every, folder
        self._due, self._drawn = False, 0
        self._began = self._spent = 0.0
        self._cost = _GUESS

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, if it is time."""
        epochs, epoch = int(trainer.max_epochs or 0), trainer.current_epoch + 1
        every = self._every if self._every > 0 else max(1, math.ceil(epochs / _SHEETS))
        self._due = self._due or epoch % every == 0 or epoch == epochs
        self._draw(trainer, pl_module, epoch)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that ends before its time also ends with a sheet."""
        self._due = trainer.current_epoch > self._drawn
        self._draw(trainer, pl_module, trainer.current_epoch)

    def _draw(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        if not self._every or not self._due or not trainer.is_global_zero or (self._every < 0 and not self._affordable()):
            return
        started = time.perf_counter()
        sheet = draw_sheet(look_at_pictures(trainer, pl_module), class_names_of(trainer))
        self._folder.pictures.mkdir(exist_ok=True)
        write_atomic(self._folder.pictures / f"epoch_{epoch:04d}.png", partial(sheet.save, format="PNG"))
        self._due, self._drawn, self._cost = False, epoch, time.perf_counter() - started
        self._spent += self._cost

    def _affordable(self) -> bool:
        return self._spent + self._cost < _SHARE * (time.perf_counter() - self._began)
