"""``finetune train --dry-run`` with and without ``--find``, as typed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from finetune import dry_run
from finetune.cli import main
from finetune.finders import batch_size, lr_range, sparkline
from finetune.finders.short_run import Steps
from tests.finetune.finders.test_batch_size import Planted
from tests.finetune.tiny import write_squares

_WORDS = (
    "--data.input_size 64 64 --data.batch_size 4 --data.workers 0 --backbone.name test_efficientnet --backbone.weights none --pyramid.width 16 --ssdlite.head_depth 1 "
    "--train.accelerator cpu --train.clip_norm 0 --freeze.policy none"
)
TINY = _WORDS.split()


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("data"), {"train": 12, "valid": 6})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lr_range, "_STEPS_A_DECADE", 10)
    monkeypatch.setattr(batch_size, "TrialProcess", Planted(700, 10))


def test_both_finders_as_typed(squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", str(squares), *TINY, "--dry-run", "--find", "lr", "batch_size", "--json", "found.json"]) == 0
    out = capsys.readouterr().out
    for part in ("peak memory", "batch size: a step of training", "largest that fits: all 12 training images", "learning rate: ", "falls fastest", "dry run: nothing was written"):
        assert part in out, part
    assert out.index("batch size: a step") < out.index("learning rate: "), "the rate belongs to a batch size"
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
    facts = json.loads((tmp_path / "found.json").read_text())
    rates, found = facts["lr_finder"]["rates"], facts["batch_size_finder"]
    assert len(rates) == len(facts["lr_finder"]["losses"]) == len(facts["lr_finder"]["smoothed"])
    assert rates[0] < facts["lr_finder"]["suggestion"] < rates[-1]
    assert f"suggested train.lr {facts['lr_finder']['suggestion']:g}, a quarter of where" in out
    assert (found["largest"], found["boxes_per_image"], found["ended_by"]) == (12, 2, "images")
    assert [each["batch"] for each in found["trials"]] == [1, 2, 4, 8, 12]


def test_a_plain_dry_run_finds_nothing(squares: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "find_rate", None)
    monkeypatch.setattr(dry_run, "find_batch_size", None)
    assert main(["train", "--data", str(squares), *TINY, "--dry-run", "--json", "-"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert "lr_finder" not in facts
    assert "batch_size_finder" not in facts
    assert "nothing was written" in captured.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--find", "lr"], ["--find lr measures and trains nothing: add --dry-run"]),
        (["--dry-run", "--find", "rate"], ["--find: 'rate' is not one of batch_size, lr"]),
        (["--dry-run", "--find"], ["--find needs a value"]),
        (["--dry-run", "--find", "batch_size", "--resume", "R"], ["--resume"]),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], words: list[str], parts: list[str]) -> None:
    assert main(["train", *words]) == 2
    err = capsys.readouterr().err
    assert all(part in err for part in parts), err


def test_the_estimate_counts_every_step_and_validation(squares: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve pictures in batches of 4 are 3 steps an epoch, shared by 2 processes 2; six of validation are 1 batch each. The first step does not count."""
    monkeypatch.setattr(dry_run, "run_steps", lambda config, task, batches, steps: Steps([1.0] * steps, [9.0, *[0.5] * (steps - 1)]))
    monkeypatch.setattr(dry_run, "_validation_batch", lambda parts: ({"class": 1.0}, [], 0.25))
    words = ["train", "--data", str(squares), *TINY, "--train.epochs", "7", "--train.evaluate_every", "3", "--train.accumulate", "4", "--dry-run", "--json", "a.json"]
    assert main(words) == 0
    facts = json.loads(Path("a.json").read_text())
    assert facts["step_seconds"] == 0.5
    assert facts["estimated_seconds"] == pytest.approx(7 * 3 * 0.5 + 3 * 2 * 0.25)
    assert main([*words[:-1], "b.json", "--train.devices", "2"]) == 0
    assert json.loads(Path("b.json").read_text())["estimated_seconds"] == pytest.approx(7 * 2 * 0.5 + 3 * 1 * 0.25)


def test_a_curve_in_a_line() -> None:
    assert sparkline.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline.sparkline([7, 0], "ascii") == "#_"
    assert sparkline.sparkline([3.0, 3.0]) == "▁▁"
    io.TextIOWrapper(io.BytesIO(), encoding="ascii").write(sparkline.sparkline([1, 2, 3], "no-such-encoding"))
