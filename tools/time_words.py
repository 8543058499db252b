"""How fast word pictures are drawn: milliseconds per picture in one process, pictures per second of the command, memory of a process.

python tools/time_words.py
python tools/time_words.py --images 200 --fonts system --backgrounds photos/ --command 400
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from finetune.samples.text.word_pictures import WordPictures
from finetune.samples.text.word_sets import WordSettings, generate_words


def time_pictures(size: tuple[int, int], options: argparse.Namespace) -> None:
    """Draw pictures in this process with one thread and print how long they took."""
    start = time.perf_counter()
    pictures = WordPictures(size, options.seed, options.corpus, options.fonts, options.backgrounds)
    ready = time.perf_counter() - start
    seconds, words, readable, heights = [], 0, 0, []
    for index in range(options.images):
        start = time.perf_counter()
        picture = pictures.draw(index)
        seconds.append(time.perf_counter() - start)
        words += len(picture.texts)
        readable += int((~picture.ignore).sum())
        heights.append(picture.word_heights[~picture.ignore])
    first, later = seconds[: len(seconds) // 3], seconds[len(seconds) // 3 :]  # glyphs and scenes are there later
    tall = np.percentile(np.concatenate(heights), [10, 50, 90]).round(1).tolist()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{size[0]} x {size[1]}: {1000 * statistics.mean(later):.1f} ms a picture (median {1000 * statistics.median(later):.1f}, first third {1000 * statistics.mean(first):.1f}), "
        f"ready in {ready:.2f} s, {words / len(seconds):.1f} words a picture, {readable / len(seconds):.1f} readable, heights p10 p50 p90 {tall}, {memory:.0f} MB"
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus")
    parser.add_argument("--fonts", default="matplotlib")
    parser.add_argument("--backgrounds")
    parser.add_argument("--command", type=int, default=400, help="pictures of 640 x 640 that the command draws; 0 leaves it out")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for size in ((640, 640), (320, 320)):
        time_pictures(size, options)
    if options.command:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            generate_words(Path(folder) / "words", options.command, WordSettings((640, 640), options.seed, options.corpus, options.fonts, options.backgrounds))
            took = time.perf_counter() - start
        print(f"command: {options.command} pictures in {took:.1f} s, {options.command / took:.1f} a second on {cores} cores, the start of its processes included")


if __name__ == "__main__":
    main()
