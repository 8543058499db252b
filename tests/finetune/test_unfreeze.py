"""Gradual unfreezing in a run: what trains in each epoch by name, its rate, and that a resumed run knows it by construction."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import timm
import torch

from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from finetune.build import build_detector, quiet_lightning
from finetune.config import BackboneConfig, FreezeConfig, RunConfig
from finetune.curves import thaws
from finetune.datamodule import DetectionDataModule
from finetune.record import load_record
from finetune.run_folder import RunFolder
from finetune.task import DetectionTask
from finetune.training import InterruptedRunError, fit, resume
from tests.finetune.tiny import tiny_config, write_squares

pytestmark = [pytest.mark.filterwarnings(f"ignore:{text}") for text in ("The dirpath has changed", "Be aware that when using `ckpt_path`", "You're resuming from a checkpoint that ended")]

# test_efficientnet in a pyramid has the stages parts.0 (stem) to parts.5; two numbers below are epochs of the log, one a share of 6 epochs
EPOCHS = 6
THAW = (2, 0.5, 5)
BACKBONE = "pyramid.backbone.body."
TRAINS = {  # epoch of the log -> stages that train in it; 0, 1 and 2 never do
    1: (),
    2: (5,),
    3: (5,),
    4: (5, 4),
    5: (5, 4, 3),
    6: (5, 4, 3),
}


def expected(names: set[str], epoch: int, batchnorm: str) -> set[str]:
    """Of some parameters and buffers those that train in an epoch, by their names alone."""
    stages = tuple(f"{BACKBONE}parts.{stage}." for stage in TRAINS[epoch])
    backbone = {name for name in names if stages and name.startswith(stages)}
    if batchnorm == "frozen":
        backbone = {name for name in backbone if ".bn" not in name}
    return backbone | {name for name in names if not name.startswith(BACKBONE)}


class Watch(pl.Callback):
    """Keeps, epoch by epoch, what wants a gradient, what has moved, which modules are in training mode, and every rate."""

    def __init__(self) -> None:
        self.wanted: dict[int, set[str]] = {}
        self.moved: dict[int, set[str]] = {}
        self.awake: dict[int, set[str]] = {}
        self.averaged: dict[int, set[str]] = {}
        self.unbuilt: dict[int, int] = {}
        self.rates: list[dict[str, float]] = []
        self.optimised: set[str] = set()
        self._before: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self._before = state_of(pl_module.detector)
            epoch = trainer.current_epoch + 1
            self.wanted[epoch] = {name for name, p in pl_module.detector.named_parameters() if p.requires_grad}
            self.awake[epoch] = {name for name, module in pl_module.detector.named_modules() if module.training}
            self.unbuilt[epoch] = pl_module.detector.backbone.frozen_stages
            names = {id(p): name for name, p in pl_module.detector.named_parameters()}
            self.optimised = {names[id(p)] for group in trainer.optimizers[0].param_groups for p in group["params"]}
        self.rates.append({group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups})

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = state_of(pl_module.detector)
        self.moved[trainer.current_epoch + 1] = {name for name in now if not torch.equal(now[name], self._before[name])}


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in [*module.named_parameters(), *module.named_buffers()]}


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), {"train": 8, "valid": 2})


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "pretrained.pth"
    torch.save(timm.create_model("test_efficientnet").state_dict(), path)
    return path


def gradual(squares: Path, pretrained: Path, batchnorm: str = "frozen", warmup: float = 0.25, **train: Any) -> RunConfig:
    config = tiny_config(squares, **{"epochs": EPOCHS, "evaluate_every": 6, "weight_decay": 0.05, **train})
    return replace(config, backbone=BackboneConfig("test_efficientnet", weights=str(pretrained)), freeze=FreezeConfig("gradual", 2, batchnorm, THAW, warmup))  # type: ignore[arg-type]


@pytest.mark.parametrize(("optimizer", "batchnorm"), [("sgd", "frozen"), ("adamw", "train")])
def test_each_epoch_trains_exactly_what_is_named_through_a_resume(optimizer: str, batchnorm: str, squares: Path, tmp_path: Path) -> None:
    """The whole run, and one that goes on in the middle of the warm-up of stage 4: the sets epoch by epoch, and the same bits at the end."""
    settings = {"freeze": FreezePolicy("gradual", 2, batchnorm, THAW, 0.25), "optimizer": optimizer, "ema": 0.9, "weight_decay": 0.05}  # type: ignore[arg-type]
    task, data = own_task(squares, **settings)
    start = state_of(task.detector)
    whole, parts = Watch(), Watch()
    with quiet_lightning():
        own_trainer(whole, pl.callbacks.ModelCheckpoint(tmp_path / "whole", filename="{epoch}", save_top_k=-1), max_epochs=EPOCHS).fit(task, datamodule=data)
        again, data = own_task(squares, **settings)
        checkpoint = pl.callbacks.ModelCheckpoint(tmp_path / "parts", filename="{epoch}", save_top_k=-1)
        own_trainer(parts, checkpoint, max_epochs=EPOCHS).fit(again, datamodule=data, ckpt_path=str(tmp_path / "whole" / "epoch=3.ckpt"), weights_only=False)
    assert (sorted(whole.moved), sorted(parts.moved)) == ([1, 2, 3, 4, 5, 6], [5, 6])
    check_sets(whole, task.detector, batchnorm)
    check_sets(parts, again.detector, batchnorm)
    a, b = (torch.load(tmp_path / name / "epoch=5.ckpt", weights_only=False) for name in ("whole", "parts"))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert same(a[key], b[key]), key
    assert same(a["callbacks"]["WeightAveraging"], b["callbacks"]["WeightAveraging"])
    assert whole.rates[-len(parts.rates) :] == parts.rates
    average = a["callbacks"]["WeightAveraging"]["average"]
    never = {name for name in start if name not in expected(set(start), 6, batchnorm) and name in average}
    assert {name.removeprefix(f"{BACKBONE}parts.")[0] for name in never} >= {"0", "1", "2"}
    assert [name for name in never if not torch.equal(average[name], start[name])] == []


def check_sets(watch: Watch, detector: torch.nn.Module, batchnorm: str) -> None:
    parameters = {name for name, _ in detector.named_parameters()}
    buffers = {name for name, _ in detector.named_buffers() if name.startswith(BACKBONE)}
    backbone = {name for name in parameters if name.startswith(BACKBONE)}
    assert watch.optimised == parameters, "all of them from the start"
    for epoch in watch.moved:
        assert watch.wanted[epoch] == expected(parameters, epoch, batchnorm), epoch
        assert watch.moved[epoch] & backbone == expected(backbone, epoch, batchnorm), epoch
        assert watch.moved[epoch] & buffers == expected(buffers, epoch, batchnorm), epoch
        assert watch.moved[epoch] - backbone - buffers, "pyramid and head"
        assert watch.unbuilt[epoch] == 6 - len(TRAINS[epoch])
        asleep = tuple(f"{BACKBONE}parts.{stage}" for stage in range(6) if stage not in TRAINS[epoch])
        assert not [name for name in watch.awake[epoch] if name.startswith(asleep)], "dropout and norms of frozen stages rest"
        assert {f"{BACKBONE}parts.{stage}" for stage in TRAINS[epoch]} <= watch.awake[epoch]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_folder_resumed_in_the_warm_up_of_a_stage_is_the_uninterrupted_one(
    optimizer: str, squares: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = gradual(squares, pretrained, "train", optimizer=optimizer, ema=0.9)
    fit(config, tmp_path / "whole")
    interrupted(config, tmp_path / "parts", monkeypatch, before_epoch=5)
    resume(tmp_path / "parts")
    whole, parts = (torch.load(RunFolder(tmp_path / name).last, weights_only=True) for name in ("whole", "parts"))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        assert same(whole[key], parts[key]), key
    assert same(whole["callbacks"]["WeightAveraging"], parts["callbacks"]["WeightAveraging"])
    assert rates_of(tmp_path / "whole") == rates_of(tmp_path / "parts")


@pytest.mark.slow
def test_the_comparison_sees_a_thaw_that_is_forgotten(squares: Path, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = gradual(squares, pretrained, "train")
    fit(config, tmp_path / "whole")
    interrupted(config, tmp_path / "parts", monkeypatch, before_epoch=5)
    original = FreezePolicy.apply
    monkeypatch.setattr(FreezePolicy, "apply", lambda self, backbone, epoch=0, epochs=1: original(self, backbone, 0, epochs))
    resume(tmp_path / "parts")
    whole, parts = (torch.load(RunFolder(tmp_path / name).last, weights_only=True) for name in ("whole", "parts"))
    assert not same(whole["state_dict"], parts["state_dict"])


def test_rates_rise_after_a_thaw_and_fall_with_the_schedule(squares: Path) -> None:
    """Two steps an epoch, 12 in all; no warm-up of the run; the warm-up of a stage is a quarter of the budget, 3 steps."""
    watch = Watch()
    rates = {"lr": 0.04, "backbone_lr_scale": 0.5, "layer_decay": 0.5, "schedule": "step", "milestones": (0.75,)}
    task, data = own_task(squares, freeze=FreezePolicy("gradual", 2, "frozen", THAW, 0.25), **rates)
    with quiet_lightning():
        own_trainer(watch, max_epochs=EPOCHS).fit(task, datamodule=data)
    seen = {name: [step[name] for step in watch.rates] for name in watch.rates[0]}
    assert seen["new"] == pytest.approx([0.04] * 9 + [0.004] * 3)
    full = {5: 0.02, 4: 0.01, 3: 0.005}
    assert seen["backbone.5"] == pytest.approx([full[5] * f for f in (0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0.1, 0.1, 0.1)])
    assert seen["backbone.4"] == pytest.approx([full[4] * f for f in (0, 0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 0.1, 0.1, 0.1)])
    assert seen["backbone.3"] == pytest.approx([full[3] * f for f in (0, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.05, 0.075, 0.1)])
    assert all(seen[f"backbone.{stage}"] == [0.0] * 12 for stage in (0, 1, 2))
    assert seen["backbone.5.plain"] == seen["backbone.5"]


def test_the_timeline_is_said_before_training_drawn_and_recorded(squares: Path, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(gradual(squares, pretrained, lr=0.04, backbone_lr_scale=0.5), tmp_path / "run")
    said = capsys.readouterr().out
    said = said[: said.index("plan:")]
    for line in (
        "freeze: gradual over 6 epochs, BatchNorm of the backbone frozen",
        "epoch 1: pyramid and head train, 5,095 parameters, rate 0.04 at its highest",
        "epoch 2: stage 5 (blocks_4) thaws, 28,044 of 28,940 parameters, rate 0.0",
        "epoch 4: stage 4 (blocks_3) thaws, 13,576 of 14,184 parameters, rate 0.0",
        "epoch 5: stage 3 (blocks_2) thaws, 23,808 of 24,064 parameters, rate 0.0",
        "never: stage 0 (conv_stem, bn1), 696 parameters",
        "never: stage 2 (blocks_1), 10,928 parameters",
    ):
        assert line in said
    assert thaws(rates_of(tmp_path / "run")) == {2: ["backbone.5"], 4: ["backbone.4"], 5: ["backbone.3"]}
    record = load_record(RunFolder(tmp_path / "run").record)
    assert record.notes[0] == "Gradual unfreezing: backbone.5 from epoch 2; backbone.4 from epoch 4; backbone.3 from epoch 5."
    assert record.trainable_params == 5095 + 28044 + 13576 + 23808


def test_a_run_too_short_to_thaw_says_so(squares: Path) -> None:
    task, _ = own_task(squares, freeze=FreezePolicy("gradual", 3))
    assert [line.split(" (")[0] for line in task.timeline(2)[1:]] == ["epoch 2: stage 5", "epoch 2: stage 4", "epoch 2: stage 3", *(f"  never: stage {stage}" for stage in range(3))]
    assert [line.split(" (")[0] for line in task.timeline(1)[1:]] == [f"  never: stage {stage}" for stage in range(6)]
    assert task.timeline(1)[0].startswith("epoch 1: pyramid and head train, ")


# ---- a user's own trainer


def own_task(squares: Path, **settings: Any) -> tuple[DetectionTask, DetectionDataModule]:
    torch.manual_seed(0)
    config = tiny_config(squares)
    return DetectionTask(build_detector(config, 2), **{"lr": 0.01, "warmup": 0.0, **settings}), DetectionDataModule(config.data)


def own_trainer(*callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "limit_val_batches": 0}
    checkpoints = any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks)
    return pl.Trainer(accelerator="cpu", devices=1, callbacks=list(callbacks), enable_checkpointing=checkpoints, **quiet, **settings)


def test_a_trainer_that_was_only_given_steps(squares: Path) -> None:
    """9 steps, 2 an epoch: 5 epochs, of which the half is over before the fourth."""
    watch = Watch()
    task, data = own_task(squares, freeze=FreezePolicy("gradual", 4, "frozen", (0.5,)))
    with quiet_lightning():
        own_trainer(watch, max_steps=9).fit(task, datamodule=data)
    stage = f"{BACKBONE}parts.5."
    assert [any(name.startswith(stage) for name in watch.wanted[epoch]) for epoch in (1, 2, 3, 4, 5)] == [False, False, False, True, True]
    assert [step["backbone.5"] > 0 for step in watch.rates] == [False] * 6 + [True] * 3


def test_a_trainer_that_goes_on_in_the_middle_of_an_epoch(squares: Path, tmp_path: Path) -> None:
    """Lightning calls no epoch start then."""
    policy = FreezePolicy("gradual", 3, "frozen", (2, 4))
    task, data = own_task(squares, freeze=policy)
    each_step = pl.callbacks.ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=1, save_top_k=-1)
    with quiet_lightning():
        own_trainer(each_step, max_epochs=4).fit(task, datamodule=data)
    middle = tmp_path / "step=5.ckpt"  # one step into the third epoch
    assert middle.is_file()
    resumed, data = own_task(squares, freeze=policy)
    seen: list[set[str]] = []

    class Look(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
            stages = {name.removeprefix(f"{BACKBONE}parts.").split(".")[0] for name, p in pl_module.detector.named_parameters() if p.requires_grad and name.startswith(BACKBONE)}
            seen.append(stages)

    with quiet_lightning():
        own_trainer(Look(), max_epochs=4).fit(resumed, datamodule=data, ckpt_path=str(middle), weights_only=False)
    assert seen == [{"5"}, {"5", "4"}, {"5", "4"}]


@pytest.mark.parametrize(
    ("policy", "epochs", "says"),
    [
        ({"thaw": (2, 3, 4, 5), "stages": 3}, 9, r"freeze.thaw has 4 numbers, but the backbone has 6 stages, of which freeze.stages keeps 3 frozen: give at most 3"),
        ({"thaw": (9,)}, 4, r"9 lies beyond the budget: the run has 4 epochs"),
        ({"thaw": (0.9,)}, 4, r"0.9 lies beyond the budget: none of the 4 epochs starts so late; give at most 0.75"),
        ({"thaw": (3, 2)}, 4, r"stages thaw from the top, so the numbers must rise"),
        ({"thaw": (2.5,)}, 4, r"2.5 is neither a share .* nor the whole number of an epoch"),
    ],
)
def test_a_policy_that_does_not_fit_is_said_before_a_step(policy: dict[str, Any], epochs: int, says: str, squares: Path) -> None:
    def train() -> None:
        task, data = own_task(squares, freeze=FreezePolicy("gradual", **policy))
        with quiet_lightning():
            own_trainer(max_epochs=epochs).fit(task, datamodule=data)

    with pytest.raises(UsageError, match=says):
        train()


# ---- tools


def interrupted(config: RunConfig, folder: Path, monkeypatch: pytest.MonkeyPatch, before_epoch: int) -> None:
    """A run that ends as by Ctrl-C before an epoch of the log."""
    original = DetectionTask.on_train_epoch_start

    def stop(self: DetectionTask) -> None:
        if self.current_epoch + 1 == before_epoch:
            raise KeyboardInterrupt
        original(self)

    shutil.rmtree(folder, ignore_errors=True)
    with monkeypatch.context() as patch:
        patch.setattr(DetectionTask, "on_train_epoch_start", stop)
        with pytest.raises(InterruptedRunError):
            fit(config, folder)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def same(first: object, second: object) -> bool:
    """Bit-equal, tensors and all."""
    a, b = dict(leaves(first)), dict(leaves(second))
    return a.keys() == b.keys() and all(torch.equal(value, b[path]) if isinstance(value, torch.Tensor) else value == b[path] for path, value in a.items())  # type: ignore[arg-type]


def rates_of(folder: Path) -> list[dict[str, float]]:
    with RunFolder(folder).metrics.open() as stream:
        return [{key: float(value) for key, value in row.items() if key == "epoch" or key.startswith("lr/")} for row in csv.DictReader(stream)]
