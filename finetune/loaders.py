"""How samples are loaded: how many worker processes, and what they are told."""

from __future__ import annotations

import os
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from finetune.data.batch import collate

_TINY = 64  # images: starting workers takes longer than reading so few


def build_loader(samples: Dataset[Any], sampler: Any, batch_size: int, drop_last: bool, workers: int, collate_fn: Any = collate) -> DataLoader[Any]:
    """A loader whose workers live as long as it does, with one thread each."""
    return DataLoader(
        samples,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        collate_fn=collate_fn,
        pin_memory=torch.cuda.is_available(),
        drop_last=drop_last,
        worker_init_fn=_one_thread,
        persistent_workers=workers > 0,
    )


def automatic_workers(images: int, processes: int = 1) -> int:
    """Loader processes for each of ``processes`` on this machine, at most 8; none for tiny sets.

    One core prepares 250 pictures of 640 x 480 a second. Where one or two cores also train, that is a few per cent of a
    step, and worker processes would only take memory and cores from it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if images <= _TINY or (cores <= 2 and not torch.cuda.is_available()):
        return 0
    return min(8, max(1, cores // processes))


def _one_thread(worker: int) -> None:
    """Workers are the parallelism; threads inside them only fight for cores."""
    cv2.setNumThreads(0)
