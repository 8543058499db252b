"""Cases of scene text: their damage and settings, and the entry points that they go through."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finetune.check.cleaned import write_cleaned
from finetune.check.examine import Examination, examine
from finetune.check.page import write_page
from finetune.check.tiles import box_tiles, finding_tiles
from finetune.config import DataConfig, DetectorConfig, RunConfig
from finetune.data import load_annotations, load_splits
from finetune.data.text.dataset import TextDataset
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit
from finetune.evaluation.text_scoring import read_files_to_score
from fuzzing import damage_bytes
from fuzzing.damage_json import DAMAGE as JSON_DAMAGE
from fuzzing.damage_lines import CHARACTER_DAMAGE, LINE_DAMAGE
from fuzzing.damage_mat import MAT_DAMAGE, ZIP_DAMAGE
from fuzzing.damage_xml import DAMAGE as XML_DAMAGE
from fuzzing.invariants import examination_faults, split_faults, summary_faults
from fuzzing.templates import Template
from fuzzing.text_invariants import figure_faults, same_words, sample_faults, word_faults

_TABLES: dict[str, dict[str, Callable[[random.Random, bytes], bytes]]] = {
    ".txt": LINE_DAMAGE,
    ".xml": {**XML_DAMAGE, **LINE_DAMAGE},
    ".json": {**{kind: JSON_DAMAGE[kind] for kind in ("json: other value", "json: removed", "json: repeated", "json: retyped", "json: wrapped", "json: slips")}, **CHARACTER_DAMAGE},
    ".mat": MAT_DAMAGE,
    ".zip": ZIP_DAMAGE,
}
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"format": "icdar"}, {"format": "totaltext"}, {"format": "ctw1500"}, {"format": "synthtext"}, {"keep_empty": False}, {"images": "images"}, {"images": "train_images"}, {"train": ("train",)},
    {"train": ("train_gts",)}, {"val": ("val_gts",)}, {"val": ("train_gts",)}, {"test": ()}, {"val": ()}, {"train": ("train", "val")}, {"train": ("gt.mat",)},
)  # fmt: skip
_CROP = TextPreprocess(canvas=64, mag_ratio=1.0)
Calls = list[tuple[str, Callable[[], list[str]]]]


def text_settings(rng: random.Random) -> dict[str, Any]:
    """Changed data settings of one case in five."""
    return rng.choice(_SETTINGS) if rng.random() < 0.2 else {}


def pick_text_damage(rng: random.Random, name: str) -> tuple[str, Callable[[random.Random, bytes], bytes]]:
    """Damage that fits the kind of file, or damage to any bytes."""
    table = damage_bytes.DAMAGE
    if rng.random() < 0.75:
        table = _TABLES.get(os.path.splitext(name)[1].lower(), table)  # noqa: PTH122  (names may be no paths)
    kind = rng.choice(list(table))
    return kind, table[kind]


def text_entry_points(template: Template, config: DataConfig, root: Path, seed: int) -> Calls:
    """Training in every case, the doctor in every third, else the truth; boxes around the words in every fifth; files to score where there are some."""

    def train() -> list[str]:
        splits = load_splits(config, seed=seed % 7, wants="text")
        there: list[TextSplit] = [split for split in (splits.train, splits.val, splits.test) if split is not None]
        faults = [*(f"{split.name}: {fault}" for split in there for fault in word_faults(split)), *summary_faults(splits)]
        if not faults and seed % 6 == 0:
            faults += [fault for split in there for fault in sample_faults(TextDataset(split, _CROP, "light" if seed % 4 == 0 else "none", seed, (64, 64)), seed)]
        return faults

    def truth() -> list[str]:
        return word_faults(load_annotations(config, ("train", "val", "test")[seed // 3 % 3], wants="text"), opened=False)

    def boxes() -> list[str]:
        splits = load_splits(config, seed=seed % 7, wants="boxes")
        return [*split_faults(splits), *summary_faults(splits)]

    def doctor() -> list[str]:
        thorough = seed % 60 == 0
        exam = examine(RunConfig(data=config, detector=DetectorConfig(name="craftlite"), seed=seed % 7), near=thorough, threads=1, anchors=False)
        faults = [f"{name}: {fault}" for name, split in exam.words.items() for fault in word_faults(split) if fault != "no images"]
        faults += _copy_faults(exam, root / ".fuzz-copy") if seed % 5 == 0 and not faults else []
        if thorough and not faults:
            write_page(root / ".fuzz-page.html", exam, finding_tiles(exam), box_tiles(exam), [], [])
        return faults or examination_faults(exam)

    calls: Calls = [("load_splits", train), *([("doctor", doctor)] if seed % 3 == 0 else [("load_annotations", truth)])]
    if seed % 5 == 1:
        calls.append(("boxes", boxes))
    if template.predictions and not any((root / name).is_fifo() for name in ("submit.zip", "gt.zip")):  # a zip through a pipe waits for its writer
        calls.append(("score files", lambda: _score(template, root, seed)))
    return calls


def _score(template: Template, root: Path, seed: int) -> list[str]:
    """Results against truth, both as files, as ``finetune evaluate`` does it."""
    truth = root / (str(template.predictions) if str(template.predictions).startswith("gt") else "train_gts")
    results = root / next((name for name in ("submit.zip",) if name in template.files), "results")
    protocol = ("icdar2015-iou", "icdar2013-deteval", "polygon-iou")[seed % 3] if seed % 4 == 0 else "icdar2015-iou"
    scored = read_files_to_score(str(truth), str(results), [protocol], "test", seed % 5 == 0, seed % 2 == 0)
    return figure_faults([evaluator.evaluate() for evaluator in scored.evaluators], scored.remarks)


def _copy_faults(exam: Examination, out: Path) -> list[str]:
    """A cleaned copy holds the words that training would get."""
    from backbones.errors import UsageError

    try:
        write_cleaned(exam, out)
    except UsageError:  # characters or outlines that the copy would lose
        return []
    if not any(len(split) for split in exam.words.values()):
        return []
    files = sorted(out.glob("*_gts/*.txt"))
    if not any(file.stat().st_size for file in files):
        return []
    there = [name for name in ("train", "val", "test") if any(file.parent.name == f"{name}_gts" for file in files)]
    copied = [load_annotations(DataConfig(root=str(out), format="icdar"), name, wants="text") for name in there]
    return same_words(list(exam.words.values()), copied)



