"""The budget of a run that names none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.budget import automatic_epochs, with_budget
from finetune.config import RunConfig, TrainConfig
from finetune.run_folder import RunFolder
from finetune.training import fit
from tests.finetune.tiny import tiny_config, write_squares


@pytest.mark.parametrize(("images", "epochs"), [(1, 80), (20, 80), (100, 30), (150, 20), (205, 15), (400, 12), (5000, 12), (118_000, 12)])
def test_epochs_follow_the_number_of_pictures(images: int, epochs: int) -> None:
    assert automatic_epochs(images) == epochs


def test_what_was_set_is_kept() -> None:
    chosen = with_budget(RunConfig(), 150).train
    assert (chosen.epochs, chosen.evaluate_every) == (20, 2)
    kept = with_budget(RunConfig(train=TrainConfig(epochs=5, evaluate_every=4)), 150).train
    assert (kept.epochs, kept.evaluate_every) == (5, 4)
    assert with_budget(RunConfig(train=TrainConfig(epochs=5)), 150).train.evaluate_every == 1


def test_the_run_folder_keeps_the_number(tmp_path: Path) -> None:
    config = tiny_config(write_squares(tmp_path / "squares", {"train": 4, "valid": 2}), epochs=0, evaluate_every=0)
    from finetune import budget

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "MOST_EPOCHS", 3)
        record = fit(replace(config), tmp_path / "run")
    assert record.epochs == record.config["train"]["epochs"] == 3
    saved = RunFolder(tmp_path / "run").load_config().train
    assert (saved.epochs, saved.evaluate_every) == (3, 1)
