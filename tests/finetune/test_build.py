"""What the settings mean for a backbone with and without pretrained weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import FSDPStrategy

from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from finetune.build import build_detector, build_task, build_trainer, is_pretrained
from finetune.config import BackboneConfig, DataConfig, DetectorConfig, FreezeConfig, RunConfig, TrainConfig
from finetune.processes import SharedNorms


@pytest.mark.parametrize(("weights", "start", "expected"), [("imagenet", None, True), ("none", None, False), ("none", "run", True), ("file.pth", None, True)])
def test_what_counts_as_pretrained(weights: str, start: str | None, expected: bool) -> None:
    config = RunConfig(backbone=BackboneConfig(weights=weights), detector=DetectorConfig(weights=start))
    assert is_pretrained(config) is expected


def test_random_weights_are_not_frozen() -> None:
    config = RunConfig(
        data=DataConfig(input_size=(64, 64)), backbone=BackboneConfig("test_efficientnet", "none"), freeze=FreezeConfig("backbone", 0, "frozen")
    )
    detector = build_detector(config, 2)
    task = build_task(config, detector)
    assert all(parameter.requires_grad for parameter in detector.parameters())
    groups = task._groups(detector.backbone, detector.new_modules())
    assert {group["lr"] for group in groups} == {config.train.lr}
    detector.train()
    assert all(module.training for module in detector.modules())
    pretrained = build_task(replace(config, detector=DetectorConfig(weights="a run")), detector)  # the weights themselves are loaded elsewhere
    assert not any(parameter.requires_grad for parameter in detector.backbone.parameters())
    assert {group["lr"] for group in pretrained._groups(detector.backbone, []) } == {config.train.lr * config.train.backbone_lr_scale}


def test_shared_norms_are_refused_on_the_cpu_and_reach_the_trainer(tmp_path: Path) -> None:
    config = RunConfig(train=TrainConfig(accelerator="cpu", devices="2", sync_batchnorm=True))
    with pytest.raises(UsageError, match=r"train.sync_batchnorm works on GPUs only, and this run has 2 processes on the CPU: .*freeze.batchnorm frozen"):
        build_trainer(config, tmp_path, [])
    trainer = build_trainer(replace(config, train=replace(config.train, devices="1", strategy="ddp")), tmp_path, [])
    assert isinstance(trainer.strategy._layer_sync, SharedNorms)  # type: ignore[attr-defined]
    assert build_trainer(replace(config, train=replace(config.train, sync_batchnorm=False)), tmp_path, []).strategy._layer_sync is None  # type: ignore[attr-defined]


def test_a_strategy_that_cannot_follow_a_thaw_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(freeze=FreezeConfig("gradual"), train=TrainConfig(accelerator="cpu"))
    strategy = FSDPStrategy(accelerator=CPUAccelerator())
    monkeypatch.setattr(pl.Trainer, "strategy", strategy)
    with pytest.raises(UsageError, match="use ddp"):
        build_trainer(config, tmp_path, [])
    build_trainer(replace(config, freeze=FreezeConfig("stages", 2)), tmp_path, [])


def test_gradual_unfreezing_reaches_the_task() -> None:
    config = RunConfig(
        data=DataConfig(input_size=(64, 64)), backbone=BackboneConfig("test_efficientnet", "none"), detector=DetectorConfig(weights="a run"), freeze=FreezeConfig("gradual", 1, "train", (2, 0.5), 0.1)
    )
    task = build_task(config, build_detector(config, 2))
    assert task.policy == FreezePolicy("gradual", 1, "train", (2, 0.5), 0.1)


@pytest.mark.parametrize("detector", [pytest.param("ssdlite", marks=pytest.mark.slow), "craftlite"])
def test_the_first_detector_of_a_process_starts_as_all_others(detector: str) -> None:
    """An import that draws random numbers would move the weights of the first."""
    code = (
        "import sys, torch; from finetune.build import build_detector; from finetune.config import *\n"
        f"config = RunConfig(backbone=BackboneConfig('test_efficientnet', weights='none'), detector=DetectorConfig({detector!r}))\n"
        "sums = []\n"
        "for _ in range(2):\n"
        "    torch.manual_seed(0)\n"
        "    sums.append(sum(float(value.double().abs().sum()) for value in build_detector(config, 1).state_dict().values()))\n"
        "sys.exit(sums[0] != sums[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
