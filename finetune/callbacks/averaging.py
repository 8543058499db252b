"""An exponential moving average of the weights: evaluated and saved in place of the raw ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from finetune.callbacks.lookup import detector_of, find_callback


class WeightAveraging(pl.Callback):
    """Averages the detector's state after every optimiser step.

    The decay rises from 0.1 to ``decay`` over the first steps, so that short runs do not drag their random start along.

    Args:
        decay: Share of the old average that stays, for example 0.999.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._updates = 0
        self._average: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start from the weights as they are, unless a checkpoint brought an average."""
        state = detector_of(pl_module).state_dict()
        self._average = {name: self._average.get(name, value).detach().to(value.device).clone() for name, value in state.items()}
        self._steps = trainer.global_step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count on from the step of a resumed run."""
        self._steps = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Take in the new weights, once per optimiser step."""
        if trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        self._updates += 1
        decay = min(self.decay, (1 + self._updates) / (10 + self._updates))
        with torch.no_grad():
            for name, value in detector_of(pl_module).state_dict().items():
                if value.is_floating_point():
                    self._average[name].lerp_(value, 1 - decay)
                else:
                    self._average[name].copy_(value)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in place for the evaluation."""
        if self._average and trainer.state.fn == "fit":
            self._raw = {name: value.detach().clone() for name, value in detector_of(pl_module).state_dict().items()}
            detector_of(pl_module).load_state_dict(self._average)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the raw weights back."""
        if self._raw is not None:
            detector_of(pl_module).load_state_dict(self._raw)
            self._raw = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Never leave the average in place of the raw weights."""
        self.on_validation_end(trainer, pl_module)

    def average(self) -> dict[str, Tensor]:
        """The averaged state of the detector."""
        return self._average

    def state_dict(self) -> dict[str, Any]:
        """The average travels with the checkpoint."""
        return {"updates": self._updates, "average": self._average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue an average."""
        self._updates, self._average = state_dict["updates"], dict(state_dict["average"])


@contextmanager
def evaluated_weights(trainer: pl.Trainer, pl_module: pl.LightningModule) -> Iterator[None]:
    """The weights that evaluations see, in place for a while: the average where there is one."""
    averaging = find_callback(trainer, WeightAveraging)
    if averaging is None:
        yield
        return
    averaging.on_validation_start(trainer, pl_module)
    try:
        yield
    finally:
        averaging.on_validation_end(trainer, pl_module)
