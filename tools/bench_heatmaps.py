"""Times the targets of CRAFT: all characters in one pass against an OpenCV warp per character, on one picture with many words.

    python tools/bench_heatmaps.py [--words 100] [--size 640] [--rounds 30] [--threads 1]

Both are first compared: they differ by no more than OpenCV's fixed-point positions explain. Rounds are interleaved, medians are shown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detectors.craft.heatmaps import build_targets
from detectors.types import TextTarget
from finetune.allocator import keep_freed_memory
from tests.detectors.craft.map_reference import affinity_loop, some_words, warp_loop

TOLERANCE, RIM = 4e-3, 0.05  # at the rim, where the Gaussian is cut at 0.044, a cell may fall to either side


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("words", 100), ("size", 640), ("rounds", 30), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    keep_freed_memory()  # as every run of ours does, for both sides
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    characters, owners, quads = some_words(options.words, options.size)
    target = TextTarget(torch.from_numpy(quads), torch.zeros(options.words, dtype=torch.bool), (), torch.from_numpy(characters), torch.from_numpy(owners))
    map_hw = (options.size // 2, options.size // 2)

    def loop() -> np.ndarray:
        return np.stack([warp_loop(characters / 2, map_hw), warp_loop(affinity_loop(characters, owners) / 2, map_hw)])

    ours, theirs = build_targets([target], map_hw).maps[0].numpy(), loop()
    apart = np.abs(ours - theirs)
    inner = np.maximum(ours, theirs) > RIM
    if apart[inner].max() > TOLERANCE or apart.max() > RIM:
        sys.exit(f"the maps differ by {apart[inner].max():.4f} within the Gaussians and {apart.max():.4f} at their rims: nothing was timed")
    seconds: dict[str, list[float]] = {"one pass": [], "a warp per character": []}
    for _ in range(options.rounds):
        for name, run in (("one pass", lambda: build_targets([target], map_hw)), ("a warp per character", loop)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{options.words} words, {len(characters)} characters, {options.size} x {options.size}, {options.threads} thread(s); greatest difference {apart[inner].max():.4f}")
    for name, value in medians.items():
        print(f"{name:>22}: {1000 * value:7.2f} ms (of {options.rounds}: {1000 * min(seconds[name]):.2f} to {1000 * max(seconds[name]):.2f})")
    print(f"{'ratio of medians':>22}: {medians['a warp per character'] / medians['one pass']:.1f}")


if __name__ == "__main__":
    main()
