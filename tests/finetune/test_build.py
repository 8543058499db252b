"""What the settings mean for a backbone with and without pretrained weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finetune.build import build_detector, build_task, is_pretrained
from finetune.config import BackboneConfig, DataConfig, DetectorConfig, FreezeConfig, RunConfig


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
