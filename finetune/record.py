"""The record of a run: the one file that reports read. No torch here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from backbones.errors import UsageError
from finetune.evaluation.base import EvalResult

RECORD_SCHEMA = 1


@dataclass(frozen=True)
class RunRecord:
    """What one run was and what it reached. Paths are POSIX and relative to the run folder.

    Args:
        config: The settings as the user gave them.
        seed: Seed of the run.
        data_name: Name of the data set.
        data_fingerprint: Changes with any class, image name or box of the training split.
        class_names: Classes in label order.
        params: Parameters of the detector.
        trainable_params: Parameters that were trained.
        results: Split to a list of {"protocol", "values", "per_class"} of the best weights; fractions, None for n/a.
        best_epoch: Epoch (from 1) of the best weights; None without an evaluation.
        epochs: Epochs that were run.
        versions: Package to version.
        seconds: Wall-clock time of training and evaluation, over all resumes.
        notes: Sentences about the curves.
        profile: Measured cost; empty until it is measured.
        files: What is where in the run folder.
        schema: Number of this layout.
    """

    config: Mapping[str, Any]
    seed: int
    data_name: str
    data_fingerprint: str
    class_names: tuple[str, ...]
    params: int
    trainable_params: int
    results: Mapping[str, list[dict[str, Any]]]
    best_epoch: int | None
    epochs: int
    versions: Mapping[str, str]
    seconds: float
    notes: tuple[str, ...] = ()
    profile: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    schema: int = RECORD_SCHEMA


def results_to_json(results: Mapping[str, EvalResult]) -> list[dict[str, Any]]:
    """Evaluation results, unrounded, as they stand in every JSON file of this program."""
    return [
        {"protocol": name, "values": dict(result.values), "per_class": {cls: dict(figures) for cls, figures in result.per_class.items()}} for name, result in results.items()
    ]


def record_to_dict(record: RunRecord) -> dict[str, Any]:
    """The record as JSON values."""
    return {**asdict(record), "class_names": list(record.class_names), "notes": list(record.notes)}


def load_record(path: Path) -> RunRecord:
    """Read a record.json.

    Raises:
        UsageError: Not a record, or of a later schema.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the record {path}: {error}") from error
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != RECORD_SCHEMA:
        raise UsageError(f"{path} is a record of schema {schema}, this version reads {RECORD_SCHEMA}: use the version that wrote it")
    names = {f.name for f in fields(RunRecord)}
    try:
        known: dict[str, Any] = {key: tuple(item) if key in ("class_names", "notes") else item for key, item in values.items() if key in names}
        return RunRecord(**known)
    except TypeError as error:
        raise UsageError(f"{path} is not a complete record: {error}") from error
