"""Everything of a run but the run: some real steps and a decoded batch, and what the whole would take; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from backbones.freeze import count_parameters
from detectors.types import BoxDetections
from finetune.build import build_task, choose_precision
from finetune.callbacks.progress import duration
from finetune.config import RunConfig
from finetune.finders.batch_size import find_batch_size
from finetune.finders.lr_range import find_rate
from finetune.finders.memory import gibibytes, peak_resident_bytes
from finetune.finders.short_run import Repeated, heaviest, on_gpu, process_count, run_steps
from finetune.finders.snapshot import left_as_it_was
from finetune.finders.worst_case import worst_case
from finetune.load import choose_device
from finetune.run_log import RunLog
from finetune.start_report import found_line, level_lines
from finetune.training import Parts, prepare

_STEPS = 4  # the first pays for allocation, the median of the others is the time of a step
_VALIDATION_BATCHES = 2  # the same


@dataclass(frozen=True)
class _Costs:
    """What was measured: seconds of a training step with reading, of a validation batch with reading, and bytes."""

    step: float
    validation_batch: float
    memory: int | None


def dry_run(config: RunConfig, find: Sequence[str] = ()) -> dict[str, Any]:
    """Build a run, try some batches, and say what the whole takes.

    Args:
        config: All settings.
        find: "batch_size" and "lr" look for better ones.

    Returns:
        The same figures as JSON values.

    Raises:
        NonFiniteLossError: On the data as they are, with hardly any rate.
    """
    log = RunLog()
    parts = prepare(config, log)
    parts.data.without_cache()
    parts = replace(parts, config=replace(parts.config, data=replace(parts.config.data, cache="none")))
    config, detector, splits = parts.config, parts.detector, parts.data.splits
    log.say("shapes of one image (channels x height x width):", *(f"  {line}" for line in level_lines(detector, config)))
    with left_as_it_was(detector):
        losses, found, validation_batch = _validation_batch(parts)
        log.say(f"one batch of {config.data.batch_size}: " + ", ".join(f"{name} loss {value:.3f}" for name, value in losses.items()), found_line(found))
        costs = _costs(parts, validation_batch)
    seconds, line = _estimate(parts, costs)
    log.say(line)
    result: dict[str, Any] = {
        "dry_run": True,
        "params": count_parameters([detector])[0],
        "trainable_params": count_parameters([detector])[1],
        "losses": losses,
        "step_seconds": costs.step,
        "peak_memory_bytes": costs.memory,
        "estimated_seconds": seconds,
        "class_names": list(splits.class_names),
    }
    if "batch_size" in find:
        sizes = find_batch_size(config, splits)
        log.say("", *sizes.lines())
        result["batch_size_finder"] = sizes.to_json()
    if "lr" in find:
        test = find_rate(config, detector, splits)
        log.say("", *test.lines())
        result["lr_finder"] = test.to_json()
    log.say("", "dry run: nothing was written")
    return result


@torch.no_grad()
def _validation_batch(parts: Parts) -> tuple[dict[str, float], list[BoxDetections], float]:
    """Losses and detections of a batch as validation sees it, and the seconds of one with reading."""
    config, splits = parts.config, parts.data.splits
    device = choose_device("auto" if config.train.accelerator in ("auto", "gpu", "cuda") else config.train.accelerator)
    task, precision = parts.task.to(device).eval(), choose_precision(config.train.precision, config.train.accelerator)
    autocast = torch.autocast(device.type, dtype=torch.float16 if precision.startswith("16") else torch.bfloat16, enabled=precision.endswith("mixed"))
    batches = iter(parts.data.eval_loader("val" if splits.val is not None else "train"))
    seconds: list[float] = []
    while len(seconds) < _VALIDATION_BATCHES:
        started = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            break
        moved = batch.to(device)
        with autocast:
            outputs = task(moved.images)
        losses = {name: float(value) for name, value in task.detector.loss(outputs, moved.targets).items()}
        height, width = moved.images.shape[-2:]
        found = [detections.to("cpu") for detections in task.detector.decode(outputs, (height, width))]
        seconds.append(time.perf_counter() - started)
    return losses, found, min(seconds)


def _costs(parts: Parts, validation_batch: float) -> _Costs:
    """Train some steps on real batches, and one on the batch with most boxes."""
    config = heaviest(replace(parts.config, train=replace(parts.config.train, accumulate=1)))
    task = build_task(config, parts.detector)
    if on_gpu(config):
        torch.cuda.reset_peak_memory_stats()
    steps = run_steps(config, task, parts.data.train_dataloader(), _STEPS)
    run_steps(config, task, Repeated(worst_case(parts.data.splits.get("train"), config.data).batch(config.data.batch_size), 1), 1)
    later = sorted(steps.seconds[1:]) or steps.seconds
    return _Costs(later[len(later) // 2], validation_batch, torch.cuda.max_memory_allocated() if on_gpu(config) else peak_resident_bytes())


def _estimate(parts: Parts, costs: _Costs) -> tuple[float, str]:
    """Seconds of training and validation, and the line that says so."""
    config, splits = parts.config, parts.data.splits
    train, processes = config.train, process_count(config)
    steps = -(-len(parts.data.train_dataloader()) // processes)
    val_batches = -(-len(splits.val) // (config.data.batch_size * processes)) if splits.val is not None else 0
    validations = -(-train.epochs // train.evaluate_every)
    seconds = train.epochs * steps * costs.step + validations * val_batches * costs.validation_batch
    memory = "not known on this system" if costs.memory is None else f"{gibibytes(costs.memory)} ({'GPU' if on_gpu(config) else 'process'})"
    return seconds, (
        f"peak memory {memory}; a training step takes about {costs.step:.2f} s, {train.epochs} epochs of {steps} steps"
        f"{f' with {validations} validations' if val_batches else ''} about {duration(seconds)} on this machine as busy as it is now"
    )


