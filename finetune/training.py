"""Fine-tuning from settings to a finished run folder."""

from __future__ import annotations

import math
import os
import shlex
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from backbones.errors import DataError, FinetuneError, UsageError
from backbones.freeze import count_parameters
from finetune.build import build_datamodule, build_detector, build_preprocess, build_task, build_trainer, choose_precision, is_pretrained, quiet_lightning
from finetune.budget import with_budget
from finetune.callbacks.checkpoints import Checkpoints, checkpoint_size
from finetune.callbacks.early_stop import EarlyStop
from finetune.callbacks.guard import NonFiniteReport
from finetune.callbacks.progress import ProgressLines
from finetune.callbacks.table import MetricsTable
from finetune.config import RunConfig
from finetune.datamodule import DetectionDataModule
from finetune.finish import finish_run
from finetune.record import RunRecord, load_record
from finetune.run_folder import RunFolder
from finetune.run_log import RunLog
from finetune.start_report import class_lines, freeze_lines, model_lines, plan_line
from finetune.start_weights import load_start_weights
from finetune.task import DetectionTask
from finetune.weights_file import WeightsInfo, save_weights

_FOLDER_VARIABLE = "FINETUNE_RUN_FOLDER"  # the first process tells those that a strategy starts
_MIXED = 0.85  # share of the budget with mosaic, mixup and copy-paste, where they are on (YOLOX, arXiv:2107.08430: all but the last 15 of 300 epochs)
_TENSORS_PER_WEIGHT = {"sgd": 1, "adamw": 2}


class InterruptedRunError(FinetuneError):
    """The user stopped a run."""

    exit_code = 130


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
        UsageError: Settings that do not work, or a folder that exists.
        DataError: Data that cannot be used.
        InterruptedRunError: The user stopped it; the message tells how to go on.
        FinetuneError: The loss is not finite, or the memory or the disk ran out.
    """
    log = RunLog(quiet=not is_first_process())
    if out is not None and is_first_process():
        RunFolder.check_free(Path(out))  # before minutes of reading data
    parts = prepare(config, log)
    return _train(parts, _create_folder(parts, out), resumed=False)


def resume(path: str | Path) -> RunRecord:
    """Continue a run from its last finished epoch, with its own settings.

    Args:
        path: Run folder.

    Returns:
        The record of the run; of one that is finished already, the one on disk.

    Raises:
        UsageError: No run folder, or no epoch of it was finished.
    """
    folder = RunFolder.open(path)
    log = RunLog(quiet=not is_first_process())
    if folder.record.is_file():
        record = load_record(folder.record)
        log.say(f"{folder.root} is finished ({record.epochs} epochs): nothing to resume. Score it with: finetune evaluate {shlex.quote(str(folder.root))}")
        return record
    if not folder.last.is_file():
        raise UsageError(f"{folder.root} has no finished epoch to resume from: delete it and start again, its settings are in {folder.config}")
    log.keep_in(folder.log)
    log.say(f"resuming {folder.root} after its last finished epoch")
    return _train(prepare(folder.load_config(), log), folder, resumed=True)


def prepare(config: RunConfig, log: RunLog) -> Parts:
    """Read the data, build the detector and the task, and say what they are."""
    torch.manual_seed(config.seed)
    data = build_datamodule(config)
    data.setup("fit")
    splits = data.splits
    log.say(*splits.summary, *class_lines(splits.class_map))
    if splits.train is None:
        raise DataError(f"{config.data.root} has no training split (it has {', '.join(n for n in ('val', 'test') if getattr(splits, n) is not None)}): set data.train")
    config = with_budget(config, len(splits.train))
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


def _create_folder(parts: Parts, out: str | Path | None) -> RunFolder:
    if not is_first_process():
        return RunFolder(Path(os.environ.get(_FOLDER_VARIABLE, out or "runs")))
    size = sum(t.numel() * t.element_size() for t in parts.detector.state_dict().values())
    needed = checkpoint_size(size, _TENSORS_PER_WEIGHT[parts.config.train.optimizer], parts.config.train.ema > 0)
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]
    folder = RunFolder.create(out, parts.config, {"devices": devices, "threads": torch.get_num_threads()}, needed)
    os.environ[_FOLDER_VARIABLE] = str(folder.root.resolve())
    parts.log.keep_in(folder.log)
    return folder


def _train(parts: Parts, folder: RunFolder, resumed: bool) -> RunRecord:
    config, data, started = parts.config, parts.data, time.perf_counter()

    def save(path: Path, state: Mapping[str, Tensor], epoch: int) -> None:
        info = WeightsInfo(config, data.splits.class_names, data.splits.category_ids, parts.detector.image_stats, build_preprocess(config), epoch)
        save_weights(path, state, info)

    table = MetricsTable(folder)
    checkpoints = Checkpoints(folder, save, lambda: time.perf_counter() - started)
    callbacks: list[pl.Callback] = [table, ProgressLines(parts.log), NonFiniteReport(folder), checkpoints]
    if config.train.early_stop:
        callbacks.append(EarlyStop(config.train.early_stop))
    with quiet_lightning():
        trainer = build_trainer(config, folder.root, callbacks)
        images = len(data.splits.get("train"))
        steps = max(1, math.ceil(len(data.train_dataloader()) / (trainer.world_size * config.train.accumulate)))
        precision = choose_precision(config.train.precision, config.train.accelerator)
        parts.log.say(plan_line(config, images, steps, trainer.world_size, precision, _device_name(trainer)), f"run folder: {folder.root}", "")
        _run_trainer(trainer, parts, folder, resumed)
    params = count_parameters([parts.detector])
    if trainer.is_global_zero:
        finish_run(folder, config, data.splits, checkpoints, table, params, parts.log)
    trainer.strategy.barrier("finish")
    os.environ.pop(_FOLDER_VARIABLE, None)
    return load_record(folder.record)


def _run_trainer(trainer: pl.Trainer, parts: Parts, folder: RunFolder, resumed: bool) -> None:
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(parts.task, datamodule=parts.data, ckpt_path=str(folder.last) if resumed else None, weights_only=True if resumed else None)
    except torch.OutOfMemoryError as error:
        raise FinetuneError(
            f"the GPU ran out of memory at {parts.config.data.batch_size} images of {parts.config.data.input_size} a step: halve data.batch_size and double train.accumulate"
        ) from error
    except (SystemExit, KeyboardInterrupt) as error:  # Lightning turns Ctrl-C into an exit
        if trainer.state.status != "interrupted":
            raise
        signal.signal(signal.SIGINT, on_interrupt)
        raise InterruptedRunError(_interrupted(folder)) from error


def _interrupted(folder: RunFolder) -> str:
    if folder.last.is_file():
        return f"stopped; continue from the last finished epoch with: finetune train --resume {shlex.quote(str(folder.root))}"
    return f"stopped before the first epoch was finished: there is nothing to resume, {folder.root} can be deleted"


def _device_name(trainer: pl.Trainer) -> str:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type
    return name if trainer.world_size == 1 else f"{trainer.world_size} x {name}"


def is_first_process() -> bool:
    """Whether this process is the one that prints and writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
