"""Words without characters get them from the network itself, every few epochs (CRAFT's weak supervision, arXiv:1904.01941, section 3.2.2)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from backbones.errors import UsageError
from finetune.callbacks.averaging import WeightAveraging
from finetune.callbacks.lookup import detector_of, find_callback
from finetune.character_drawing import draw_characters
from finetune.data.text.dataset import TextDataset
from finetune.run_folder import write_atomic
from finetune.stopping import raise_if_stopped
from finetune.word_characters import FoundInSet, find_characters

SHOWN = 24  # words of each sheet of pictures


@dataclass(frozen=True)
class PseudoSchedule:
    """When characters are found.

    Args:
        every: Epochs between two times; 0 is never.
        start: When first: below 1 a share of the epochs, from 1 on an epoch as the log counts them. They are found before that epoch begins.
        height: Of the upright words that the network sees, in pixels.
    """

    every: int
    start: float = 0.2
    height: int = 64

    def first(self, epochs: int) -> int:
        """The first epoch (from 0) that has characters."""
        return round(self.start * epochs) if self.start < 1 else math.ceil(self.start) - 1

    def is_due(self, epoch: int, epochs: int) -> bool:
        """Whether characters are found before an epoch (from 0) of a run."""
        since = epoch - self.first(epochs)
        return self.every > 0 and since >= 0 and since % self.every == 0 and epoch < epochs


class PseudoCharacters(pl.Callback):
    """Finds the characters of words whose text is known, at the end of the epoch before they are used, and keeps them in the checkpoint.

    The network that is asked is the one that evaluations see (the average of the weights where there is one). The first process asks it, the
    others are told. Loader processes read the characters from memory that they share, see ``FoundCharacters``.

    Args:
        schedule: When, and how large words are shown.
        pictures: Folder for a sheet of words with what was found, each time; None draws none.
        say: Where lines for the user go.
    """

    def __init__(self, schedule: PseudoSchedule, pictures: Path | None = None, say: Callable[[str], object] | None = None) -> None:
        self.schedule, self._pictures, self._say = schedule, pictures, say or (lambda line: None)
        self._sets: list[TextDataset] = []
        self._saved: list[dict[str, Tensor]] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make room before loaders start; a run that knows characters from its beginning finds them here, because loaders read ahead.

        Raises:
            UsageError: The data are no words, or the detector gives no maps of characters.
        """
        if stage != "fit":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not getattr(data, "finds_words", False):
            raise UsageError("PseudoCharacters: needs the words of a DetectionDataModule for scene text (craft, craftlite); take it out for detectors of boxes")
        self._sets = data.word_sets
        for one in self._sets:
            one.room_for_characters()
        if self.schedule.is_due(0, trainer.max_epochs or 1) and trainer.ckpt_path is None:
            self._find(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find characters for the epoch that comes next, before the checkpoint of this one is written."""
        following = trainer.current_epoch + 1
        if self.schedule.is_due(following, trainer.max_epochs or 1) and not trainer.should_stop:
            self._find(trainer, pl_module, following)

    def state_dict(self) -> dict[str, Any]:
        """The characters of all sets."""
        return {"sets": [one.room_for_characters().state() for one in self._sets]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put them back, before loaders start."""
        states = state_dict["sets"]
        fit = len(states) == len(self._sets) and all([one.room_for_characters().restore(state) for one, state in zip(self._sets, states, strict=True)])
        if not fit:
            self._say("the words have changed since the run began: those without characters are divided equally until characters are found again")

    def _find(self, trainer: pl.Trainer, pl_module: pl.LightningModule, epoch: int) -> None:
        started = time.perf_counter()
        found: list[FoundInSet] = []
        if trainer.is_global_zero:
            detector = evaluated_copy(trainer, pl_module)
            look = partial(look_at, detector, trainer.strategy.root_device)
            found = [find_characters(look, one, self.schedule.height, SHOWN // len(self._sets), raise_if_stopped) for one in self._sets]
            sheet = self._draw(found, epoch)
            self._say(report_line(found, epoch, time.perf_counter() - started) + (f"; {sheet}" if sheet else ""))
        told = trainer.strategy.broadcast([(one.quads, one.counts, one.confidence) for one in found])
        for one, values in zip(self._sets, told, strict=True):
            one.room_for_characters().put(*(value.cpu() for value in values))

    def _draw(self, found: Sequence[FoundInSet], epoch: int) -> Path | None:
        words = [word for one in found for word in one.shown]
        if self._pictures is None or not words:
            return None
        path = self._pictures / f"characters_{epoch + 1:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, partial(draw_characters(words).save, format="PNG"))
        return path


def evaluated_copy(trainer: pl.Trainer, pl_module: pl.LightningModule) -> Any:
    """The detector as evaluations see it, on the device of the run: a copy, so that nothing of the training changes."""
    detector = deepcopy(detector_of(pl_module))
    averaging = find_callback(trainer, WeightAveraging)
    if averaging is not None and averaging.average():
        detector.load_state_dict(averaging.average())
    return detector.to(trainer.strategy.root_device).eval()


def look_at(detector: Any, device: torch.device, images: Tensor) -> Tensor:
    """Maps [B, 2, h, w] f32 on the CPU of uint8 images [B, C, H, W].

    Raises:
        UsageError: The detector gives no maps of characters.
    """
    with torch.inference_mode():
        outputs = detector(detector.image_stats.normalize(images.to(device)))
    if not hasattr(outputs, "maps"):
        raise UsageError(f"{type(detector).__name__} gives no maps of characters: only craft and craftlite do")
    maps: Tensor = outputs.maps.float().cpu()
    return maps


def report_line(found: Sequence[FoundInSet], epoch: int, seconds: float) -> str:
    """What was found, for the user."""
    lengths, counts, used = (torch.cat([getattr(one, name) for one in found]) for name in ("lengths", "found", "counts"))
    if not len(lengths):
        return f"characters for epoch {epoch + 1}: there is no word whose text is known and whose characters are not"
    confidence = torch.cat([one.confidence for one in found])
    equal, divided = int((lengths == counts).sum()), int((used == 0).sum())
    return (
        f"characters for epoch {epoch + 1}: {equal:,} of {len(lengths):,} words have as many as their texts ({equal / len(lengths):.1%}), mean confidence {float(confidence.mean()):.3f}, "
        f"{divided:,} are divided equally ({seconds:.0f} s)"
    )
