"""A few fixed validation pictures, shown to the network as it is now."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from finetune.callbacks.averaging import evaluated_weights
from finetune.callbacks.lookup import detector_of
from finetune.data.first_images import spread_images
from finetune.probes import Probe, take_probes

PICTURES = 4  # of the validation split
_ALL = 8  # a split of up to so many is looked at as a whole


def look_at_pictures(trainer: pl.Trainer, pl_module: pl.LightningModule, count: int = PICTURES) -> list[Probe]:
    """Show the same pictures of the validation split (of train where there is none) to the weights that an evaluation would see."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    name = "val" if data.splits.val is not None else "train"
    split = data.splits.get(name)
    samples = data.samples(name, range(len(split)) if len(split) <= _ALL else spread_images(split, count))
    with evaluated_weights(trainer, pl_module), trainer.precision_plugin.forward_context():
        return take_probes(detector_of(pl_module), pl_module, samples, pl_module.device)


def class_names_of(trainer: pl.Trainer) -> tuple[str, ...]:
    """Classes of the data in label order."""
    return trainer.datamodule.class_names  # type: ignore[attr-defined]
