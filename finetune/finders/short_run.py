"""The first steps of a run through its own trainer: no folder, no checkpoints, no validation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from detectors.types import Batch
from finetune.build import build_trainer, quiet_lightning
from finetune.config import RunConfig
from finetune.task import DetectionTask

_ENDLESS = 1_000_000  # epochs: no schedule of the run reaches its second phase


@dataclass(frozen=True)
class Steps:
    """What was seen of a short run.

    Args:
        losses: Mean loss of every optimiser step.
        seconds: Seconds of every optimiser step: reading its batches, forward, backward, update.
        device: Where it computed.
    """

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    device: str = "cpu"


class Repeated:
    """A loader that gives one batch some times; Lightning would take a list for a list of loaders."""

    def __init__(self, batch: Batch, times: int) -> None:
        self._batch, self._times = batch, times

    def __iter__(self) -> Iterator[Batch]:
        return repeat(self._batch, self._times)

    def __len__(self) -> int:
        return self._times


class _Watch(pl.Callback):
    """Sets the rate before every optimiser step, keeps loss and seconds, and stops the trainer."""

    def __init__(self, steps: int, rate: Callable[[int], float] | None, goes_on: Callable[[list[float]], bool]) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._steps, self._rate, self._goes_on = steps, rate, goes_on
        self._batch_losses: list[Tensor] = []
        self._full: list[float] = []
        self._mark = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the full rates and start the clock."""
        self._full = [float(group.get("initial_lr", group["lr"])) for group in trainer.optimizers[0].param_groups]
        self._mark = time.perf_counter()

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Keep the loss, which the trainer has divided by the batches of a step."""
        self._batch_losses.append(loss.detach() * trainer.accumulate_grad_batches)

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer) -> None:
        """Set the rates: all groups in the proportion that the run gives them."""
        if self._rate is not None:
            factor = self._rate(len(self.losses))
            for group, full in zip(optimizer.param_groups, self._full, strict=True):
                group["lr"] = full * factor

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Close a step."""
        if trainer.fit_loop._should_accumulate():
            return
        self.losses.append(float(torch.stack(self._batch_losses).mean()))
        self._batch_losses = []
        now = time.perf_counter()
        self.seconds.append(now - self._mark)
        self._mark = now
        goes_on = self._goes_on(self.losses)  # it is asked after the last step, too
        if len(self.losses) >= self._steps or not goes_on:
            trainer.should_stop = True


def on_gpu(config: RunConfig) -> bool:
    """Whether a run would train on a CUDA device."""
    return config.train.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def process_count(config: RunConfig) -> int:
    """Processes of a run, by its settings: devices on all nodes."""
    devices = config.train.devices.strip(" []")
    listed = [part for part in devices.split(",") if part.strip()]
    each = int(devices) if devices.isdigit() else len(listed)
    if devices in ("auto", "-1"):
        each = torch.cuda.device_count() if on_gpu(config) else 1
    return max(1, each) * config.train.num_nodes


def heaviest(config: RunConfig) -> RunConfig:
    """The settings of a run when most of it trains: stages that thaw later take their time and memory too."""
    if config.freeze.policy != "gradual":
        return config
    return replace(config, freeze=replace(config.freeze, policy="stages", thaw=()))


def run_steps(
    config: RunConfig,
    task: DetectionTask,
    batches: Iterable[Any],
    steps: int,
    rate: Callable[[int], float] | None = None,
    goes_on: Callable[[list[float]], bool] = lambda losses: True,
) -> Steps:
    """Train for some optimiser steps, in one process.

    Args:
        config: Settings of the run.
        task: What trains; its weights change.
        batches: A loader, gone through again and again.
        steps: Optimiser steps.
        rate: Factor on the full rates of all groups at a step; default: the schedule of the run.
        goes_on: Asked after every step with all losses so far; False stops.

    Raises:
        NonFiniteLossError: By the task; ``goes_on`` has seen the losses before it.
    """
    watch = _Watch(steps, rate, goes_on)
    train = replace(config.train, epochs=_ENDLESS, loggers=(), devices="1", num_nodes=1, strategy="auto")
    with quiet_lightning(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*have no `val_dataloader`.*")
        trainer = build_trainer(replace(config, train=train), Path.cwd(), [watch])
        trainer.fit(task, train_dataloaders=batches)
    return Steps(watch.losses, watch.seconds, str(trainer.strategy.root_device))
