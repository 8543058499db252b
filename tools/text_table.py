"""CRAFT, CRAFT-lite and CRAFT-lite-tiny side by side: parameters, multiply-adds, CPU latency at the same input, and Hmean on a split.

    python tools/text_table.py [MODEL ...] --data PATH/TO/ic15 [--split test] [--size 736 1280] [--rounds 9] [--json FILE]

MODEL is a run folder, a .safetensors file or craft_mlt_25k; the default are the official weights and all files of docs/models. Every model is scored by finetune evaluate with
its own thresholds and input size. Latency is of the network alone: the models take turns on one input, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backbones.errors import FinetuneError
from finetune.cli import main as finetune
from finetune.console import console, write_json
from finetune.load import load_run
from tools.bench_craft import count, figures, in_turns

ROOT = Path(__file__).resolve().parents[1]


def score(model: str, data: str, split: str) -> dict[str, float]:
    """The figures of ``finetune evaluate``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "e.json"
        words = ["evaluate", "--detector", "craft", "--weights", model] if model == "craft_mlt_25k" else ["evaluate", model]
        code = finetune([*words, "--data", data, "--split", split, "--protocol", "icdar2015-iou", "--json", str(file)])
        if code:
            raise FinetuneError(f"{model} could not be scored on {data}: finetune evaluate ended with {code}")
        values: dict[str, float] = json.loads(file.read_text())["results"][0]["values"]
    return values


def main() -> int:
    """Measure, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--size", type=int, nargs=2, default=(736, 1280), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json")
    given = parser.parse_args()
    models = given.models or ["craft_mlt_25k", *map(str, sorted((ROOT / "docs" / "models").glob("*.safetensors")))]
    try:
        loaded = {model: load_run(model).detector for model in models}
        scores = {model: score(model, given.data, given.split) for model in models}
    except FinetuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    image = torch.randn(1, 3, *given.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seconds = in_turns({model: lambda network=network: network(image) for model, network in loaded.items()}, given.rounds)  # type: ignore[misc]
    rows = []
    for model, network in loaded.items():
        parameters, macs = count(network)
        rows.append({"model": Path(model).stem, "parameters": parameters, "macs_256": macs, **figures(seconds[model], seconds[models[0]]), **scores[model]})
    _show(rows, given)
    write_json(given.json, {"data": Path(given.data).name, "split": given.split, "size": list(given.size), "threads": torch.get_num_threads(), "rows": rows})
    return 0


def _show(rows: list[dict[str, Any]], given: argparse.Namespace) -> None:
    table = Table(box=SIMPLE, title=f"{Path(given.data).name} {given.split}; network at {given.size[0]} x {given.size[1]}, {torch.get_num_threads()} threads, {given.rounds} rounds in turns")
    for name in ("model", "parameters", "MACs at 256", "median", "p95", "times as fast", "precision", "recall", "Hmean"):
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in rows:
        table.add_row(
            row["model"], f"{row['parameters']:,}", f"{row['macs_256'] / 1e9:.2f} G", f"{row['median_ms']:.0f} ms", f"{row['p95_ms']:.0f} ms", f"{row['faster']:.1f}",
            *(f"{row[name]:.4f}" for name in ("precision", "recall", "hmean")),
        )  # fmt: skip
    console().print(table)


if __name__ == "__main__":
    sys.exit(main())
