"""Everything of a run but the run: one real batch forward, backward and decoded; nothing is written."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from backbones.freeze import count_parameters
from detectors.types import Batch
from finetune.build import choose_precision
from finetune.callbacks.progress import duration
from finetune.config import RunConfig
from finetune.load import choose_device
from finetune.run_log import RunLog
from finetune.start_report import found_line, level_lines
from finetune.task import DetectionTask, NonFiniteLossError
from finetune.training import prepare

_BACKWARD_STEPS = 2  # the first pays for allocation, the second is timed


def dry_run(config: RunConfig) -> dict[str, Any]:
    """Build a run, try one training batch, and say what it takes.

    Args:
        config: All settings.

    Returns:
        The same figures as JSON values.
    """
    log = RunLog()
    parts = prepare(config, log)
    config = parts.config  # the budget is known now
    device = choose_device("auto" if config.train.accelerator in ("auto", "gpu", "cuda") else config.train.accelerator)
    task, detector = parts.task.to(device), parts.detector
    log.say("shapes of one image (channels x height x width):", *(f"  {line}" for line in level_lines(detector, config)))
    batch = next(iter(parts.data.train_dataloader()))
    moved = batch.to(device)
    precision = choose_precision(config.train.precision, config.train.accelerator)
    autocast = torch.autocast(device.type, dtype=torch.float16 if precision.startswith("16") else torch.bfloat16, enabled=precision.endswith("mixed"))
    outputs, losses, seconds = _timed_steps(task, moved, autocast)
    height, width = moved.images.shape[-2:]
    with torch.no_grad():
        started = time.perf_counter()
        found = detector.decode(outputs, (height, width))
        decode_seconds = time.perf_counter() - started
    log.say(f"one batch of {len(batch.metas)}: " + ", ".join(f"{name} loss {float(value.detach()):.3f}" for name, value in losses.items()), found_line(found))
    estimate = _estimate(config, parts.data.splits, seconds, decode_seconds)
    memory = _peak_memory(device)
    params, trainable = count_parameters([detector])
    log.say(
        f"peak memory {memory / 2**20:,.0f} MiB ({'GPU' if device.type == 'cuda' else 'process'}); a training step takes about {seconds:.2f} s, "
        f"{config.train.epochs} epochs with validation about {duration(estimate)} (reading images not counted)",
        "dry run: nothing was written",
    )
    return {
        "dry_run": True,
        "params": params,
        "trainable_params": trainable,
        "losses": {name: float(value.detach()) for name, value in losses.items()},
        "step_seconds": seconds,
        "peak_memory_bytes": memory,
        "estimated_seconds": estimate,
        "class_names": list(parts.data.splits.class_names),
    }


def _timed_steps(task: DetectionTask, batch: Batch, autocast: torch.autocast) -> tuple[Any, Mapping[str, Tensor], float]:
    """Forward and backward passes over one batch: outputs and losses of the last, and its seconds."""
    seconds = 0.0
    for _ in range(_BACKWARD_STEPS):
        task.detector.zero_grad()
        started = time.perf_counter()
        with autocast:
            outputs = task(batch.images)
        losses = task.detector.loss(outputs, batch.targets)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise NonFiniteLossError({k: float(v.detach()) for k, v in losses.items()}, [m.image_id for m in batch.metas], [m.source for m in batch.metas], 0, 0)
        total.backward()
        seconds = time.perf_counter() - started
    return outputs, losses, seconds


def _estimate(config: RunConfig, splits: Any, seconds: float, decode_seconds: float) -> float:
    """Training steps, and validations at a third of a step (no backward pass) plus decoding."""
    batch, train = config.data.batch_size, config.train
    val_batches = math.ceil(len(splits.val) / batch) if splits.val is not None else 0
    validations = math.ceil(train.epochs / train.evaluate_every)
    return train.epochs * math.ceil(len(splits.train) / batch) * seconds + validations * val_batches * (seconds / 3 + decode_seconds)


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
