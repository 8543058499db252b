"""SSD-lite against torchvision's, side by side: the same backbone, anchors, weights and pictures.

python tools/bench_ssdlite.py [--quick] [--only loss data ...] [--json FILE] [--markdown FILE] [--data BCCD] [--threads 2]

Every side is a process of its own and the sides take turns, so that what else the machine does meets all alike; figures are medians. Where
results can be equal they are compared first, and nothing is timed if they are not. "as run" is each side as its users run it: ours keeps
freed memory (finetune/allocator.py), Python's default gives it back to the kernel. "same allocator" gives torchvision's side the same by
environment variables. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.race import ROOT, SAME_ALLOCATOR, Plan, Times, TooSlowError, race, ratio


@dataclass(frozen=True)
class Row:
    """One line of the table: times per unit, ratios of torchvision's (or pycocotools') time to ours."""

    name: str
    unit: str
    ours: float
    theirs: float
    as_run: float
    same_allocator: float | None
    aim: float | None
    peak_mib: tuple[float, float]
    note: str = ""


@dataclass(frozen=True)
class Options:
    """What the races need."""

    data: str
    threads: int
    quick: bool
    minutes: float = 15

    def rounds(self, full: int) -> int:
        """Timed rounds."""
        return 3 if self.quick else full


def compare(name: str, module: str, settings: dict[str, Any], options: Options, *, rounds: int, units: float, unit: str, aim: float | None, tolerance: float | None, note: str = "") -> Row:
    """Race both sides as they are run, and torchvision's with our allocator."""
    settings = {"threads": options.threads, "data": options.data, **settings}
    plans = {"theirs": Plan(module, "theirs", settings, {}), "ours": Plan(module, "ours", settings, {}), "same": Plan(module, "theirs", settings, SAME_ALLOCATOR)}
    times = race(plans, options.rounds(rounds), tolerance, minutes=options.minutes if settings.get("compile") else None)
    return row_of(name, times, units, unit, aim, note)


def row_of(name: str, times: dict[str, Times], units: float, unit: str, aim: float | None, note: str = "") -> Row:
    """A line from the times of the sides; ``units`` of work were done in a round."""
    ours, theirs = times["ours"], times["theirs"]
    same = ratio(times["same"], ours) if "same" in times else None
    milliseconds = 1e3 / units
    return Row(name, unit, ours.median * milliseconds, theirs.median * milliseconds, ratio(theirs, ours), same, aim, (ours.peak_mib, theirs.peak_mib), note)


def loss_rows(options: Options) -> list[Row]:
    """Matching and loss with gradients."""
    sizes = (16,) if options.quick else (16, 32)
    return [
        compare(f"matching and loss, batch {size}", "bench.loss", {"batch": size}, options, rounds=21, units=1, unit="ms a batch", aim=5, tolerance=1e-4, note="losses and gradients equal within 1e-4")
        for size in sizes
    ]


def data_rows(options: Options) -> list[Row]:
    """The data path, in one thread as in a loader process, and against both decoders of JPEG."""
    batches = 2 if options.quick else 6
    rows = []
    for decoder in ("torchvision", "pil"):
        settings = {"batch": 16, "batches": batches, "threads": 1, "decoder": decoder}
        name = f"data path, against {'decode_image' if decoder == 'torchvision' else 'Pillow'}"
        note = "decode, zoom, flip, colour, resize, collate; one thread"
        rows.append(compare(name, "bench.data_path", settings, options, rounds=9, units=16 * batches, unit="ms a picture", aim=3, tolerance=None, note=note))
    return rows


def cache_rows(options: Options) -> list[Row]:
    """Our data path with decoded pictures kept in memory, and without."""
    batches = 2 if options.quick else 6
    settings = {"batch": 16, "batches": batches, "threads": 1, "data": options.data}
    plans = {"theirs": Plan("bench.data_path", "ours", settings, {}), "ours": Plan("bench.data_path", "ours", {**settings, "cache": True}, {})}
    note = f"{16 * batches} pictures; zoom, flip, colour, resize, collate are left; one thread; samples equal"
    return [row_of("our data path with data.cache ram, against itself without", race(plans, options.rounds(9), 0.0), 16 * batches, "ms a picture", None, note)]


def training_rows(options: Options) -> list[Row]:
    """Training steps from files to weights, and the memory they need."""
    settings = {"batch": 4 if options.quick else 16, "steps": 1, "channels_last": True, "compile": False}
    size = settings["batch"]
    return [compare("training from files, channels-last", "bench.training", settings, options, rounds=7, units=size, unit="ms a picture", aim=1.2, tolerance=None, note=f"batch {size}")]


