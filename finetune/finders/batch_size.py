"""The batch-size finder: memory and speed of training steps at growing batch sizes, with as many boxes as the data can bring."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from backbones.errors import UsageError
from finetune.config import RunConfig
from finetune.data.splits import DataSplits
from finetune.finders.batch_search import Sizes, search_sizes
from finetune.finders.memory import available_bytes, gibibytes
from finetune.finders.short_run import on_gpu
from finetune.finders.trial import TrialSetup
from finetune.finders.trial_process import TrialProcess
from finetune.finders.worst_case import WorstCase, worst_case

SHARE_OF_FREE = 0.9  # of the free memory: the rest is for loaders, the evaluation and other programs
_SECONDS = 60.0  # for the steps of all trials


@dataclass(frozen=True, eq=False)
class FoundSizes:
    """The answer of the finder.

    Args:
        sizes: Sizes that were tried, and the largest.
        free: Bytes that were free.
        source: What limits them.
        worst: The sample that filled the batches.
        config: Settings of the run.
        most: Images of the training split.
    """

    sizes: Sizes
    free: int | None
    source: str
    worst: WorstCase
    config: RunConfig
    most: int

    def lines(self) -> list[str]:
        """A table and what follows from it, for people."""
        own, efficient = self.config.data.batch_size, self.sizes.efficient
        lines = [
            f"batch size: a step of training (forward, backward, update) at each size, every picture with {self.worst.boxes} boxes, "
            f"the most that a training sample can have ({self.worst.boxes_of_picture} in {Path(self.worst.meta.source).name})",
            "  batch      memory      step   images/s",
        ]
        for trial in self.sizes.trials:
            notes = [note for note, holds in (("data.batch_size", trial.batch == own), ("most efficient", trial is efficient)) if holds]
            memory = "not known" if trial.bytes is None else gibibytes(trial.bytes)
            lines.append(f"  {trial.batch:>5}  {memory:>10}  {trial.seconds:>6.2f} s  {trial.images_per_second:>9.1f}" + (f"   <- {', '.join(notes)}" if notes else ""))
        return [*lines, self._largest_line(), *self._advice()]

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        efficient = self.sizes.efficient
        return {
            "trials": [{**asdict(trial), "images_per_second": trial.images_per_second} for trial in self.sizes.trials],
            "largest": self.sizes.largest,
            "largest_measured": self.sizes.measured,
            "ended_by": self.sizes.reason,
            "most_efficient": None if efficient is None else efficient.batch,
            "boxes_per_image": self.worst.boxes,
            "free_bytes": self.free,
            "free_bytes_of": self.source,
            "share_of_free": SHARE_OF_FREE,
        }

    def _largest_line(self) -> str:
        free = "" if self.free is None else f" into {SHARE_OF_FREE:.0%} of the {gibibytes(self.free)} that {self.source} has free"
        if not self.sizes.trials:
            return f"not even one image a step fits{free}: choose a smaller data.input_size or a lighter backbone.name"
        if self.sizes.largest is None:
            return f"largest that fits: at least {self.sizes.trials[-1].batch}; the memory of this system cannot be read, so nothing larger was tried than {_SECONDS:.0f} s allow"
        if self.sizes.reason == "images":
            return f"largest that fits: all {self.most} training images at once{free}"
        how = "tried" if self.sizes.measured else f"reckoned from the growth up to {self.sizes.trials[-1].batch}"
        return f"largest that fits: {self.sizes.largest} images a step{free} ({how})"

    def _advice(self) -> list[str]:
        train, own = self.config.train, self.config.data.batch_size
        if not self.sizes.trials:
            return []
        fits = self.sizes.largest is None or own <= self.sizes.largest
        lines = [] if fits else [f"data.batch_size {own} does not fit: take {self.sizes.largest} and set train.accumulate so that their product stays"]
        return [
            *lines,
            f"nothing was changed: data.batch_size is {own}. The recipe (train.lr {train.lr:g}, warm-up) was tuned for small batches, and a larger one takes fewer steps "
            "an epoch, which with few images costs accuracy; after a change find the rate again: --find lr",
        ]


def find_batch_size(config: RunConfig, splits: DataSplits, seconds: float = _SECONDS) -> FoundSizes:
    """Measure memory and speed at growing batch sizes, in processes of their own; nothing is written.

    Args:
        config: Settings of the run.
        splits: The data.
        seconds: Time for all steps; what takes longer is reckoned, not tried.

    Raises:
        UsageError: A device whose memory cannot be measured.
    """
    if not on_gpu(config) and config.train.accelerator not in ("auto", "cpu"):
        raise UsageError(f"--find batch_size measures CPU and CUDA memory, and train.accelerator is {config.train.accelerator}: try sizes by hand there, or --train.accelerator cpu")
    worst = worst_case(splits.get("train"), config.data)
    free, source = free_memory(on_gpu(config))
    setup = TrialSetup(config, len(splits.class_names), worst, torch.get_num_threads(), SHARE_OF_FREE)
    most = len(splits.get("train"))
    with TrialProcess(setup) as process:
        limit = None if free is None else int(SHARE_OF_FREE * free)
        sizes = search_sizes(process.measure, most, config.data.batch_size, limit, not on_gpu(config), seconds)
    return FoundSizes(sizes, free, source, worst, config, most)


def free_memory(gpu: bool) -> tuple[int | None, str]:
    """Bytes that could still be taken, None where unknown, and what limits them, for people."""
    if gpu:
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info()[0]), torch.cuda.get_device_name()
    available = available_bytes()
    return (None, "this machine") if available is None else (available.bytes, available.source)
