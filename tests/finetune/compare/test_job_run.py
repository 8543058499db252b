"""One job in this process: what it leaves when it works, when memory runs out, and when it has ended before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.compare.job_run import run_job
from finetune.compare.options import CompareConfig, CompareOptions
from finetune.compare.prepare import prepare
from finetune.task import DetectionTask
from tests.finetune.tiny import tiny_config, write_squares


def test_one_that_runs_out_of_memory_fails_in_a_line_and_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = write_squares(tmp_path / "squares", {"train": 8, "valid": 3, "test": 3}), tmp_path / "cmp"
    prepare(CompareOptions(tiny_config(data, epochs=0), CompareConfig(("test_efficientnet=none",), 1, "1ep", attribution="Squares, public domain")), out, "local")

    def step(self: DetectionTask, *_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:128] data. DefaultCPUAllocator: can't allocate memory: you tried to allocate 999999999999 bytes. Error code 12")

    with monkeypatch.context() as patch:
        patch.setattr(DetectionTask, "training_step", step)
        failed = run_job(out, 0)
    assert failed.state == "failed"
    assert failed.run.failure == "this machine ran out of memory at 4 images of (64, 64) a step: halve data.batch_size and double train.accumulate"

    done = run_job(out, 0)
    assert (done.state, done.run.attempts, done.run.epochs) == ("finished", 2, 1)
    assert done.run.scores[0].split == "test"
    assert len(json.loads((out / str(done.run.predictions)).read_text())["image"]) > 0
    monkeypatch.setattr("finetune.training.fit", None)  # it would be called if the job were done again
    file = out / "jobs" / "test_efficientnet-s0.json"
    before = file.read_bytes()
    assert run_job(out, 0).run.attempts == 2
    assert file.read_bytes() == before
    assert json.loads((out / "comparison.json").read_text())["data"]["attribution"] == "Squares, public domain"
