"""Runs whose network finds the characters of its words: when, what training gets, pictures, and that a resumed run repeats the whole one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from finetune.build import build_detector
from finetune.callbacks.checkpoints import Checkpoints
from finetune.callbacks.pseudo_characters import PseudoSchedule
from finetune.config import RunConfig
from finetune.training import fit, resume
from tests.finetune.test_text_run import text_config, write_bars


def with_characters(root: Path, every: int = 2, start: float = 2, epochs: int = 5) -> RunConfig:
    config = text_config(root, epochs=epochs, evaluate_every=epochs)
    return replace(config, craft=replace(config.craft, pseudo_every=every, pseudo_start=start, pseudo_height=32))


def test_the_schedule_counts_epochs_as_the_log_does() -> None:
    def due(schedule: PseudoSchedule) -> list[int]:
        return [epoch + 1 for epoch in range(12) if schedule.is_due(epoch, 10)]

    assert due(PseudoSchedule(3, 0.2)) == [3, 6, 9]
    assert due(PseudoSchedule(4, 1)) == due(PseudoSchedule(4, 0)) == [1, 5, 9]
    assert due(PseudoSchedule(1, 8)) == [8, 9, 10]
    assert due(PseudoSchedule(0, 0)) == []


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bars(tmp_path_factory.mktemp("bars"), {"train": 12, "val": 2})


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    build_detector(with_characters(data), 1)  # the first of a process takes random numbers for what it imports
    fit(with_characters(data), out)
    return out


def characters(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["callbacks"]["PseudoCharacters"]
    (only,) = state["sets"]
    return only


def test_a_run_finds_characters_when_they_are_due_and_draws_them(whole: Path) -> None:
    log = (whole / "log.txt").read_text()
    assert [line.split(":")[0] for line in log.splitlines() if line.startswith("characters for")] == [f"characters for epoch {n}" for n in (2, 4)]
    assert sorted(path.name for path in (whole / "pictures").glob("characters_*.png")) == ["characters_002.png", "characters_004.png"]
    found = characters(whole)
    assert found["lengths"].tolist() == [3] * 12
    assert len(found["quads"]) == int(found["counts"].sum())


@pytest.mark.slow
def test_a_resumed_run_repeats_the_whole_one(data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Checkpoints.on_train_epoch_end

    def stop_after_two(self: Checkpoints, trainer: object, pl_module: object) -> None:
        plain(self, trainer, pl_module)  # type: ignore[arg-type]
        if self.finished == 2:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_epoch_end", stop_after_two)
        with pytest.raises(Exception, match="killed"):
            fit(with_characters(data), tmp_path / "run")
    resume(tmp_path / "run")
    for name, value in characters(whole).items():
        assert torch.equal(value, characters(tmp_path / "run")[name]), name
    one, two = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, tmp_path / "run"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
