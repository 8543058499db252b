"""A figure of 0 explains itself while the run goes on: sentences, and a picture of truth and answer."""

from __future__ import annotations

from functools import partial

import pytorch_lightning as pl

from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.looking import class_names_of, look_at_pictures
from finetune.callbacks.lookup import detector_of, find_callback
from finetune.evaluation.map_diagnose import diagnose_maps
from finetune.run_folder import RunFolder, write_atomic
from finetune.run_log import RunLog
from finetune.sheets import draw_sheet


class ZeroDiagnosis(pl.Callback):
    """After an evaluation whose figure is 0: what it probably means, and where a picture of it is.

    It speaks after the first, second, fourth, eighth ... such evaluation and after the last epoch: early zeros are usual.

    Args:
        folder: The run folder.
        log: Where lines go.
    """

    def __init__(self, folder: RunFolder, log: RunLog) -> None:
        self._folder, self._log = folder, log
        self._zeros = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Explain the evaluation of this epoch."""
        evaluation = find_callback(trainer, Evaluation)
        if not trainer.is_global_zero or evaluation is None or evaluation.epoch != trainer.current_epoch or evaluation.figure != 0:
            return
        self._zeros += 1
        last = trainer.current_epoch + 1 == trainer.max_epochs
        if last or self._zeros & (self._zeros - 1) == 0:
            notes = evaluation.results[evaluation.protocols[0]].notes
            early = "" if last else " (usual in the first epochs)"
            self._log.say(f"  why 0{early}:", *(f"    {line}" for line in (*notes, *self.look(trainer, pl_module, trainer.current_epoch + 1))))

    def look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> list[str]:
        """What a few validation pictures say after an epoch (from 1), and where they are drawn."""
        probes = look_at_pictures(trainer, pl_module)
        decoding = getattr(detector_of(pl_module), "decoding", None)
        lines = diagnose_maps(probes, decoding) if decoding is not None and all(probe.maps is not None for probe in probes) else []
        path = self._folder.pictures / f"diagnosis_epoch_{epoch:04d}.png"
        path.parent.mkdir(exist_ok=True)
        sheet = draw_sheet(probes, class_names_of(trainer))
        write_atomic(path, partial(sheet.save, format="PNG"))
        return [*lines, f"{'target maps beside those of the network' if lines else 'truth beside detections'}: {path}"]
