"""The pack for another machine: what is in it, that it trains there, and what never travels."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from finetune.config import FreezeConfig
from tests.finetune.data.test_mix import write_bright, write_store
from tests.finetune.test_text_run import text_config, write_bars


@pytest.mark.slow
def test_a_pack_trains_where_nothing_else_is(tmp_path: Path, repo_root: Path) -> None:
    data = write_bars(tmp_path / "bars", {"train": 6, "val": 2, "test": 2})
    seen = [write_bright(tmp_path / "photos" / "a.png"), data / "val_images" / "img_1.png", data / "test_images" / "img_2.png"]
    write_store(tmp_path / "taught", seen)
    config = text_config(data, epochs=2, evaluate_every=2)
    config = replace(config, freeze=FreezeConfig("none"), data=replace(config.data, mix={str(tmp_path / "taught"): 0.5, "words": 0.25}, epoch_images=8))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(_listed(asdict(config))))
    made = subprocess.run([sys.executable, repo_root / "tools" / "pack_training.py", tmp_path / "c.yaml", "--out", tmp_path / "pack.tar"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with tarfile.open(tmp_path / "pack.tar") as tar:
        names = tar.getnames()
        tar.extractall(tmp_path / "there", filter="data")
    assert sum(name.startswith("pack/data/train_images") for name in names) == 6
    assert not any("test_images" in name for name in names)
    assert [name for name in names if name.startswith("pack/sources/0/pictures/")] == ["pack/sources/0/pictures/0.png"]  # neither val's nor test's
    for gone in (data, tmp_path / "taught", tmp_path / "photos"):
        gone.rename(gone.with_name(f"gone-{gone.name}"))

    place = {**os.environ, "PYTHONPATH": ""}
    ran = subprocess.run([sys.executable, "pack/train.py"], cwd=tmp_path / "there", env=place, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with tarfile.open(tmp_path / "there" / "pack" / "result.tar") as tar:
        brought = {entry.name: entry.size for entry in tar.getmembers()}
    assert {"result/log.txt", "result/metrics.csv", "result/record.json", "result/float16.safetensors"} <= set(brought)
    assert brought["result/float16.safetensors"] < 0.6 * brought["result/model.safetensors"]
    again = subprocess.run([sys.executable, "pack/train.py"], cwd=tmp_path / "there", env=place, capture_output=True, text=True)
    assert "is finished (2 epochs): nothing to resume" in again.stdout


@pytest.mark.slow
def test_a_pack_that_is_too_large_says_what_is_large(tmp_path: Path, repo_root: Path) -> None:
    data = write_bars(tmp_path / "bars", {"train": 3, "val": 1})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(_listed(asdict(replace(text_config(data), freeze=FreezeConfig("none"))))))
    made = subprocess.run(
        [sys.executable, repo_root / "tools" / "pack_training.py", tmp_path / "c.yaml", "--out", tmp_path / "pack.tar", "--limit", "0.1"], capture_output=True, text=True
    )
    assert made.returncode == 1
    assert "more than 0.1 (" in made.stderr
    assert "code " in made.stderr
    assert not list(tmp_path.glob("*pack.tar*"))


def _listed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple) else value
