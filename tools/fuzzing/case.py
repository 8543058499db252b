"""One case: a data set chosen and damaged by the numbers (seed, case), written, read by the real entry points, and judged."""

from __future__ import annotations

import os
import random
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from backbones.errors import DataError, UsageError
from finetune.check.examine import examine
from finetune.config import DataConfig, RunConfig
from finetune.data import load_annotations, load_splits
from finetune.evaluation.predictions import read_predictions
from fuzzing import damage_bytes, damage_json, damage_layout, damage_xml
from fuzzing.damage_layout import Plan
from fuzzing.damage_text_layout import TEXT_DAMAGE
from fuzzing.invariants import ErrorsFound, contradictions, examination_faults, message_faults, prediction_faults, split_faults, summary_faults
from fuzzing.templates import Template
from fuzzing.text_case import pick_text_damage, text_entry_points, text_settings

MEMORY_GROWTH_MB = 400


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Args:
        case: Its number.
        template: The data set.
        damage: Kinds of damage, in order.
        results: Per entry point: "works", "DataError", "UsageError", or "FAULT".
        faults: What is wrong, one text per fault; empty is good.
        messages: What the entry points said.
    """

    case: int
    template: str
    damage: tuple[str, ...]
    results: dict[str, str]
    faults: tuple[str, ...]
    messages: tuple[str, ...]


def store_pictures(templates: list[Template], store: Path) -> None:
    """Write the pictures of all templates once; cases link to them."""
    for template in templates:
        for number, (path, (width, height)) in enumerate(sorted(template.pictures.items())):
            file = store / template.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (width, height), (40 + 7 * number, 200 - 11 * number, 90)).save(file)


def make_case(seed: int, case: int, templates: list[Template]) -> tuple[Template, Plan, DataConfig, tuple[str, ...]]:
    """The template, what is to be written, the settings (root is relative), and the kinds of damage."""
    rng = random.Random(f"{seed}:{case}")
    template = rng.choice(templates)
    plan = Plan(dict(template.files), {path: f"{template.name}/{path}" for path in template.pictures})
    kinds: list[str] = []
    is_text = template.kind == "text"
    layouts, pick = (TEXT_DAMAGE, pick_text_damage) if is_text else (damage_layout.DAMAGE, _pick_damage)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3))):
        if rng.random() < 0.15:
            kind = rng.choice(list(layouts))
            layouts[kind](rng, plan)
            kinds.append(kind)
        elif plan.files:
            name = template.predictions if template.predictions in plan.files and rng.random() < 0.8 else rng.choice(sorted(plan.files))
            kind, change = pick(rng, str(name))
            plan.files[str(name)] = change(rng, plan.files[str(name)])
            kinds.append(kind)
    settings: dict[str, Any] = dict(template.settings)
    if is_text:
        settings |= text_settings(rng)
    elif rng.random() < 0.2:
        settings |= rng.choice((
            {"format": "coco"}, {"format": "voc"}, {"one_based": False}, {"keep_empty": False}, {"include": ("cat",)}, {"rename": {"cat": "big dog"}}, {"images": "images"},
            {"train": ("train",)}, {"val": ("val",)}, {"test": ()}, {"val": ()},
        ))
    return template, plan, DataConfig(root=template.start, **settings), tuple(kinds)


def _pick_damage(rng: random.Random, name: str) -> tuple[str, Callable[[random.Random, bytes], bytes]]:
    table = damage_bytes.DAMAGE
    if rng.random() < 0.7:
        table = {".json": damage_json.DAMAGE, ".xml": damage_xml.DAMAGE, ".txt": damage_xml.LIST_DAMAGE}.get(os.path.splitext(name)[1].lower(), table)  # noqa: PTH122  (names may be no paths)
    kind = rng.choice(list(table))
    return kind, table[kind]


def write_plan(plan: Plan, root: Path, store: Path) -> None:
    """Write a plan below a fresh root; what cannot be written (a file inside a file) is left out."""
    root.mkdir(parents=True)
    for folder in plan.folders:
        _attempt(lambda path: path.mkdir(), root / folder)
    for name, content in plan.files.items():
        _attempt(lambda path, content=content: path.write_bytes(content), root / name)
    for name, stored in plan.pictures.items():
        _attempt(lambda path, stored=stored: os.link(store / stored, path), root / name)
    for name, target in plan.links.items():
        _attempt(lambda path, target=target: path.symlink_to(target), root / name)
    for name in plan.pipes:
        _attempt(os.mkfifo, root / name)


def _attempt(write: Callable[[Path], Any], path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except (OSError, ValueError):
        pass


def run_case(seed: int, case: int, templates: list[Template], root: Path, store: Path, keep: bool = False) -> Outcome:
    """Write the case below ``root`` (which must not exist), run every entry point, judge, and clean up."""
    template, plan, config, kinds = make_case(seed, case, templates)
    write_plan(plan, root, store)
    config = replace(config, root=str(root / config.root))
    names = _names(plan, root, config)
    results: dict[str, str] = {}
    faults: list[str] = []
    messages: list[str] = []
    try:
        for entry, call in _entry_points(template, config, root, seed + case):
            results[entry], found, message = _judge(call, names)
            faults += [f"{entry}: {fault}" for fault in found]
            messages.append(f"{entry}: {message}")
        faults += contradictions(results)
    finally:
        if not keep:
            shutil.rmtree(root, ignore_errors=True)
    return Outcome(case, template.name, kinds, results, tuple(faults), tuple(messages))


def _entry_points(template: Template, config: DataConfig, root: Path, seed: int) -> list[tuple[str, Callable[[], list[str]]]]:
    """Name and call of each; a call returns what is wrong with the result. Training in every case, the doctor in every third, else the truth for predictions."""
    if template.kind == "text":
        return text_entry_points(template, config, root, seed)

    def train() -> list[str]:
        splits = load_splits(config, seed=seed % 7)
        return [*split_faults(splits), *summary_faults(splits)]

    def truth() -> list[str]:
        return split_faults(load_annotations(config, ("train", "val", "test")[seed // 3 % 3]), as_written=True)

    def predictions() -> list[str]:
        split = load_annotations(config, "train")
        rows, remarks = read_predictions(root / str(template.predictions), split)
        return prediction_faults(rows, remarks, split)

    def doctor() -> list[str]:
        thorough = seed % 60 == 0  # looks for near copies as well, which takes several times as long
        return examination_faults(examine(RunConfig(data=config, seed=seed % 7), near=thorough, threads=1, anchors=False))

    calls: list[tuple[str, Callable[[], list[str]]]] = [("load_splits", train), *([("doctor", doctor)] if seed % 3 == 0 else [("load_annotations", truth)])]
    if template.predictions and not (root / template.predictions).is_fifo():  # predictions may come through a pipe, and who has one waits for its writer
        calls.append(("read_predictions", predictions))
    return calls


def _judge(call: Callable[[], list[str]], names: list[str]) -> tuple[str, list[str], str]:
    try:
        found = call()
    except ErrorsFound as found_errors:
        return "errors found", [], str(found_errors)
    except (DataError, UsageError) as error:
        found = message_faults(str(error), names)
        return ("UsageError" if isinstance(error, UsageError) else "DataError") if not found else "FAULT", found, str(error)
    except MemoryError:
        return "FAULT", ["memory blow-up"], traceback.format_exc(limit=-6)
    except Exception as error:  # whatever comes here is what the tool looks for
        return "FAULT", [f"{type(error).__name__}: {str(error)[:300]}"], traceback.format_exc(limit=-8)
    return ("FAULT" if found else "works"), found, "works"


def _names(plan: Plan, root: Path, config: DataConfig) -> list[str]:
    """Names by which a message may say where the fault is."""
    parts = {part for path in [*plan.files, *plan.folders, *plan.pictures, *plan.links, *plan.pipes] for part in path.split("/") if len(part) > 2}
    return [str(root), Path(config.root).name, *sorted(parts), "data.include", "data.rename", "/etc/"]  # a file name may be an absolute path of something else
