"""Two gloo processes: equal weights after a thaw, one step on two halves is one step on the whole, one figure for all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

import detectors.ssdlite.loss
import finetune.task
from backbones.errors import UsageError
from backbones.freeze import FreezePolicy
from finetune.build import build_detector, quiet_lightning
from finetune.callbacks.averaging import WeightAveraging
from finetune.callbacks.evaluation import Evaluation
from finetune.callbacks.lookup import find_callback
from finetune.config import DataConfig, SSDLiteConfig
from finetune.datamodule import DetectionDataModule
from finetune.processes import check_follows
from finetune.task import DetectionTask
from tests.finetune.tiny import tiny_config, write_squares
from tests.finetune.two_processes import run_two

BACKBONE = "pyramid.backbone.body.parts."
EPOCHS, THAW = 4, (2, 3)  # stage 5 trains from the second epoch on, stage 4 from the third, 0 to 3 never


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 training and 9 validation pictures: unequal shares for two processes."""
    return write_squares(tmp_path_factory.mktemp("squares"), {"train": 10, "valid": 9})


def state_of(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in [*module.named_parameters(), *module.named_buffers()]}


def a_task(root: Path, **settings: Any) -> tuple[DetectionTask, DetectionDataModule]:
    torch.manual_seed(0)
    config = tiny_config(root)
    return DetectionTask(build_detector(config, 2), **{"lr": 0.01, "warmup": 0.0, **settings}), DetectionDataModule(config.data)


def a_trainer(*callbacks: pl.Callback, **settings: Any) -> pl.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, "use_distributed_sampler": False}
    return pl.Trainer(**{"accelerator": "cpu", "devices": 2, "strategy": "ddp", **quiet, **settings}, callbacks=list(callbacks))


class Seen(pl.Callback):
    """What a process has at the end of every epoch, and while it evaluates."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, Tensor]] = []
        self.evaluated: list[dict[str, Tensor]] = []
        self.averages: list[dict[str, Tensor]] = []
        self.orders: list[Any] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append(state_of(pl_module.detector))
        averaging = find_callback(trainer, WeightAveraging)
        if averaging is not None:
            self.averages.append({name: value.clone() for name, value in averaging.average().items()})

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any) -> None:
        if batch_idx == 0 and not trainer.sanity_checking:
            self.evaluated.append(state_of(pl_module.detector))

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        self.orders.append([meta.image_id for meta in batch.metas])


# ---- equal weights after a thaw


def unfreeze(rank: int, root: Path, naive: bool, strategy: str | dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Train with gradual unfreezing; ``naive`` keeps the wrapper of the start."""
    if naive:
        finetune.task.wrap_again = lambda strategy, module: None
    task, data = a_task(root, **{"freeze": FreezePolicy("gradual", 2, "frozen", THAW), **settings})
    start, seen = state_of(task.detector), Seen()
    with quiet_lightning():
        a_trainer(seen, strategy=DDPStrategy(**strategy) if isinstance(strategy, dict) else strategy, max_epochs=EPOCHS).fit(task, datamodule=data)
    return {"start": start, "epochs": seen.epochs, "evaluated": seen.evaluated, "averages": seen.averages, "orders": seen.orders}


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> set[str]:
    assert first.keys() == second.keys()
    return {name for name in first if not torch.equal(first[name], second[name])}


def stage(number: int) -> str:
    return f"{BACKBONE}{number}."


def test_weights_are_equal_across_processes_after_a_thaw(squares: Path, tmp_path: Path) -> None:
    first, second = run_two(unfreeze, tmp_path, squares, False, "ddp", {"ema": 0.9})
    parameters = {name for name in first["start"] if "running" not in name and "num_batches" not in name}
    assert differing(first["start"], second["start"]) == set()
    for epoch in range(EPOCHS):
        assert differing(first["epochs"][epoch], second["epochs"][epoch]) & parameters == set()
        assert differing(first["averages"][epoch], second["averages"][epoch]) & parameters == set()
        assert differing(first["evaluated"][epoch], second["evaluated"][epoch]) == set(), "buffers too, while they evaluate"
        moved = differing(first["start"], first["epochs"][epoch])
        frozen = tuple(stage(number) for number in range(6) if number < (6, 5, 4, 4)[epoch])
        assert {name for name in moved if name.startswith(frozen)} == set()
        trained = tuple(stage(number) for number in range(6) if number >= (6, 5, 4, 4)[epoch])
        assert {name for name in parameters if trained and name.startswith(trained) and ".bn" not in name} <= moved
    assert all(not set(a) & set(b) for a, b in zip(first["orders"], second["orders"], strict=True)), "each trains on its own pictures"


