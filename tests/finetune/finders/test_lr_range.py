"""The range test on a tiny set: it leaves no trace, sees divergence, and runs the optimiser of the run."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.build import build_datamodule, build_detector
from finetune.config import BackboneConfig, FreezeConfig, RunConfig
from finetune.finders import lr_range
from finetune.finders.lr_range import RangeTest, find_rate
from finetune.finders.snapshot import left_as_it_was
from finetune.task import DetectionTask
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("data"), {"train": 12, "valid": 4})


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps than for users; the smoothing window still holds some."""
    monkeypatch.setattr(lr_range, "_STEPS_A_DECADE", 10)


def states(detector: Any) -> dict[str, Any]:
    """Everything that a range test could leave different."""
    return {
        "tensors": {name: tensor.detach().clone() for name, tensor in [*detector.named_parameters(), *detector.named_buffers()]},
        "gradients": [p.grad for p in detector.parameters()],
        "trains": [p.requires_grad for p in detector.parameters()],
        "modes": [module.training for module in detector.modules()],
        "held": [module.__dict__.get("train") for module in detector.modules()],
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()),
    }


def sweep(config: RunConfig, root: Path, monkeypatch: pytest.MonkeyPatch, cwd: Path) -> tuple[RangeTest, dict[str, Any], dict[str, Any]]:
    monkeypatch.chdir(cwd)
    torch.manual_seed(3)
    data = build_datamodule(config)
    detector = build_detector(config, 2)
    before = states(detector)
    found = find_rate(config, detector, data.splits)
    return found, before, states(detector)


@pytest.mark.parametrize("freeze", [FreezeConfig("none", 0, "train"), FreezeConfig("stages", 2, "frozen")])
def test_it_leaves_no_trace_and_sees_the_divergence(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze: FreezeConfig) -> None:
    """Without clipping a rate of ten is far too much for this network: the sweep sees it, and suggests less than half of where it starts."""
    monkeypatch.setattr("finetune.build.is_pretrained", lambda config: True)  # so that the policy is in force
    config = replace(tiny_config(squares, clip_norm=0.0, lr=0.02), freeze=freeze)
    found, before, after = sweep(config, squares, monkeypatch, tmp_path)
    assert all(torch.equal(before["tensors"][name], after["tensors"][name]) for name in before["tensors"])
    assert torch.equal(before["random"][0], after["random"][0])
    assert before["random"][1:] == after["random"][1:]
    assert all(before[key] == after[key] for key in ("gradients", "trains", "modes", "held"))
    assert not list(tmp_path.iterdir()), "a range test writes nothing"
    assert found.ended in ("lost", "not finite")
    assert found.verdict.suggestion is not None
    limit = found.verdict.rises or found.verdict.dies
    assert limit is not None
    assert found.rates[0] < found.verdict.suggestion < limit / 2 < found.rates[-1]
    assert len(found.rates) == len(found.losses) == len(found.to_json()["smoothed"])
    assert all(math.isfinite(loss) for loss in found.losses)


def test_the_network_really_was_changed_meanwhile(squares: Path) -> None:
    """The check above would be worth nothing if a sweep changed no weights."""
    detector = build_detector(tiny_config(squares), 2)
    before = states(detector)["tensors"]
    with left_as_it_was(detector):
        with torch.no_grad():
            for parameter in detector.parameters():
                parameter.add_(1.0)
        next(buffer for buffer in detector.buffers() if buffer.is_floating_point()).mul_(2.0)
        detector.eval().requires_grad_(False)
        torch.rand(3)
        changed = states(detector)["tensors"]
    assert not all(torch.equal(before[name], changed[name]) for name in before)
    assert all(torch.equal(before[name], after) for name, after in states(detector)["tensors"].items())


