"""Short trainings of one setting changed at a time, for docs/experiments.md.

    python tools/recipe_trials.py tools/recipe_trials.yaml --data ROOT --out RESULTS.jsonl [--epochs 6] [--size 256] [--seeds 0 1] [--only NAME ...]
    python tools/recipe_trials.py --table RESULTS.jsonl

The YAML file maps the name of a trial to the settings that differ from the defaults, each "section.setting: value" (``{}`` is the default
itself). Every trial trains on the training split, is scored on the validation split and adds one line to RESULTS.jsonl; lines that are there
are not run again, so an interrupted series goes on where it stopped. Several processes may share the work, with different --only or --seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from backbones.errors import FinetuneError
from finetune.config import RunConfig
from finetune.config_file import config_from_dict, config_to_dict
from finetune.run_folder import data_name
from finetune.training import fit
from finetune.validate import check_run


def build_config(changes: Mapping[str, Any], where: str) -> RunConfig:
    """The default settings with some of them changed; raises FinetuneError naming every wrong one."""
    tree: dict[str, Any] = {}
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[name] = value
    checked = check_run(tree, where)
    if checked.faults:
        raise FinetuneError("; ".join(checked.faults))
    return config_from_dict(checked.tree, where)


def run_trial(name: str, config: RunConfig) -> dict[str, Any]:
    """Train once in a folder that is deleted afterwards; the figures of every evaluation."""
    started, computed = time.perf_counter(), time.process_time()
    result: dict[str, Any] = {"trial": name, "data": data_name(config), "seed": config.seed, "epochs": config.train.epochs, "size": config.data.input_size[0]}
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(config, Path(folder) / "run")
        except FinetuneError as error:
            return {**result, "failed": str(error)}
        with (Path(folder) / "run" / "metrics.csv").open() as stream:
            rows = list(csv.DictReader(stream))
    for figure in ("AP50", "AP"):
        result[figure] = {row["epoch"]: float(value) for row in rows if (value := row.get(f"val/coco/{figure}"))}
    result["train_loss"] = float(rows[-1]["train/loss"])
    return {**result, "seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - computed, "torch": torch.__version__, "config": config_to_dict(config)}


def print_table(rows: list[dict[str, Any]]) -> None:
    """Figures of finished trials as a Markdown table."""
    print("| data | trial | seed | epochs, size | AP50 by epoch | AP | CPU seconds |\n|---|---|---|---|---|---|---|")
    for row in rows:
        figures = row.get("failed") or ", ".join(f"{epoch}: {value:.3f}" for epoch, value in row["AP50"].items())
        last = f"{list(row['AP'].values())[-1]:.3f} | {row.get('cpu_seconds', row['seconds']):.0f}" if "AP" in row else "|"
        print(f"| {row['data']} | {row['trial']} | {row['seed']} | {row['epochs']}, {row['size']} | {figures} | {last} |")


def main() -> None:
    """Run what is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", type=Path, nargs="?")
    parser.add_argument("--table", type=Path, help="only print these results as Markdown")
    parser.add_argument("--data", default="signs")
    parser.add_argument("--out", type=Path, default=Path("trials.jsonl"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--evaluations", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+")
    args = parser.parse_args()
    if args.table:
        print_table([json.loads(line) for line in args.table.read_text().splitlines()])
        return
    if args.trials is None:
        parser.error("name a file of trials, or --table RESULTS.jsonl")
    base = {"data.root": args.data, "data.input_size": [args.size, args.size], "data.workers": 0, "train.epochs": args.epochs, "train.evaluate_every": max(1, args.epochs // args.evaluations)}
    for seed in args.seeds:
        for name, changes in yaml.safe_load(args.trials.read_text()).items():
            config = build_config({**base, "seed": seed, **changes}, f"{args.trials} {name}")
            key = [name, data_name(config), seed, config.train.epochs, config.data.input_size[0]]
            done = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out.exists() else []
            if (args.only and name not in args.only) or key in [[row[k] for k in ("trial", "data", "seed", "epochs", "size")] for row in done]:
                continue
            result = run_trial(name, config)
            with args.out.open("a") as stream:
                stream.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
