"""Training from cached features against training from pictures: images a second and where a step's time goes, in turns in one process.

    python tools/bench_features.py --data FOLDER [--backbone NAME] [--size 320 320] [--head default|slim|all] [--policy backbone] [--rounds N] [--json FILE]

Both sides are the same run (settings, seed, fixed views); one reads pictures and runs the frozen stages, the other reads what they gave. Their losses are compared first. The ratio is
the median over rounds, so that a busy machine slows both; the making of the features is timed apart, with the epochs after which it has paid.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from finetune.allocator import keep_freed_memory
from finetune.config import BackboneConfig, DataConfig, DetectorConfig, EvaluateConfig, FreezeConfig, PyramidConfig, RunConfig, SSDLiteConfig, TrainConfig
from finetune.console import console, write_json
from finetune.features.use import use_features
from finetune.run_log import RunLog
from finetune.training import prepare

PHASES = ("batch", "forward", "loss", "backward", "update")
HEADS = {"default": {}, "slim": {"pyramid": PyramidConfig(levels=(4, 5), width=32), "ssdlite": SSDLiteConfig(head_depth=1)}}


class Side:
    """One way to train: its steps, driven as a Lightning trainer drives them.

    Args:
        config: Settings; without ``data.feature_cache`` it reads pictures.
        folder: Where features go.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.parts = prepare(config, RunLog(quiet=True))
        started = time.perf_counter()
        self.layout = use_features(self.parts.config, self.parts.task, self.parts.data, folder, self.parts.log, torch.device("cpu"))
        self.making = time.perf_counter() - started
        self.task, self.epoch = self.parts.task, 0
        detector = self.task.detector
        train = config.train
        self.optimizer = torch.optim.SGD(self.task._groups(detector.backbone, detector.new_modules()), lr=train.lr, momentum=train.momentum, nesterov=True)
        self.parameters = [p for p in self.task.parameters() if p.requires_grad]
        self.batches = self._batches()

    def _batches(self) -> Iterator[Any]:
        while True:
            self.parts.data.set_epoch(self.epoch)
            yield from self.parts.data.train_dataloader()
            self.epoch += 1

    def step(self) -> tuple[list[float], float, int]:
        """Seconds of each phase, the loss, and the images of one step."""
        marks = [time.perf_counter()]
        batch = next(self.batches)
        marks.append(time.perf_counter())
        outputs = self.task(batch.features if hasattr(batch, "features") else batch.images)
        marks.append(time.perf_counter())
        loss = torch.stack(list(self.task._losses(outputs, batch).values())).sum()
        marks.append(time.perf_counter())
        self.optimizer.zero_grad()
        loss.backward()
        marks.append(time.perf_counter())
        torch.nn.utils.clip_grad_norm_(self.parameters, 4.0)
        self.optimizer.step()
        marks.append(time.perf_counter())
        return [end - start for start, end in pairwise(marks)], float(loss.detach()), len(batch.metas)


def settings(options: argparse.Namespace, head: str) -> RunConfig:
    """The run of the uncached side."""
    text = options.detector != "ssdlite"
    data = DataConfig(root=str(options.data), input_size=tuple(options.size), views=options.views, augment="light" if options.views else "none", batch_size=options.batch, workers=0)
    config = RunConfig(
        data=data,
        backbone=BackboneConfig(options.backbone, options.weights),
        detector=DetectorConfig(options.detector),
        freeze=FreezeConfig(options.policy, options.stages, "frozen"),
        train=TrainConfig(epochs=100, accelerator="cpu"),
        evaluate=EvaluateConfig(("icdar2015-iou",) if text else ("coco",)),
    )
    return config if text else replace(config, **HEADS[head])


