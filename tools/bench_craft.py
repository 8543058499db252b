"""CRAFT and the CRAFT-lite presets side by side: parameters, multiply-adds, seconds of the network on this CPU; and the decoding against the published one.

    python tools/bench_craft.py [--image FILE] [--size 448 768] [--rounds N] [--only sizes|network|decode] [--json FILE]

The networks take turns on the same input, so that a busy machine slows all of them; the ratio is the median over the rounds. MACs are
multiply-adds of convolutions and linear layers for one 256 x 256 image. The decoding runs on drawn maps of 640 x 360 cells (an input of
1280 x 720) with 10, 50 and 200 words; "published" is a plain port of the published post-processing that tests/ hold ours against.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backbones import create_backbone
from detectors.craft.decode import DecodeSettings, decode_many, decode_maps
from detectors.registry import create_detector
from finetune.console import console, write_json
from finetune.data.images import read_image
from finetune.data.text_preprocess import TextPreprocess
from tests.detectors.craft.drawn_maps import draw_maps
from tests.detectors.craft.published import published_quads

NETWORKS = (("craft", None), ("craftlite", "mobilenetv2_100"), ("craftlite", "tf_efficientnet_lite0"), ("craftlite-tiny", "mobilenetv2_100"), ("craftlite-tiny", "tf_efficientnet_lite0"))
WORDS = (10, 50, 200)
_SWEEP = [DecodeSettings(text, link, low) for text in np.arange(0.4, 0.85, 0.05).tolist() for link in (0.3, 0.4) for low in (0.3, 0.4)]


def build_networks() -> dict[str, Any]:
    """Every network by a name for the table, in eval mode."""
    return {name + (f" {backbone}" if backbone else ""): create_detector(name, create_backbone(backbone, weights="none") if backbone else None).eval() for name, backbone in NETWORKS}


def count(detector: Any) -> tuple[int, int]:
    """Parameters, and multiply-adds of one 256 x 256 image."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        detector(torch.zeros(1, 3, 256, 256))
    return sum(p.numel() for p in detector.parameters()), counter.get_total_flops() // 2


def in_turns(sides: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Seconds of each side in each round; the order changes from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warmup + rounds):
        for name in list(sides) if number % 2 else list(reversed(sides)):
            start = time.perf_counter()
            sides[name]()
            if number >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def figures(seconds: Sequence[float], reference: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds, and how many times longer the reference took in the same round."""
    return {
        "median_ms": 1000 * statistics.median(seconds),
        "p95_ms": 1000 * float(np.percentile(seconds, 95)),
        "faster": statistics.median(slow / fast for slow, fast in zip(reference, seconds, strict=True)),
    }


def measure_networks(networks: Mapping[str, Any], image: Tensor, rounds: int) -> list[dict[str, Any]]:
    """One row for each network, CRAFT first."""
    with torch.inference_mode():
        seconds = in_turns({name: lambda network=network: network(image) for name, network in networks.items()}, rounds)  # type: ignore[misc]
    return [{"name": name, **figures(taken, seconds["craft"])} for name, taken in seconds.items()]


def measure_decoding(words: int, rounds: int) -> list[dict[str, Any]]:
    """Rows of ours, ours under many settings and the published one, for one map of so many words."""
    maps = draw_maps(360, 640, words, seed=words)
    batch, settings = torch.from_numpy(maps)[None], DecodeSettings()
    sides: dict[str, Callable[[], object]] = {
        "published": lambda: published_quads(maps[0], maps[1], settings.text_threshold, settings.link_threshold, settings.low_text),
        "ours": lambda: decode_maps(batch, settings),
        f"ours, {len(_SWEEP)} settings": lambda: decode_many(batch, _SWEEP),
    }
    seconds = in_turns(sides, rounds)
    found = len(decode_maps(batch, settings)[0].quads)
    return [{"name": name, "words": words, "found": found, **figures(taken, seconds["published"])} for name, taken in seconds.items()]


def _table(title: str, caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, box=SIMPLE, caption=caption, pad_edge=False)
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _input(options: argparse.Namespace) -> Tensor:
    if options.image:
        prepared, _ = TextPreprocess(canvas=max(options.size), mag_ratio=1.5).apply(read_image(options.image))
        return create_detector("craft").image_stats.normalize(prepared[None])
    return torch.randn(1, 3, *options.size, generator=torch.Generator().manual_seed(0))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, metavar="FILE", help="a picture, its longer side made as long as that of --size; default: noise of --size")
    parser.add_argument("--size", type=int, nargs=2, default=[448, 768], metavar=("H", "W"), help="input of the networks in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("sizes", "network", "decode"))
    parser.add_argument("--json", metavar="FILE", help="also write the figures here; - is standard output")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    options = _parse(argv)
    result: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    tables = []
    networks = build_networks() if options.only != "decode" else {}
    if options.only in (None, "sizes"):
        result["sizes"] = [dict(zip(("name", "params", "macs"), (name, *count(network)), strict=True)) for name, network in networks.items()]
        rows = [[row["name"], f"{row['params']:,}", f"{row['macs'] / 1e9:.2f}"] for row in result["sizes"]]
        tables.append(_table("Sizes", "MACs in billions, 256 x 256", ("network", "parameters", "MACs"), rows))
    if options.only in (None, "network"):
        image = _input(options)
        result["network"] = measure_networks(networks, image, options.rounds)
        rows = [[row["name"], f"{row['median_ms']:.0f}", f"{row['p95_ms']:.0f}", f"{row['faster']:.1f}x"] for row in result["network"]]
        caption = f"one input of {image.shape[2]} x {image.shape[3]}, {options.rounds} rounds in turns, {result['threads']} threads, torch {torch.__version__}, without decoding"
        tables.append(_table("Network on CPU", caption, ("network", "median ms", "p95 ms", "faster than craft"), rows))
    if options.only in (None, "decode"):
        result["decode"] = [row for words in WORDS for row in measure_decoding(words, 3 * options.rounds)]
        rows = [[row["name"], str(row["words"]), str(row["found"]), f"{row['median_ms']:.2f}", f"{row['p95_ms']:.2f}", f"{row['faster']:.1f}x"] for row in result["decode"]]
        tables.append(_table("Decoding", "maps of 640 x 360 cells", ("decoding", "drawn", "found", "median ms", "p95 ms", "faster"), rows))
    if options.json != "-":
        for table in tables:
            console().print(table)
    write_json(options.json, result)


if __name__ == "__main__":
    main()
