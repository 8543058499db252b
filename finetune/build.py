"""From settings to objects: the last place that sees a config."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from logging import ERROR, getLogger
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from backbones import create_backbone
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from detectors.registry import TEXT_DETECTORS, create_detector
from finetune.backbone_weights import fill_backbone, is_detector
from finetune.config import RunConfig
from finetune.data.preprocess import Preprocess
from finetune.data.text_preprocess import TextPreprocess
from finetune.datamodule import DetectionDataModule
from finetune.processes import SharedNorms, check_follows, check_shared_norms
from finetune.task import DetectionTask

_LOGGERS = {
    "tensorboard": ("tensorboard", lambda folder: TensorBoardLogger(folder.parent, name=folder.name, version="tensorboard")),
    "wandb": ("wandb", lambda folder: WandbLogger(save_dir=folder, name=folder.name)),
    "mlflow": ("mlflow", lambda folder: MLFlowLogger(run_name=folder.name, save_dir=str(folder / "mlruns"))),
}
_HARMLESS = (
    r".*in eval mode at the start of training.*",  # frozen norms are meant to be
    r".*does not have many workers.*",
    r".*smaller than the logging interval.*",
    r".*LeafSpec.*",
    r".*It is recommended to use .*sync_dist=True.*",  # figures are the same on every process already
    r".*Total length of .* is zero.*",  # no validation split
    r".*lr_scheduler\.step.*before.*optimizer\.step.*",  # fp16 skips its first steps while it looks for a scale
)


def build_backbone(config: RunConfig, weights: str | None = None) -> Any:
    """The backbone of a run; ``weights`` replaces what the settings say.

    Raises:
        UsageError: An unknown name, or an input size that it cannot take.
    """
    data = config.data
    backbone = create_backbone(config.backbone.name, weights=weights or config.backbone.weights, taps=config.backbone.taps, in_channels=data.channels, input_size=data.input_size)
    backbone.size_rule.check(data.input_size, config.backbone.name)
    return backbone


def build_detector(config: RunConfig, num_classes: int, weights: str | None = None) -> Any:
    """The detector of a run, over a backbone with ``weights`` (default: those of the settings)."""
    name = config.detector.name
    if name == "craft":
        return create_detector(name, None, **_craft_settings(config))
    trained = weights is None and is_detector(config.backbone.weights)
    backbone = build_backbone(config, "none" if trained else weights)
    if name in TEXT_DETECTORS:
        detector = create_detector(name, backbone, **_craft_settings(config))
    else:
        detector = create_detector(name, backbone, num_classes=num_classes, input_size=config.data.input_size, pyramid=asdict(config.pyramid), **asdict(config.ssdlite))
    if trained:
        fill_backbone(detector, config.backbone.weights, config.backbone.name, config.data.channels)
    return detector


def _craft_settings(config: RunConfig) -> dict[str, Any]:
    """Arguments of the builders of CRAFT and CRAFT-lite; what is left to the detector is left out."""
    settings = asdict(config.craft)
    shape = {"widths": settings.pop("widths"), "head_width": settings.pop("head_width"), "depthwise": settings.pop("depthwise")}
    for name in ("canvas", "mag_ratio", "pseudo_every", "pseudo_start", "pseudo_height"):  # of the input and of the training
        del settings[name]
    return settings if config.detector.name == "craft" else {**settings, **{key: value for key, value in shape.items() if value}}


def build_preprocess(config: RunConfig) -> Preprocess | TextPreprocess:
    """How pictures reach the network in evaluation and prediction."""
    if config.detector.name in TEXT_DETECTORS:
        return TextPreprocess(config.craft.canvas, config.craft.mag_ratio, channels=config.data.channels)
    return Preprocess(config.data.input_size, config.data.resize, config.data.channels)


def build_datamodule(config: RunConfig) -> DetectionDataModule:
    """The data of a run."""
    return DetectionDataModule(config.data, seed=config.seed, preprocess=build_preprocess(config))


def is_pretrained(config: RunConfig) -> bool:
    """Whether there is anything to keep: without pretrained weights nothing is frozen and the backbone has the full rate."""
    return config.backbone.weights != "none" or config.detector.weights is not None


def build_task(config: RunConfig, detector: Any) -> DetectionTask:
    """The training task of a run."""
    train, freeze = config.train, config.freeze
    pretrained = is_pretrained(config)
    return DetectionTask(
        detector,
        freeze=FreezePolicy(freeze.policy, freeze.stages, freeze.batchnorm, freeze.thaw, freeze.thaw_warmup) if pretrained else FreezePolicy(),
        optimizer=train.optimizer,
        lr=train.lr,
        backbone_lr_scale=train.backbone_lr_scale if pretrained else 1.0,
        layer_decay=train.layer_decay if pretrained else 1.0,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        schedule=train.schedule,
        milestones=train.milestones,
        warmup=train.warmup,
        channels_last=train.channels_last,
        ema=train.ema,
        protocols=config.evaluate.protocols,
        seed=config.seed,
    )


def build_trainer(config: RunConfig, folder: Path, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """A Lightning trainer without its own bar, checkpoints, logger and chatter.

    Args:
        config: Settings of the run.
        folder: Run folder, where extra loggers write.
        callbacks: Ours.

    Raises:
        UsageError: A trainer setting that Lightning refuses, or a logger that is unknown or not installed.
    """
    train = config.train
    loggers = [build_logger(name, folder) for name in train.loggers]
    try:
        trainer = pl.Trainer(
            accelerator=train.accelerator,
            devices=train.devices,
            num_nodes=train.num_nodes,
            strategy=train.strategy,
            plugins=[SharedNorms()] if train.sync_batchnorm else None,
            precision=choose_precision(train.precision, train.accelerator),  # type: ignore[arg-type]
            logger=loggers or False,
            callbacks=list(callbacks),
            max_epochs=train.epochs,
            accumulate_grad_batches=train.accumulate,
            gradient_clip_val=train.clip_norm or None,
            check_val_every_n_epoch=train.evaluate_every,
            log_every_n_steps=10,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the datamodule shards
            enable_progress_bar=False,
            enable_checkpointing=any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks),
            enable_model_summary=False,
            default_root_dir=folder,
        )
    except (ValueError, TypeError, RuntimeError) as error:  # Lightning's MisconfigurationException is one of Exception
        raise UsageError(f"the trainer refuses these settings: {str(error).splitlines()[0]}; see train.accelerator, devices, strategy and precision") from error
    except pl.utilities.exceptions.MisconfigurationException as error:
        raise UsageError(f"the trainer refuses these settings: {str(error).splitlines()[0]}; see train.accelerator, devices, strategy and precision") from error
    if train.sync_batchnorm:
        check_shared_norms(trainer)
    if config.freeze.policy == "gradual" and is_pretrained(config):
        check_follows(trainer.strategy)
    return trainer


def build_logger(name: str, folder: Path) -> Logger:
    """A Lightning logger by name.

    Raises:
        UsageError: Unknown, or its package is not installed.
    """
    if name not in _LOGGERS:
        near = difflib.get_close_matches(name, _LOGGERS, n=1)
        raise UsageError(f"no logger is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else "") + f" There are: {', '.join(sorted(_LOGGERS))}")
    package, create = _LOGGERS[name]
    try:
        return create(folder)
    except ImportError as error:
        raise UsageError(f"the logger {name} needs a package that is not installed: pip install {package}") from error


def choose_precision(precision: str, accelerator: str) -> str:
    """"auto" is bf16 on a GPU that has it in hardware, else 32 bits."""
    if precision != "auto":
        return precision
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's remarks and warnings about things that are meant to be so."""
    loggers = [getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with catch_warnings():
        for message in _HARMLESS:
            filterwarnings("ignore", message)
        for logger in loggers:
            logger.setLevel(ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
