"""Weights of a finished run as one file to give away: float16, without anything about the machine that trained them.

    python tools/publish_weights.py RUN OUT.safetensors [--canvas C] [--text_threshold T --link_threshold L --low_text W]

Thresholds (chosen on a validation split, see finetune evaluate --sweep) and the input size travel with the file; paths of data and of start weights do not. The file is read
back, and its answer to a picture of noise compared with that of the run.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backbones.errors import FinetuneError, UsageError
from finetune.compare.settings import shareable_settings
from finetune.config import DataConfig, RunConfig
from finetune.config_file import config_from_dict
from finetune.load import load_run
from finetune.weights_file import load_weights, save_weights

_CLOSE = 0.02  # of maps in 0..1


def without_paths(config: RunConfig) -> RunConfig:
    """The settings with names instead of paths, and without lists of files."""
    plain = config_from_dict(shareable_settings(config), "settings")
    return replace(plain, data=replace(plain.data, train=None, val=None, test=None, images=None))


def publish(run: str, out: Path, thresholds: dict[str, Any]) -> str:
    """Write the file and check it; returns a line about it."""
    if out.exists():
        raise UsageError(f"{out} exists and is never overwritten: remove it, or name another file")
    state, info = load_weights(run)
    config = without_paths(info.config)
    config = replace(config, craft=replace(config.craft, **thresholds)) if thresholds else config
    if "canvas" in thresholds:
        info = replace(info, preprocess=replace(info.preprocess, canvas=thresholds["canvas"]))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(out, state, replace(info, config=config), torch.float16)
    before, after = load_run(run), load_run(out)
    picture = torch.randn(1, DataConfig().channels, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        gap = max(float((one - two).abs().max()) for one, two in zip(before.detector(picture), after.detector(picture), strict=True))
    if gap > _CLOSE:
        out.unlink()
        raise FinetuneError(f"float16 changes the answer by {gap:.3f}: these weights have to stay float32; nothing was written")
    content = out.read_bytes()
    return f"{out}: {len(content) / 1e6:.2f} MB, md5 {hashlib.md5(content, usedforsecurity=False).hexdigest()}; float16 changes outputs by {gap:.1e} at most"


def main() -> int:
    """Publish by the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    for name in ("text_threshold", "link_threshold", "low_text"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--canvas", type=int)
    given = vars(parser.parse_args())
    try:
        print(publish(given.pop("run"), given.pop("out"), {name: value for name, value in given.items() if value is not None}))
    except FinetuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
