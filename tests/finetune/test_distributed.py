"""Two processes train one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch

from tests.finetune.tiny import write_squares

SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from finetune.config import BackboneConfig, FreezeConfig
from finetune.training import fit
from tests.finetune.tiny import tiny_config

config = tiny_config(Path(sys.argv[2]), epochs=2, devices="2", strategy="ddp", ema=0.9)
backbone = BackboneConfig("test_efficientnet", weights=sys.argv[4])  # only pretrained stages are frozen
record = fit(replace(config, backbone=backbone, freeze=FreezeConfig("stages", 2, "frozen")), sys.argv[3])
print("finished", record.epochs)
"""


@pytest.mark.slow
def test_two_processes_with_frozen_stages_and_an_odd_validation_split(tmp_path: Path, repo_root: Path) -> None:
    squares = write_squares(tmp_path / "squares", {"train": 10, "valid": 9})  # 9 images on 2 processes: unequal shares used to wait for ever
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    weights = tmp_path / "pretrained.pth"
    torch.save(timm.create_model("test_efficientnet").state_dict(), weights)
    done = subprocess.run([sys.executable, str(script), str(repo_root), str(squares), str(tmp_path / "run"), str(weights)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("finished") == 2  # two processes share the stream: their lines may run into one another
    assert done.stdout.count("epoch 2/2") == 1, "only the first process prints"
    assert json.loads((tmp_path / "run" / "record.json").read_text())["epochs"] == 2
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