def allocator_rows(options: Options) -> list[Row]:
    """Our training with freed memory kept, and given back as Python does by default."""
    size = 4 if options.quick else 16
    settings = {"batch": size, "steps": 1, "channels_last": True, "compile": False, "threads": options.threads, "data": options.data}
    plans = {"theirs": Plan("bench.training", "ours", {**settings, "keep": False}, {}), "ours": Plan("bench.training", "ours", settings, {})}
    return [row_of("our training, against itself with freed memory given back", race(plans, options.rounds(9), None), size, "ms a picture", None, f"batch {size}")]


def compiled_rows(options: Options) -> list[Row]:
    """The same under torch.compile on both sides; compiling takes minutes, so that each side has a limit and says when it is ready."""
    size = 4 if options.quick else 8
    name, settings = "training from files, channels-last, compiled", {"batch": size, "steps": 1, "channels_last": True, "compile": True}
    try:
        return [compare(name, "bench.training", settings, options, rounds=5, units=size, unit="ms a picture", aim=1.2, tolerance=None, note=f"batch {size}")]
    except TooSlowError as error:
        return [Row(name, "ms a picture", math.nan, math.nan, math.nan, None, 1.2, (math.nan, math.nan), f"batch {size}; {error}")]


def decoding_rows(options: Options) -> list[Row]:
    """Raw outputs to detections."""
    settings = {"batch": 8, "channels_last": True, "only_decoding": True}
    return [compare("decoding, batch 8", "bench.prediction", settings, options, rounds=15, units=1, unit="ms a batch", aim=4, tolerance=1e-5, note="91 columns, COCO-like scores; detections equal")]


def prediction_rows(options: Options) -> list[Row]:
    """Pictures to detections."""
    settings = {"batch": 8, "channels_last": True, "only_decoding": False}
    note = "91 columns, COCO-like scores; detections equal"
    return [compare("prediction, batch 8", "bench.prediction", settings, options, rounds=11, units=8, unit="ms a picture", aim=1.5, tolerance=1e-5, note=note)]


def scoring_rows(options: Options) -> list[Row]:
    """Files to the twelve COCO figures."""
    images = 200 if options.quick else 5000
    with tempfile.TemporaryDirectory() as folder:
        from bench.scoring import write_files

        write_files(Path(folder), images, 100)
        plans = {side: Plan("bench.scoring", side, {"folder": folder}, {}) for side in ("theirs", "ours")}
        times = race(plans, 1 if options.quick else 3, 1e-12, warmup=0)
    return [row_of("COCO scoring", times, 1000, "s", 5, f"{images} images of 100 detections, reading counted; against pycocotools, figures equal within 1e-12")]


ROWS: dict[str, Callable[[Options], list[Row]]] = {
    "loss": loss_rows,
    "data": data_rows,
    "cache": cache_rows,
    "training": training_rows,
    "allocator": allocator_rows,
    "decoding": decoding_rows,
    "prediction": prediction_rows,
    "scoring": scoring_rows,
    "compile": compiled_rows,
}


def markdown(rows: Sequence[Row]) -> str:
    """The table of docs/performance.md."""
    lines = ["| what | ours | theirs | as run | same allocator | aim | peak memory, ours / theirs | |", "|---|--:|--:|--:|--:|--:|--:|---|"]
    for row in rows:
        same, aim = "" if row.same_allocator is None else f"{row.same_allocator:.2f}x", "" if row.aim is None else f"{row.aim:g}x"
        ours, theirs = (f"{value:.3g} {row.unit}" for value in (row.ours, row.theirs))
        figures = f"| {ours} | {theirs} | {row.as_run:.2f}x | {same} | {aim} | {row.peak_mib[0]:.0f} / {row.peak_mib[1]:.0f} MiB |" if row.ours == row.ours else f"| | | | | {aim} | |"
        lines.append(f"| {row.name} {figures} {row.note} |")
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Run the races and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=[name for name in ROWS if name != "compile"], help="compile is left out by default: it takes many minutes")
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten; small batches and few rounds")
    parser.add_argument("--data", default=str(ROOT.parent / "shared" / "data" / "bccd"), help="VOC or COCO folder whose pictures are read")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 is its default")
    parser.add_argument("--minutes", type=float, default=15, help="that each side has to compile, with --only compile")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args(words)
    options = Options(given.data, given.threads, given.quick, given.minutes)
    rows: list[Row] = []
    for name in given.only:
        rows += ROWS[name](options)
        print(markdown(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    table = markdown(rows)
    print(table)
    if given.markdown:
        given.markdown.write_text(table)
    if given.json:
        given.json.write_text(json.dumps({"machine": f"{platform.machine()}, {platform.system()}", "rows": [asdict(row) for row in rows]}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
