"""Callbacks that need one another find each other here."""

from __future__ import annotations

from typing import TypeVar

import pytorch_lightning as pl

C = TypeVar("C", bound=pl.Callback)


def find_callback(trainer: pl.Trainer, kind: type[C]) -> C | None:
    """The trainer's callback of a kind, if it has one."""
    return next((callback for callback in trainer.callbacks if isinstance(callback, kind)), None)  # type: ignore[attr-defined]
