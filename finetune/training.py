"""Fine-tuning from settings to a finished run folder."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from backbones.catalog import find_entry
from backbones.errors import DataError
from backbones.freeze import count_parameters
from backbones.zoo import provider_name
from finetune.allocator import keep_freed_memory
from finetune.budget import with_budget
from finetune.build import build_datamodule, build_detector, build_preprocess, build_task, build_trainer, choose_precision, is_pretrained, quiet_lightning
from finetune.callbacks.checkpoints import Checkpoints, checkpoint_size
from finetune.callbacks.early_stop import EarlyStop
from finetune.callbacks.guard import NonFiniteReport
from finetune.callbacks.progress import ProgressLines
from finetune.callbacks.stop import StopCheck, end_processes
from finetune.callbacks.table import MetricsTable
from finetune.callbacks.watchers import watchers
from finetune.config import RunConfig
from finetune.datamodule import DetectionDataModule
from finetune.features.use import remove_features, use_features
from finetune.finish import finish_run
from finetune.new_run import check_space, new_run
from finetune.overfit import opening_lines, with_overfit
from finetune.record import RunRecord, load_record
from finetune.resuming import SavedState, data_facts, held_again
from finetune.run_ends import faults_in_a_line, stops_in_a_line
from finetune.run_folder import RunFolder
from finetune.run_log import RunLog
from finetune.start_report import class_lines, freeze_lines, model_lines, plan_line
from finetune.start_weights import load_start_weights
from finetune.stopping import InterruptedRunError, Stopped, stop_signals
from finetune.task import DetectionTask
from finetune.weights_file import WeightsInfo, save_weights

_FOLDER_VARIABLE = "FINETUNE_RUN_FOLDER"  # the first process tells those that a strategy starts
_MIXED = 0.85  # share of the budget with mosaic, mixup and copy-paste, where they are on (YOLOX, arXiv:2107.08430: all but the last 15 of 300 epochs)
_TENSORS_PER_WEIGHT = {"sgd": 1, "adamw": 2}


@dataclass(frozen=True, eq=False)
class Parts:
    """Everything a run is made of before it trains."""

    config: RunConfig
    data: DetectionDataModule
    detector: Any
    task: DetectionTask
    log: RunLog


def fit(config: RunConfig, out: str | Path | None = None) -> RunRecord:
    """Fine-tune one detector and write its run folder.

    Args:
        config: All settings.
        out: Run folder to create; None takes the next free runs/<data>-<backbone>-<n>. Never overwritten.

    Returns:
        The record of the run.

    Raises:
        UsageError: Settings that do not work, a folder that exists or cannot be written, or a disk that is too full.
        DataError: Data that cannot be used.
        InterruptedRunError: The user stopped it; the message tells how to go on.
        FinetuneError: The loss is not finite, or the memory or the disk ran out.
    """
    log = RunLog(quiet=not is_first_process())
    if not is_first_process():
        folder = RunFolder(Path(os.environ.get(_FOLDER_VARIABLE, out or "runs")))
        with stop_signals(), stops_in_a_line(folder):
            return _train(_Run(prepare(config, log), folder, SavedState()))
    try:
        with stop_signals(), new_run(out, config, _environment(), _least_bytes(config)) as new, stops_in_a_line(new.folder):
            os.environ[_FOLDER_VARIABLE] = str(new.folder.root.resolve())
            log.keep_in(new.folder.log)
            parts = prepare(config, log)
            check_space(new.folder.root, _needed_bytes(parts))
            run = _Run(parts, new.folder, SavedState())
            new.began = True
            return _train(run)
    except Stopped as stop:
        raise InterruptedRunError("stopped before the run began: nothing was written", stop.signum) from stop
    finally:
        os.environ.pop(_FOLDER_VARIABLE, None)


def resume(path: str | Path) -> RunRecord:
    """Continue a run from its last finished epoch, or from its beginning when there is none, with its own settings.

    Args:
        path: Run folder.

    Returns:
        The record of the run; of one that is finished already, the one on disk.

    Raises:
        UsageError: No run folder, or another process trains in it.
        DataError: The classes are no longer those of the run.
        InterruptedRunError: The user stopped it again.
        FinetuneError: As for ``fit``.
    """
    folder = RunFolder.open(path)
    log = RunLog(quiet=not is_first_process())
    if folder.record.is_file():
        record = load_record(folder.record)
        log.say(f"{folder.root} is finished ({record.epochs} epochs): nothing to resume. Score it with: finetune evaluate {shlex.quote(str(folder.root))}")
        return record
    with stop_signals(), stops_in_a_line(folder), held_again(folder, is_first_process()):
        config = folder.load_config()
        saved = SavedState.read(folder)
        log.keep_in(folder.log)
        log.say("", *saved.lines(folder, config))
        parts = prepare(config, log)
        log.say(*saved.check_data(parts.data.splits, parts.data.sources))
        return _train(_Run(parts, folder, saved))


def prepare(config: RunConfig, log: RunLog) -> Parts:
    """Read the data, build the detector and the task, and say what they are."""
    torch.manual_seed(config.seed)
    config = with_overfit(config)
    data = build_datamodule(config)
    data.setup("fit")
    splits = data.splits
    log.say(*data.summary, *class_lines(splits.class_map), *opening_lines(config))
    if splits.train is None:
        raise DataError(f"{config.data.root} has no training split (it has {', '.join(n for n in ('val', 'test') if getattr(splits, n) is not None)}): set data.train")
    config = with_budget(config, data.train_images)
    data.mix_until(round(_MIXED * config.train.epochs))
    start = config.detector.weights
    detector = build_detector(config, len(splits.class_names), weights="none" if start else None)
    if start:
        log.say(*load_start_weights(detector, start, splits.class_names, config.detector.keep_classes))
    task = build_task(config, detector)
    if not is_pretrained(config):
        log.say("the backbone starts from random weights: nothing is frozen and it learns at the full rate, whatever the settings for pretrained ones say")
    log.say(*model_lines(detector, config), *freeze_lines(task, config.train.epochs))
    return Parts(config, data, detector, task, log)


def _environment() -> dict[str, Any]:
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]
    return {"devices": devices, "threads": torch.get_num_threads()}


def _least_bytes(config: RunConfig) -> int:
    """Space for a run as far as it is known before the data are: without pyramid and head, and only for a backbone of the catalog."""
    entry = find_entry(provider_name(config.backbone.name))
    return _run_bytes(config, 4 * entry.params if entry is not None else 0)


def _needed_bytes(parts: Parts) -> int:
    return _run_bytes(parts.config, sum(t.numel() * t.element_size() for t in parts.detector.state_dict().values()))


def _run_bytes(config: RunConfig, detector_bytes: int) -> int:
    return checkpoint_size(detector_bytes, _TENSORS_PER_WEIGHT[config.train.optimizer], config.train.ema > 0)


class _Run:
    """A trainer with its callbacks over the parts of a run.

    Args:
        parts: Data, detector and task.
        folder: Where the run writes.
        saved: What an interrupted process left.

    Raises:
        UsageError: Trainer settings that do not work.
    """

    def __init__(self, parts: Parts, folder: RunFolder, saved: SavedState) -> None:
        self.parts, self.folder, self.saved = parts, folder, saved
        config, splits, started = parts.config, parts.data.splits, time.perf_counter()

        def save(path: Path, state: Mapping[str, Tensor], epoch: int) -> None:
            info = WeightsInfo(config, splits.class_names, splits.category_ids, parts.detector.image_stats, build_preprocess(config), epoch)
            save_weights(path, state, info)

        self.table = MetricsTable(folder)
        self.checkpoints = Checkpoints(folder, save, lambda: time.perf_counter() - started, data_facts(splits, parts.data.sources))
        callbacks: list[pl.Callback] = [StopCheck(), self.table, ProgressLines(parts.log), NonFiniteReport(folder), self.checkpoints]
        if config.train.early_stop:
            callbacks.append(EarlyStop(config.train.early_stop))
        callbacks += watchers(config, folder, parts.log)
        with quiet_lightning():
            self.trainer = build_trainer(config, folder.root, callbacks)


def _train(run: _Run) -> RunRecord:
    keep_freed_memory()
    config, data, log, folder, trainer = run.parts.config, run.parts.data, run.parts.log, run.folder, run.trainer
    images = data.train_images
    steps = max(1, math.ceil(len(data.train_dataloader()) / (trainer.world_size * config.train.accumulate)))
    precision = choose_precision(config.train.precision, config.train.accelerator)
    log.say(plan_line(config, images, steps, trainer.world_size, precision, _device_name(trainer)), f"run folder: {folder.root}", "")
    with faults_in_a_line(folder, config):
        if trainer.is_global_zero and run.saved.checkpoint is None:
            folder.save_config(config)  # the budget is known only with the data
        use_features(config, run.parts.task, data, folder.root, log, trainer.strategy.root_device, trainer.precision_plugin.forward_context)
        try:
            with quiet_lightning():
                trainer.fit(run.parts.task, datamodule=data, ckpt_path=run.saved.checkpoint, weights_only=True if run.saved.checkpoint else None)
            if trainer.is_global_zero:
                run.parts.task.policy.apply(run.parts.detector.backbone, run.checkpoints.finished - 1, config.train.epochs)  # of a run with no epoch left to train, too
                finish_run(folder, config, data.splits, run.checkpoints, run.table, count_parameters([run.parts.detector]), log)
                remove_features(config, folder.root)
        except BaseException:
            end_processes(trainer)
            raise
        record: Any = load_record(folder.record) if trainer.is_global_zero else None
        return trainer.strategy.broadcast(record)


def _device_name(trainer: pl.Trainer) -> str:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type
    return name if trainer.world_size == 1 else f"{trainer.world_size} x {name}"


def is_first_process() -> bool:
    """Whether this process is the one that prints and writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
