"""Callbacks that need one another find each other here."""

from __future__ import annotations

from typing import Any, TypeVar

import pytorch_lightning as pl

C = TypeVar("C", bound=pl.Callback)


def detector_of(pl_module: pl.LightningModule) -> Any:
    """The detector of a task."""
    return pl_module.detector


def find_callback(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """The trainer's callback of a kind, if it has one."""
    return next((callback for callback in trainer.callbacks if isinstance(callback, kind)), None)  # type: ignore[attr-defined]
