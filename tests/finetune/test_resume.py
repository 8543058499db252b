"""A resumed run is the uninterrupted one, bit by bit."""

from __future__ import annotations

import csv
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backbones.errors import FinetuneError, UsageError
from finetune.config import RunConfig
from finetune.run_folder import RunFolder, write_atomic
from finetune.task import DetectionTask
from finetune.training import InterruptedRunError, fit, resume
from tests.finetune.tiny import tiny_config, write_squares


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"), {"train": 10, "valid": 4})


def _stop_in_epoch(monkeypatch: pytest.MonkeyPatch, epoch: int, error: BaseException) -> None:
    original = DetectionTask.on_train_epoch_start

    def stop(self: DetectionTask) -> None:
        if self.current_epoch == epoch:
            raise error
        original(self)

    monkeypatch.setattr(DetectionTask, "on_train_epoch_start", stop)


def _assert_same(a: object, b: object, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            _assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            _assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def _table(folder: RunFolder) -> list[dict[str, str]]:
    with folder.metrics.open() as stream:
        return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in csv.DictReader(stream)]


def _both(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> tuple[RunFolder, RunFolder]:
    fit(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        _stop_in_epoch(patch, stop, KeyboardInterrupt())
        with pytest.raises(InterruptedRunError, match=r"finetune train --resume .*parts"):
            fit(config, tmp_path / "parts")
    resume(tmp_path / "parts")
    return RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")


@pytest.mark.parametrize(("workers", "train"), [(0, {"epochs": 4, "ema": 0.9}), (1, {"epochs": 4, "optimizer": "adamw", "accumulate": 2, "evaluate_every": 3})])
def test_resume_is_bit_equal_to_the_uninterrupted_run(workers: int, train: dict, squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(squares, **train)
    whole, parts = _both(replace(config, data=replace(config.data, workers=workers)), tmp_path, monkeypatch, 2)
    a, b = (torch.load(folder.last, weights_only=True) for folder in (whole, parts))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch"):
        _assert_same(a[key], b[key], key)
    if "ema" in train:
        _assert_same(a["callbacks"]["WeightAveraging"], b["callbacks"]["WeightAveraging"])
    assert _table(whole) == _table(parts)
    assert len(_table(whole)) == 4
    assert whole.evaluation("val").read_text() == parts.evaluation("val").read_text()


def test_the_comparison_above_sees_random_numbers_that_depend_on_what_ran_before(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(squares, epochs=3)
    monkeypatch.setattr(DetectionTask, "on_train_batch_start", lambda self, batch, batch_idx: None)
    original = DetectionTask.forward
    monkeypatch.setattr(DetectionTask, "forward", lambda self, images: original(self, images + torch.randint_like(images, 2)))
    whole, parts = _both(config, tmp_path, monkeypatch, 1)
    a, b = (torch.load(folder.last, weights_only=True) for folder in (whole, parts))
    with pytest.raises(AssertionError):
        _assert_same(a["state_dict"], b["state_dict"])


def test_stopped_before_the_first_epoch_says_that_there_is_nothing_to_resume(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    _stop_in_epoch(monkeypatch, 0, KeyboardInterrupt())
    with pytest.raises(InterruptedRunError, match="nothing to resume") as caught:
        fit(tiny_config(squares), tmp_path / "run")
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(UsageError, match="no finished epoch"):
        resume(tmp_path / "run")


def test_a_finished_run_is_not_resumed(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = fit(tiny_config(squares, epochs=1), tmp_path / "run")
    changed = RunFolder(tmp_path / "run").last.stat().st_mtime_ns
    assert resume(tmp_path / "run") == record
    assert "is finished (1 epochs): nothing to resume" in capsys.readouterr().out
    assert RunFolder(tmp_path / "run").last.stat().st_mtime_ns == changed


def test_a_run_killed_after_its_last_epoch_is_finished_by_resume(squares: Path, tmp_path: Path) -> None:
    record = fit(tiny_config(squares, epochs=2), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.record.unlink()
    for picture in folder.pictures.iterdir():
        picture.unlink()
    again = resume(folder.root)
    assert again.results == record.results
    assert again.epochs == record.epochs == 2
    assert list(folder.pictures.iterdir())


def test_resume_of_no_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        resume(tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(FinetuneError, match="No space left on device"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_keeps_the_state_of_the_epoch_before(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pytorch_lightning as pl

    original = pl.Trainer.save_checkpoint

    def full(self: pl.Trainer, path: Path, *rest: object) -> None:
        if self.current_epoch == 1:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        original(self, path, *rest)

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", full)
    with pytest.raises(FinetuneError, match="the state of the epoch before is whole"):
        fit(tiny_config(squares, epochs=3), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert torch.load(folder.last, weights_only=True)["epoch"] == 0
    assert sorted(p.name for p in folder.last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]
    monkeypatch.undo()
    assert resume(folder.root).epochs == 3
