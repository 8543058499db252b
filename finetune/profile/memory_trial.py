"""Forward passes at one batch size in a process of their own: nothing else has taken memory there, and running out of it does no harm."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from finetune.build import build_detector
from finetune.config import RunConfig
from finetune.finders.short_run import on_gpu
from finetune.finders.trial import answer, is_out_of_memory, limit_memory, peak_bytes, start_of_peak
from finetune.profile.device import autocast, wait_for
from finetune.profile.settings import ProfileSettings

_PASSES = 3  # the first fills the allocator, the best of the others is timed


@dataclass(frozen=True, eq=False)
class PassSetup:
    """What the process needs to know.

    Args:
        config: Settings of the detector.
        num_classes: Classes that it tells apart.
        input_hw: Height and width of the input in pixels.
        settings: Precision and memory format.
        threads: Of torch.
        share: Of the free memory that may be taken.
    """

    config: RunConfig
    num_classes: int
    input_hw: tuple[int, int]
    settings: ProfileSettings
    threads: int
    share: float


class _Passes:
    """The network without data, built once."""

    def __init__(self, setup: PassSetup) -> None:
        self._setup = setup
        self._gpu = on_gpu(setup.config)
        self._device = torch.device("cuda" if self._gpu else "cpu")
        self._format = torch.channels_last if setup.settings.channels_last else torch.contiguous_format
        self._detector = build_detector(setup.config, setup.num_classes, weights="none").eval().to(self._device, memory_format=self._format)
        limit_memory(setup.share, self._gpu)

    def measure(self, batch: int) -> dict[str, Any]:
        """Peak memory in bytes, what of it was taken before, and seconds of a pass; "seconds" is None where it did not fit."""
        resting = start_of_peak(self._gpu)
        try:
            seconds = self._run(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return {"bytes": None, "seconds": None}
        return {"bytes": peak_bytes(self._gpu), "seconds": seconds, "resting": resting}

    def _run(self, batch: int) -> float:
        images: Tensor = torch.zeros(batch, self._setup.config.data.channels, *self._setup.input_hw, device=self._device).to(memory_format=self._format)
        taken = []
        with torch.inference_mode(), autocast(self._setup.settings.precision, self._device):
            for _ in range(_PASSES):
                start = time.perf_counter()
                self._detector(images)
                wait_for(self._device)
                taken.append(time.perf_counter() - start)
        return min(taken[1:])


if __name__ == "__main__":
    answer(lambda setup: _Passes(setup).measure)
