"""A resumed run is the uninterrupted one, bit by bit."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backbones.errors import DataError, FinetuneError, UsageError
from finetune import run_folder
from finetune.callbacks.checkpoints import WholeFiles
from finetune.config import RunConfig
from finetune.new_run import new_run
from finetune.run_folder import RunFolder
from finetune.stopping import InterruptedRunError
from finetune.task import DetectionTask
from finetune.training import fit, resume
from finetune.weights_file import load_weights
from tests.finetune.tiny import tiny_config, write_squares
from tools.same_run import differences


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
    assert differences(whole, parts) == []
    assert len(torch.load(parts.last, weights_only=True)["callbacks"]["MetricsTable"]["rows"]) == 4


def test_the_comparison_above_sees_random_numbers_that_depend_on_what_ran_before(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DetectionTask, "on_train_batch_start", lambda self, batch, batch_idx: None)
    original = DetectionTask.forward
    monkeypatch.setattr(DetectionTask, "forward", lambda self, images: original(self, images + torch.randint_like(images, 2)))
    whole, parts = _both(tiny_config(squares, epochs=2), tmp_path, monkeypatch, 1)
    assert any("state_dict" in line for line in differences(whole, parts))


def test_stopped_before_the_first_epoch_it_starts_again_in_the_same_folder(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    config, before = tiny_config(squares, epochs=1), signal.getsignal(signal.SIGINT)
    fit(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        _stop_in_epoch(patch, 0, KeyboardInterrupt())
        with pytest.raises(InterruptedRunError, match=r"start again in the same folder, no epoch was finished, with: finetune train --resume .*run$") as caught:
            fit(config, tmp_path / "run")
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before
    folder = RunFolder(tmp_path / "run")
    (folder.root / "notes.txt").write_text("mine")
    folder.metrics.write_text("a row that no checkpoint has")
    (folder.last.parent / ".last.ckpt.4711.tmp").write_text("half")
    resume(folder.root)
    assert f"no epoch of {folder.root} was finished: it starts again from the beginning, in the same folder" in capsys.readouterr().out
    assert differences(RunFolder(tmp_path / "whole"), folder) == ["notes.txt is in one folder only"]


FIGURES = [0.2, 0.5, 0.1]


@pytest.fixture(scope="module")
def decided(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """An uninterrupted run whose second epoch of three is the best."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune.callbacks.evaluation.Evaluation.figure", property(lambda self: FIGURES[self.epoch]))
        fit(tiny_config(squares, epochs=3), tmp_path_factory.mktemp("decided") / "run")
    return RunFolder(tmp_path_factory.getbasetemp() / "decided0" / "run")


