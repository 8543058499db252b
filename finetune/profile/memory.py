"""Peak memory of inference and training, and the largest batches that fit, by the trial processes of the batch-size finder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from detectors.registry import TEXT_DETECTORS
from detectors.types import BoxTarget, ImageMeta, TextTarget
from finetune.config import RunConfig
from finetune.finders.batch_search import Trial, search_sizes
from finetune.finders.batch_size import SHARE_OF_FREE, free_memory
from finetune.finders.trial import TrialSetup
from finetune.finders.trial_process import TrialProcess
from finetune.finders.worst_case import WorstCase
from finetune.profile.memory_trial import PassSetup
from finetune.profile.record import Memory, Peak
from finetune.profile.settings import ProfileSettings
from finetune.profile.subject import ProfileSubject

MOST_IMAGES = 1024  # no larger batch is looked for
_OBJECTS_A_SIDE = 4  # of the drawn training picture: 16 boxes or words


def measure_memory(subject: ProfileSubject, settings: ProfileSettings, device: torch.device) -> Memory:
    """Peaks at batch 1 (inference) and at the batch of the settings (training), and the largest batches that fit.

    Args:
        subject: What is measured; the processes build it again from its settings.
        settings: Precision, threads, and the time for each search.
        device: Where it computes.
    """
    gpu = device.type == "cuda"
    config = replace(subject.config, train=replace(subject.config.train, accelerator="gpu" if gpu else "cpu"))
    free, source = free_memory(gpu)
    limit = None if free is None else int(SHARE_OF_FREE * free)
    threads = settings.threads or torch.get_num_threads()
    passes = PassSetup(config, subject.num_classes, subject.input_hw, settings, threads, SHARE_OF_FREE)
    steps = TrialSetup(config, subject.num_classes, drawn_sample(config), threads, SHARE_OF_FREE)
    with TrialProcess(passes, "finetune.profile.memory_trial") as process:
        inference = _peak(process.measure, 1, subject.input_hw, limit, gpu, settings.seconds)
    with TrialProcess(steps) as process:
        training = _peak(process.measure, config.data.batch_size, config.data.input_size, limit, gpu, settings.seconds)
    return Memory("allocator" if gpu else "resident", inference, training, limit, source)


def _peak(measure: Callable[[int], Trial | None], own: int, input_hw: tuple[int, int], limit: int | None, gpu: bool, seconds: float) -> Peak | None:
    """Search, and what the batch ``own`` took, or the largest one below it that fits."""
    sizes = search_sizes(measure, MOST_IMAGES, own, limit, not gpu, seconds)
    fitting = [trial for trial in sizes.trials if trial.batch <= own]
    if not fitting:
        return None
    trial = fitting[-1]
    return Peak(trial.batch, input_hw, trial.bytes, trial.resting, 1000 * trial.seconds, sizes.largest, sizes.measured)


def drawn_sample(config: RunConfig) -> WorstCase:
    """A picture of noise with 16 boxes, or words of four characters, in a grid."""
    height, width = config.data.input_size
    image = torch.randint(0, 256, (config.data.channels, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    meta = ImageMeta(0, "", (height, width), (height, width), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    rows, columns = torch.meshgrid(torch.arange(_OBJECTS_A_SIDE), torch.arange(_OBJECTS_A_SIDE), indexing="ij")
    corner = torch.stack([columns.flatten() * width, rows.flatten() * height], 1) / _OBJECTS_A_SIDE
    side = torch.tensor([0.6 * width, 0.4 * height]) / _OBJECTS_A_SIDE
    boxes = torch.cat([corner, corner + side], 1)
    count = len(boxes)
    if config.detector.name not in TEXT_DETECTORS:
        return WorstCase(image, BoxTarget(boxes, torch.zeros(count, dtype=torch.int64), torch.zeros(count, dtype=torch.bool)), meta, count)
    letters = torch.tensor([side[0] / 4, 0.0])
    characters = torch.stack([torch.cat([corner + index * letters, corner + index * letters + torch.stack([side[0] / 4, side[1]])], 1) for index in range(4)], 1).flatten(0, 1)
    target = TextTarget(
        _quads(boxes), torch.zeros(count, dtype=torch.bool), ("word",) * count, char_quads=_quads(characters), char_words=torch.arange(count).repeat_interleave(4)
    )
    return WorstCase(image, target, meta, count)


def _quads(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes [N, 4] as quads [N, 4, 2], clockwise from the top-left corner."""
    return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
