"""The task in a user's own trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

import finetune
from backbones.freeze import FreezePolicy
from finetune.build import build_detector, choose_precision, quiet_lightning
from finetune.callbacks.evaluation import Evaluation
from finetune.task import DetectionTask, NonFiniteLossError
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), {"train": 8, "valid": 4, "test": 4})


def _fit(squares: Path, trainer: dict | None = None, **task: object) -> tuple[pl.Trainer, DetectionTask]:
    config = tiny_config(squares)
    torch.manual_seed(0)
    module = finetune.DetectionTask(build_detector(config, 2), **task)  # type: ignore[arg-type]
    with quiet_lightning():
        own = pl.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **(trainer or {}))
        own.fit(module, datamodule=finetune.DetectionDataModule(config.data))
    return own, module


def test_a_users_own_trainer_gets_losses_and_figures(squares: Path) -> None:
    trainer, task = _fit(squares, {"num_sanity_val_steps": 1})
    names = set(trainer.callback_metrics)
    assert {"train/loss", "train/class", "train/box", "val/loss", "val/coco/AP", "val/coco/AP50"} <= names
    with quiet_lightning():
        (tested,) = trainer.test(task, datamodule=trainer.datamodule, verbose=False)
    assert "test/coco/AP50" in tested
    assert sum(isinstance(callback, Evaluation) for callback in trainer.callbacks) == 1


def test_a_perfect_detector_scores_one_through_the_whole_path(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Truth mapped to the input, decoded, mapped back and scored: every step of the way is right."""
    from detectors.types import Batch, BoxDetections

    def truth(self: DetectionTask, outputs: object, batch: Batch) -> list[BoxDetections]:
        from finetune.data import to_original

        found = [BoxDetections(t.boxes, torch.linspace(0.9, 0.8, len(t.boxes)), t.labels) for t in batch.targets]
        return [to_original(detections, meta) for detections, meta in zip(found, batch.metas, strict=True)]

    monkeypatch.setattr(DetectionTask, "_detect", truth)
    trainer, _ = _fit(squares)
    assert float(trainer.callback_metrics["val/coco/AP"]) == pytest.approx(1.0, abs=1e-6)


def test_frozen_stages_stay_bit_equal_and_the_rest_moves(squares: Path) -> None:
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in build_detector(tiny_config(squares), 2).state_dict().items()}
    _, task = _fit(squares, freeze=FreezePolicy("stages", 2, "frozen"), lr=0.1, weight_decay=0.1)
    frozen = {id(t) for stage in list(task.detector.backbone.stages())[:2] for t in stage.state_dict(keep_vars=True).values()}
    moved = {name: not torch.equal(before[name], value) for name, value in task.detector.state_dict(keep_vars=True).items() if "num_batches" not in name}
    held = {name for name, value in task.detector.state_dict(keep_vars=True).items() if id(value) in frozen}
    assert len(held) > 5
    assert not [name for name in held if moved.get(name)]
    assert sum(moved.values()) > len(moved) / 3


def test_groups_by_stage_without_decay_on_norms_and_biases(squares: Path) -> None:
    trainer, task = _fit(squares, lr=0.1, backbone_lr_scale=0.5, layer_decay=0.1, weight_decay=0.3, optimizer="adamw")
    groups = {group["name"]: group for group in trainer.optimizers[0].param_groups}
    last = len(task.detector.backbone.stages()) - 1
    assert groups["new"]["initial_lr"] == 0.1
    assert groups[f"backbone.{last}"]["initial_lr"] == pytest.approx(0.05)
    assert groups["backbone.0"]["initial_lr"] == pytest.approx(0.05 * 0.1**last)
    assert all((group["weight_decay"] == 0) == all(p.ndim <= 1 for p in group["params"]) for group in groups.values())


def test_the_first_loss_that_is_not_finite_stops_with_the_images(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DetectionTask._losses

    def poisoned(self: DetectionTask, outputs: object, batch: object) -> dict[str, torch.Tensor]:
        losses = dict(original(self, outputs, batch))  # type: ignore[arg-type]
        return {**losses, "box": losses["box"] * float("nan")} if self.global_step == 1 else losses

    monkeypatch.setattr(DetectionTask, "_losses", poisoned)
    with pytest.raises(NonFiniteLossError, match=r"box nan.* epoch 1, step 1, images \d+, .*learning rate") as caught:
        _fit(squares)
    assert len(caught.value.image_ids) == 4
    assert all(Path(source).is_file() for source in caught.value.sources)


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_losses_are_float32_in_every_precision(precision: str, squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = DetectionTask._losses
    monkeypatch.setattr(DetectionTask, "_losses", lambda self, outputs, batch: (seen.append(outputs), original(self, outputs, batch))[1])
    trainer, _ = _fit(squares, {"precision": precision})
    assert {t.dtype for outputs in seen for t in outputs if t.is_floating_point()} == {torch.float32}
    assert torch.isfinite(trainer.callback_metrics["train/loss"])


def test_precision_follows_the_device() -> None:
    assert choose_precision("auto", "cpu") == "32-true"
    assert choose_precision("16-mixed", "cpu") == "16-mixed"
    if not torch.cuda.is_available():
        assert choose_precision("auto", "auto") == "32-true"