def measure(options: argparse.Namespace, head: str) -> dict[str, Any]:
    """Both sides in turns; raises SystemExit where their losses differ."""
    config = settings(options, head)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        plain = Side(config, Path(folder))
        cached = Side(replace(config, data=replace(config.data, feature_cache=options.stored)), Path(folder))
        pairs = [(plain.step()[1], cached.step()[1]) for _ in range(3)]
        if any(abs(one - other) > 1e-3 * abs(one) * (1 if options.stored == "float32" else 10) for one, other in pairs):
            raise SystemExit(f"losses differ, so nothing is timed: {pairs}")
        rounds: dict[str, list[list[float]]] = {"plain": [], "cached": []}
        images = 0
        for number in range(options.rounds):
            sides = [("plain", plain), ("cached", cached)]
            for name, side in sides if number % 2 else reversed(sides):
                steps = [side.step() for _ in range(options.steps)]
                images = sum(count for _, _, count in steps)
                rounds[name].append([sum(taken[phase] for taken, _, _ in steps) for phase in range(len(PHASES))])
    return _figures(options, head, rounds, images, plain, cached)


def _figures(options: argparse.Namespace, head: str, rounds: dict[str, list[list[float]]], images: int, plain: Side, cached: Side) -> dict[str, Any]:
    layout = cached.layout
    if layout is None:
        raise SystemExit("nothing was cached")
    totals = {name: [sum(phases) for phases in rows] for name, rows in rounds.items()}
    milliseconds = {name: [1000 * statistics.median(row[phase] for row in rows) / images for phase in range(len(PHASES))] for name, rows in rounds.items()}
    speed = {name: images / statistics.median(values) for name, values in totals.items()}
    epoch_saved = layout.images * (1 / speed["plain"] - 1 / speed["cached"])
    return {
        "head": head,
        "backbone": options.backbone,
        "ratio": statistics.median(slow / fast for slow, fast in zip(totals["plain"], totals["cached"], strict=True)),
        "images_per_second": speed,
        "milliseconds_per_image": {name: dict(zip(PHASES, values, strict=True)) for name, values in milliseconds.items()},
        "making_seconds": cached.making,
        "paid_after_epochs": cached.making / epoch_saved if epoch_saved > 0 else None,
        "kib_per_view": layout.row_bytes / 1024,
        "mib": layout.size / 2**20,
        "trainable_parameters": sum(p.numel() for p in plain.parameters),
    }


def show(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> Table:
    """Milliseconds for each image, phase by phase."""
    caption = (
        f"milliseconds an image, median of {options.rounds} rounds of {options.steps} steps of {options.batch}, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"{options.detector} {options.size[0]}x{options.size[1]}, freeze {options.policy}, views {options.views}, {options.stored}"
    )
    table = Table(title=f"Training from cached features: {options.backbone}", caption=caption, box=SIMPLE, pad_edge=False)
    table.add_column("head, side")
    for heading in (*PHASES, "images/s", "ratio", "MiB", "paid after"):
        table.add_column(heading, justify="right")
    for row in rows:
        for name in ("plain", "cached"):
            last = name == "cached"
            paid = f"{row['paid_after_epochs']:.1f} epochs" if row["paid_after_epochs"] is not None else "never"
            ends = [f"{row['ratio']:.1f}x", f"{row['mib']:.0f}", paid] if last else ["", "", ""]
            table.add_row(f"{row['head']}, {name}", *(f"{value:.2f}" for value in row["milliseconds_per_image"][name].values()), f"{row['images_per_second'][name]:.1f}", *ends)
    return table


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="signs", help="data set, or signs or words")
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--detector", choices=("ssdlite", "craftlite"), default="ssdlite")
    parser.add_argument("--size", type=int, nargs=2, default=[320, 320], metavar=("H", "W"))
    parser.add_argument("--head", choices=(*HEADS, "all"), default="all", help="slim: an fpn of 32 channels at strides 16 and 32 with one block; for ssdlite")
    parser.add_argument("--policy", choices=("backbone", "stages", "gradual"), default="backbone")
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--stored", choices=("float32", "float16"), default="float32")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves them as they are")
    parser.add_argument("--folder", help="where the features go while it runs; default: the system's temporary folder")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here; - is standard output")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    options = _parse(argv)
    keep_freed_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    heads = list(HEADS) if options.head == "all" and options.detector == "ssdlite" else ["default" if options.head == "all" else options.head]
    rows = [measure(options, head) for head in heads]
    if options.json != "-":
        console().print(show(options, rows))
    write_json(options.json, {"options": {key: str(value) for key, value in vars(options).items() if key != "data"}, "threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows})


if __name__ == "__main__":
    main()