def test_the_comparison_sees_a_wrapper_that_is_kept(squares: Path, tmp_path: Path) -> None:
    """The known fault of others: what thaws later is not reduced, and every process goes its own way."""
    first, second = run_two(unfreeze, tmp_path, squares, True, "ddp", {})
    parameters = {name for name in first["start"] if "running" not in name and "num_batches" not in name}
    drift = [differing(first["epochs"][epoch], second["epochs"][epoch]) & parameters for epoch in range(EPOCHS)]
    assert drift[0] == set()
    assert {name for name in drift[1] if name.startswith(stage(5))}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp_find_unused_parameters_true", {"static_graph": True}, {"gradient_as_bucket_view": True}], ids=str)
@pytest.mark.parametrize("settings", [{"optimizer": "adamw", "freeze": FreezePolicy("gradual", 0, "train", (2, 0.5, 0.75), 0.3)}, {"momentum": 0.0}], ids=["adamw", "sgd"])
def test_a_users_own_strategy_follows_too(strategy: str | dict[str, Any], settings: dict[str, Any], squares: Path, tmp_path: Path) -> None:
    first, second = run_two(unfreeze, tmp_path, squares, False, strategy, settings)
    parameters = {name for name in first["start"] if "running" not in name and "num_batches" not in name}
    for epoch in range(EPOCHS):
        assert differing(first["epochs"][epoch], second["epochs"][epoch]) & parameters == set()
    assert {name for name in parameters if name.startswith(stage(4)) and ".conv" in name} <= differing(first["start"], first["epochs"][-1])


def test_a_strategy_that_cannot_follow_is_refused_in_one_line() -> None:
    from pytorch_lightning.strategies import FSDPStrategy, SingleDeviceStrategy

    with pytest.raises(UsageError, match=r"FSDPStrategy fixes at its start which parameters train, .* use ddp") as caught:
        check_follows(FSDPStrategy())
    assert "\n" not in str(caught.value)
    check_follows(DDPStrategy())
    check_follows(SingleDeviceStrategy())


# ---- two halves of a batch are the whole batch


