"""A backbone that another detector trained is a start for a new one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backbones.errors import UsageError
from backbones.types import ImageStats
from finetune.backbone_weights import is_detector
from finetune.build import build_detector, build_preprocess
from finetune.config import BackboneConfig, DataConfig, DetectorConfig, RunConfig
from finetune.config_file import with_absolute_paths
from finetune.weights_file import WeightsInfo, save_weights

_STATS = ImageStats((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def _config(detector: str, weights: str = "none", backbone: str = "test_efficientnet") -> RunConfig:
    data = DataConfig(input_size=(64, 64))
    return RunConfig(data=data, backbone=BackboneConfig(backbone, weights), detector=DetectorConfig(detector))


def _saved(path: Path, detector: str) -> dict[str, Tensor]:
    """A file of a detector with random numbers in its backbone, which come back by name."""
    torch.manual_seed(1)
    config = _config(detector)
    model = build_detector(config, 1)
    for tensor in model.pyramid.backbone.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 1.5)
    save_weights(path, model.state_dict(), WeightsInfo(config, ("text",), (1,), _STATS, build_preprocess(config)))
    return dict(model.pyramid.backbone.state_dict())


@pytest.mark.parametrize(("old", "new"), [("craftlite", "craftlite-tiny"), ("craftlite-tiny", "craftlite-tiny"), ("ssdlite", "craftlite")])
def test_backbone_of_a_trained_detector(tmp_path: Path, old: str, new: str) -> None:
    trained = _saved(tmp_path / "model.safetensors", old)
    detector = build_detector(_config(new, str(tmp_path / "model.safetensors")), 1)
    state = detector.pyramid.backbone.state_dict()
    assert state
    assert all(torch.equal(tensor, trained[name]) for name, tensor in state.items())
    assert detector.image_stats == detector.pyramid.image_stats == _STATS


def test_fewer_stages_and_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _saved(path, "craftlite-tiny")
    with pytest.raises(UsageError, match=r"lacks \d+ of the \d+ tensors .* fewer stages"):
        build_detector(_config("craftlite", str(path)), 1)
    with pytest.raises(UsageError, match="holds test_efficientnet for images of 3 channels, not test_resnet for 3"):
        build_detector(_config("craftlite", str(path), "test_resnet"), 1)


def test_only_runs_are_taken_for_detectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("imagenet").mkdir()
    assert not is_detector("imagenet")
    Path("broken.safetensors").write_bytes(b"nothing")
    assert not is_detector("broken.safetensors")
    Path("run").mkdir()
    Path("run/config.yaml").write_text("seed: 0\n")
    assert is_detector("run")
    kept = with_absolute_paths(replace(RunConfig(), backbone=BackboneConfig(weights="run")))
    assert kept.backbone.weights == (tmp_path / "run").as_posix()
