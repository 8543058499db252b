"""What ``tools/pack_training.py`` starts on the other machine: unpack, train (or go on), and pack the result. It is called pack/train.py there."""

from __future__ import annotations

import os
import signal
import sys
import tarfile
import threading
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
SMALL = ("log.txt", "metrics.csv", "config.yaml", "curves.png", "record.json", "environment.json", "model.safetensors", "float16.safetensors")


def unpack_maps() -> None:
    """8 bits to the float16 that trainings read."""
    for packed in sorted(HERE.glob("sources/*/packed/*.npz")):
        target = packed.parents[1] / "maps" / packed.name.removesuffix(".npz")
        if target.is_file():
            continue
        target.parent.mkdir(exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        with np.load(packed, allow_pickle=False) as content, temporary.open("wb") as stream:
            np.save(stream, (content["maps"] / np.float32(255)).astype(np.float16), allow_pickle=False)
        temporary.replace(target)


def main() -> int:
    """Train with the flags of ``finetune train``; --minutes ends cleanly before a limit, to be called again."""
    words = sys.argv[1:]
    if "--minutes" in words:
        place = words.index("--minutes")
        minutes = float(words[place + 1])
        del words[place : place + 2]
        timer = threading.Timer(minutes * 60, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
    os.chdir(HERE)
    sys.path.insert(0, str(HERE / "code"))
    from finetune.cli import main as finetune
    from finetune.weights_file import load_weights, save_weights

    unpack_maps()
    run = HERE / "run"
    again = ["--resume", "run"] if (run / "config.yaml").is_file() else ["--config", "config.yaml", "--out", "run", *words]
    code = finetune(["train", *again])
    if (run / "model.safetensors").is_file():
        state, info = load_weights(run)
        save_weights(run / "float16.safetensors", state, info, torch.float16)
    with tarfile.open(HERE / "result.tar", "w") as tar:
        for name in SMALL:
            if (run / name).is_file():
                tar.add(run / name, f"result/{name}")
    return code


if __name__ == "__main__":
    sys.exit(main())
