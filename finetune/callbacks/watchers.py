"""What watches over a run, so that one that learns nothing says why, and what gives its words characters."""

from __future__ import annotations

import pytorch_lightning as pl

from detectors.registry import TEXT_DETECTORS
from finetune.callbacks.diagnosis import ZeroDiagnosis
from finetune.callbacks.goal import OverfitGoal
from finetune.callbacks.pictures import ValidationPictures
from finetune.callbacks.pseudo_characters import PseudoCharacters, PseudoSchedule
from finetune.callbacks.skipped import SkippedWords
from finetune.callbacks.trivial import TrivialLoss
from finetune.config import RunConfig
from finetune.run_folder import RunFolder
from finetune.run_log import RunLog


def watchers(config: RunConfig, folder: RunFolder, log: RunLog) -> list[pl.Callback]:
    """The callbacks that a run with these settings gets."""
    callbacks: list[pl.Callback] = [ValidationPictures(config.train.pictures_every, folder), ZeroDiagnosis(folder, log)]
    if config.detector.name in TEXT_DETECTORS:
        callbacks += [SkippedWords(log), TrivialLoss(config, log)]
        if config.craft.pseudo_every:
            schedule = PseudoSchedule(config.craft.pseudo_every, config.craft.pseudo_start, config.craft.pseudo_height)
            callbacks.append(PseudoCharacters(schedule, folder.pictures, log.say))
    return [*callbacks, OverfitGoal(config, log)] if config.data.overfit else callbacks