def test_rates_rise_in_the_proportion_of_the_groups_with_the_optimiser_of_the_run(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, dict[str, float], float]] = []
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, closure: Any = None) -> Any:
        loss = original(self, closure)
        norm = torch.stack([p.grad.norm() for group in self.param_groups for p in group["params"] if p.grad is not None]).norm()
        seen.append((type(self).__name__, {group["name"]: group["lr"] for group in self.param_groups}, float(norm)))
        return loss

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    monkeypatch.setattr("finetune.build.is_pretrained", lambda config: True)  # as if there were something to be slow with
    monkeypatch.setattr(lr_range, "_DECADES", 2)
    config = tiny_config(squares, optimizer="adamw", lr=0.5, backbone_lr_scale=0.1, layer_decay=0.5, warmup=0.5, clip_norm=0.7)
    found, _, _ = sweep(config, squares, monkeypatch, tmp_path)
    assert len(seen) == len(found.rates) == 21
    for (kind, rates, norm), rate in zip(seen, found.rates, strict=True):
        assert kind == "AdamW"
        assert rates["new"] == pytest.approx(rate), "no warm-up, whatever the settings say"
        assert rates["backbone.5"] == pytest.approx(rate * 0.1)
        assert rates["backbone.4"] == pytest.approx(rate * 0.05)
        assert norm <= 0.7 * 1.001, "clipped as in the run"
    assert found.rates[0] == 1e-6
    assert found.rates[10] == pytest.approx(1e-5)
    assert found.ended == "all rates"


def test_a_step_takes_the_batches_of_all_processes(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards: list[int] = []
    original = DetectionTask.training_step

    def training_step(self: DetectionTask, batch: Any, batch_idx: int) -> Any:
        forwards.append(len(batch.metas))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(DetectionTask, "training_step", training_step)
    monkeypatch.setattr(lr_range, "_DECADES", 1)
    config = tiny_config(squares, accumulate=2, devices="3")
    config = replace(config, data=replace(config.data, batch_size=2))
    found, _, _ = sweep(config, squares, monkeypatch, tmp_path)
    assert found.images == 2 * 2 * 3
    assert sum(forwards) == found.images * len(found.rates)


def test_a_loss_that_is_not_finite_ends_the_sweep(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = DetectionTask._losses, [0]

    def losses(self: DetectionTask, outputs: Any, batch: Any) -> Any:
        calls[0] += 1
        return {name: value * (math.nan if calls[0] > 12 else 1.0) for name, value in original(self, outputs, batch).items()}

    monkeypatch.setattr(DetectionTask, "_losses", losses)
    found, before, after = sweep(tiny_config(squares), squares, monkeypatch, tmp_path)
    assert (found.ended, len(found.losses)) == ("not finite", 12)
    assert all(torch.equal(before["tensors"][name], after["tensors"][name]) for name in before["tensors"])
    assert "not finite" in found.lines()[0]


def test_gradual_policies_are_tried_with_everything_thawed(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate has to suit the stages that thaw later: their weights move during the sweep, those of stages that never thaw do not."""
    trained: set[str] = set()
    original = DetectionTask.on_train_batch_start

    def on_train_batch_start(self: DetectionTask, batch: Any, batch_idx: int) -> None:
        trained.update(name for name, p in self.detector.backbone.named_parameters() if p.requires_grad)
        original(self, batch, batch_idx)

    monkeypatch.setattr(DetectionTask, "on_train_batch_start", on_train_batch_start)
    monkeypatch.setattr("finetune.build.is_pretrained", lambda config: True)
    monkeypatch.setattr(lr_range, "_DECADES", 1)
    config = replace(tiny_config(squares), freeze=FreezeConfig("gradual", 2, "train"), backbone=BackboneConfig("test_efficientnet", weights="none"))
    sweep(config, squares, monkeypatch, tmp_path)
    never = {name for index, stage in enumerate(build_detector(config, 2).backbone.stages()) if index < 2 for name, _ in stage.named_parameters()}
    assert len(trained) > 10
    assert never
    assert not {name for name in trained if name.split(".")[-2] == "conv_stem"}