@pytest.mark.parametrize("lost", ["best.ckpt", "model.safetensors", "val.json", "metrics.csv"])
def test_files_that_a_kill_left_behind_last_ckpt_are_brought_up_to_it(lost: str, decided: RunFolder, squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between last.ckpt of the best epoch and one of the files that follow it; no later epoch is better."""
    monkeypatch.setattr("finetune.callbacks.evaluation.Evaluation.figure", property(lambda self: FIGURES[self.epoch]))
    real = run_folder.write_atomic

    def killed(path: Path, write: object) -> None:
        if path.name == lost and len((tmp_path / "run" / "log.txt").read_text().split("\nepoch ")) == 3 - (lost == "metrics.csv"):
            raise KeyboardInterrupt
        real(path, write)

    with monkeypatch.context() as patch:
        for module in ("run_folder", "callbacks.checkpoints", "callbacks.table", "weights_file"):
            patch.setattr(f"finetune.{module}.write_atomic", killed)
        with pytest.raises(InterruptedRunError):
            fit(tiny_config(squares, epochs=3), tmp_path / "run")
    resume(tmp_path / "run")
    assert differences(decided, RunFolder(tmp_path / "run")) == []
    assert load_weights(tmp_path / "run")[1].epoch == 2


def test_a_run_killed_after_it_stopped_early_does_not_train_on(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [0.5, 0.4, 0.9]
    monkeypatch.setattr("finetune.callbacks.evaluation.Evaluation.figure", property(lambda self: figures[self.epoch]))
    config = tiny_config(squares, epochs=3, early_stop=1)
    record = fit(config, tmp_path / "run")
    assert record.epochs == 2
    RunFolder(tmp_path / "run").record.unlink()
    again = resume(tmp_path / "run")
    assert (again.epochs, again.best_epoch, again.results) == (2, 1, record.results)


def test_a_finished_run_is_not_resumed(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = fit(tiny_config(squares, epochs=1), tmp_path / "run")
    changed = RunFolder(tmp_path / "run").last.stat().st_mtime_ns
    assert resume(tmp_path / "run") == record
    assert "is finished (1 epochs): nothing to resume" in capsys.readouterr().out
    assert RunFolder(tmp_path / "run").last.stat().st_mtime_ns == changed


def test_a_run_killed_after_its_last_epoch_is_finished_by_resume(squares: Path, tmp_path: Path) -> None:
    record = fit(tiny_config(squares, epochs=1), tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    for path in (folder.record, folder.curves, *folder.pictures.iterdir()):
        path.unlink()
    again = resume(folder.root)
    assert (again.results, again.epochs, again.trainable_params) == (record.results, 1, record.trainable_params)
    assert again.seconds > 0
    assert folder.curves.is_file()
    assert list(folder.pictures.iterdir())


def test_resume_of_no_run_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        resume(tmp_path)


def test_a_folder_in_use_or_damaged_is_one_line(squares: Path, tmp_path: Path) -> None:
    with new_run(tmp_path / "run", tiny_config(squares), {}) as run:
        with pytest.raises(UsageError, match=rf"another process \(pid {os.getpid()}\) trains in .*run"):
            resume(run.folder.root)
        run.began = True
    run.folder.last.write_bytes(b"PK junk")
    with pytest.raises(FinetuneError, match=r"last\.ckpt cannot be read .*: put best\.ckpt in its place") as caught:
        resume(run.folder.root)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_runs_no_code(squares: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "sprung",)

    with new_run(tmp_path / "run", tiny_config(squares), {}) as run:
        run.began = True
    torch.save({"callbacks": {"Checkpoints": {"finished": Trap()}}}, run.folder.last)
    with pytest.raises(FinetuneError, match="cannot be read"):
        resume(run.folder.root)
    with pytest.raises(pickle.UnpicklingError):
        WholeFiles().load_checkpoint(run.folder.last, weights_only=False)
    assert not (tmp_path / "sprung").exists()


def test_data_that_changed_under_a_run_are_said(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    shutil.copytree(squares, root)
    config = tiny_config(root, epochs=2)
    _stop_in_epoch(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(InterruptedRunError):
        fit(config, tmp_path / "run")
    monkeypatch.undo()
    train, valid = (root / split / "_annotations.coco.json" for split in ("train", "valid"))
    table = json.loads(train.read_text())
    table["annotations"].pop()
    train.write_text(json.dumps(table))
    environment = RunFolder(tmp_path / "run").environment
    facts = json.loads(environment.read_text())
    environment.write_text(json.dumps({**facts, "versions": {**facts["versions"], "torch": "1.0"}}))
    resume(tmp_path / "run")
    said = capsys.readouterr().out
    assert "the training images or boxes have changed since the run began" in said
    assert f"versions have changed since the run began, so that its figures may differ a little: torch 1.0 -> {facts['versions']['torch']}" in said
    RunFolder(tmp_path / "run").record.unlink()
    for path in (train, valid):
        path.write_text(path.read_text().replace('"red"', '"crimson"'))
    with pytest.raises(DataError, match=r"classes of .* have changed since the run began \(red, green -> crimson, green\)"):
        resume(tmp_path / "run")


def test_a_disk_that_fills_up_keeps_the_state_of_the_epoch_before(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(squares, epochs=3)
    fit(config, tmp_path / "whole")

    def full(self: Path, content: bytes) -> int:
        written = original(self, content[: len(content) // 2])
        if ".last.ckpt." in self.name and RunFolder(tmp_path / "run").last.exists():
            raise OSError(28, "No space left on device")
        return written + original(self, content)

    original = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FinetuneError, match=r"cannot write .*last\.ckpt: No space left on device; free some space .*, then continue from the last finished epoch with: finetune train --resume .*run$"):
        fit(config, tmp_path / "run")
    monkeypatch.undo()
    folder = RunFolder(tmp_path / "run")
    assert torch.load(folder.last, weights_only=True)["epoch"] == 0
    assert sorted(p.name for p in folder.last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]
    resume(folder.root)
    assert differences(RunFolder(tmp_path / "whole"), folder) == []