def one_step(rank: int, root: Path, processes: int, batch_size: int, loss: dict[str, Any], local_count: bool) -> dict[str, Tensor]:
    """Parameters after one optimiser step over four pictures, every norm resting."""
    if local_count:
        detectors.ssdlite.loss.reduced_count = lambda count: count.clamp(min=1.0)
    config = tiny_config(root)
    torch.manual_seed(0)
    detector = build_detector(replace(config, ssdlite=SSDLiteConfig(head_depth=1, **loss)), 2)
    task = DetectionTask(detector, freeze=FreezePolicy("none", 0, "frozen"), lr=0.5, warmup=0.0, momentum=0.0, weight_decay=0.0, channels_last=False)
    data = DetectionDataModule(DataConfig(root=str(root), input_size=(64, 64), batch_size=batch_size, workers=0, augment="none"))

    class Rest(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
            for module in pl_module.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()

    with quiet_lightning():
        a_trainer(Rest(), devices=processes, strategy="ddp" if processes > 1 else "auto", max_epochs=1, limit_val_batches=0).fit(task, datamodule=data)
    return {name: value.detach().clone() for name, value in detector.named_parameters()}


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with 2, 2, 1 and 0 boxes, so that the halves have different counts whichever they are."""
    root = write_squares(tmp_path_factory.mktemp("uneven"), {"train": 4, "valid": 1})
    path = root / "train" / "_annotations.coco.json"
    table = json.loads(path.read_text())
    table["annotations"] = table["annotations"][:5]
    path.write_text(json.dumps(table))
    return root


LOSSES: dict[str, dict[str, Any]] = {
    "quality": {"class_loss": "quality-bce", "matcher": "tal"},
    "focal": {"class_loss": "focal", "matcher": "iou"},
    "mining": {"class_loss": "softmax-mining", "min_negatives": 0, "matcher": "iou", "box_loss": "smooth-l1"},
}


def largest_difference(uneven: Path, tmp_path: Path, loss: str, local_count: bool) -> float:
    together = one_step(0, uneven, 1, 4, LOSSES[loss], False)
    first, second = run_two(one_step, tmp_path, uneven, 2, 2, LOSSES[loss], local_count)
    assert differing(first, second) == set()
    return max(float((together[name] - first[name]).abs().max()) for name in together)


@pytest.mark.parametrize("loss", ["focal", *(pytest.param(name, marks=pytest.mark.slow) for name in ("quality", "mining"))])
def test_one_step_of_two_processes_is_one_step_on_the_joint_batch(loss: str, uneven: Path, tmp_path: Path) -> None:
    assert largest_difference(uneven, tmp_path, loss, False) < 1e-5


def test_the_comparison_sees_a_normaliser_of_each_process(uneven: Path, tmp_path: Path) -> None:
    assert largest_difference(uneven, tmp_path, "focal", True) > 1e-3


# ---- one figure


def figures(rank: int, root: Path, processes: int, count_twice: bool) -> tuple[dict[str, float], dict[str, Any], list[int]]:
    """Figures of random weights that detect everywhere, and the pictures that were counted."""
    if count_twice:
        Evaluation.on_validation_batch_end = _count_twice  # type: ignore[method-assign]
    torch.manual_seed(0)
    config = tiny_config(root)
    detector = build_detector(replace(config, ssdlite=SSDLiteConfig(head_depth=1, score_threshold=0.0)), 2)
    task, data = DetectionTask(detector, protocols=("coco", "voc2007-11pt")), DetectionDataModule(config.data)
    counted: list[int] = []
    original = finetune.callbacks.evaluation._score

    def score(protocol: str, split: Any, found: dict[Any, Any]) -> Any:
        counted.append(len(found))
        return original(protocol, split, found)

    finetune.callbacks.evaluation._score = score
    with quiet_lightning():
        trainer = a_trainer(devices=processes, strategy="ddp" if processes > 1 else "auto")
        (logged,) = trainer.validate(task, datamodule=data, verbose=False)
    evaluation = find_callback(trainer, Evaluation)
    assert evaluation is not None
    return logged, {name: dict(result.values) for name, result in evaluation.results.items()}, counted


def _count_twice(self: Evaluation, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *_: Any) -> None:
    self._found.update({(meta.image_id, trainer.global_rank): (found, meta) for found, meta in zip(outputs, batch.metas, strict=True)})


def test_evaluation_by_two_processes_gives_the_figures_of_one(squares: Path, tmp_path: Path) -> None:
    logged, values, counted = figures(0, squares, 1, False)
    (first, first_values, first_counted), (second, second_values, second_counted) = run_two(figures, tmp_path, squares, 2, False)
    assert counted == first_counted == [9, 9]
    assert second_counted == [], "only the first process scores"
    assert values["coco"]["AR100"] > 0.01
    for name in values:
        for key, value in values[name].items():
            assert first_values[name][key] == second_values[name][key]
            assert first_values[name][key] == (None if value is None else pytest.approx(value, abs=1e-6))
    same = {key for key in logged if "/coco/" in key or "/voc" in key}
    assert len(same) > 8
    assert all(first[key] == second[key] == pytest.approx(logged[key], abs=1e-6) for key in same)


# ---- from the command line


@pytest.mark.slow
def test_the_command_line_starts_both_processes(tmp_path: Path, repo_root: Path) -> None:
    """strategy auto; nobody has to know of find_unused_parameters; an odd validation split; then a resume."""
    import subprocess
    import sys

    import timm

    squares = write_squares(tmp_path / "squares", {"train": 10, "valid": 9})
    weights = tmp_path / "pretrained.pth"
    torch.save(timm.create_model("test_efficientnet").state_dict(), weights)
    words = f"""--data {squares} --out {tmp_path / "run"} --backbone.name test_efficientnet --backbone.weights {weights} --data.input_size 64 64 --pyramid.width 16
        --ssdlite.head_depth 1 --data.workers 0 --train.epochs 4 --train.accelerator cpu --train.devices 2 --train.ema 0.9 --freeze.policy gradual --freeze.thaw 2 3""".split()
    command = [str(Path(sys.executable).with_name("finetune")), "train", *words]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "x 2 processes" in done.stdout
    assert done.stdout.count("epoch 4/4") == 1, "only the first process prints"
    assert done.stdout.count("freeze: gradual") == 1
    assert json.loads((tmp_path / "run" / "record.json").read_text())["epochs"] == 4
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
