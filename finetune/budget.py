"""How long a run is when nobody says: enough pictures for a small set to converge, and not an evaluation after every few of them."""

from __future__ import annotations

import math
from dataclasses import replace

from finetune.config import DataConfig, RunConfig

PICTURES = 3000  # seen in a run; with the default recipe sets of 150 to 400 pictures have learnt most by then (docs/experiments.md)
LEAST_EPOCHS, MOST_EPOCHS = 12, 80
_EVALUATIONS = 10


def automatic_epochs(images: int) -> int:
    """Epochs for a training split of so many images: about 3,000 pictures in all, within 12 to 80 epochs."""
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(PICTURES / max(1, images))))


def images_of_an_epoch(data: DataConfig, images: int) -> int:
    """Samples of an epoch of a training split of so many images."""
    return data.epoch_images if data.mix and data.epoch_images and not data.overfit else images


def with_budget(config: RunConfig, images: int) -> RunConfig:
    """The settings with ``train.epochs`` and ``train.evaluate_every`` as numbers, where they were left to the toolkit (0)."""
    train = config.train
    epochs = train.epochs or automatic_epochs(images)
    every = train.evaluate_every or math.ceil(epochs / _EVALUATIONS)
    return replace(config, train=replace(train, epochs=epochs, evaluate_every=every))
