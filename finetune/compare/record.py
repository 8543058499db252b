"""The record of a comparison, ``comparison.json``: what was asked, what each run reached, what failed. No torch here.

Everything in it may be shown to others: no host names, no absolute paths. Paths are POSIX and relative to the folder of the
comparison. Figures are fractions, unrounded, None for n/a. Two kinds of companion files hold what pictures and error analysis need:

``truth.json``: ``{"schema": 1, "kind": "boxes" | "words", "split": NAME, "class_names": [...], "images": [IMAGE, ...], "objects":
{"image": [...], "label": [...], "ignore": [...], "box": [[x, y, width, height], ...]}}`` with IMAGE ``{"id", "file", "width",
"height", "picture"}`` (``picture``: a downscaled copy below the folder of the comparison, or null). Words have ``quad`` (eight
numbers, clockwise from the top-left corner) instead of ``box``, and ``text``; where a word has an outline, ``polygon`` holds it.

Predictions of a run: ``{"schema": 1, "split": NAME, "image": [...], "label": [...], "score": [...], "box": [...]}``, or ``quad``.
``image`` counts the images of ``truth.json`` from 0, ``label`` its classes; columns of one file have the same length. All
coordinates are pixels of the original picture, whatever the size of its copy.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from backbones.errors import UsageError
from finetune.compare.types import Budget, Candidate, ComparedData, ComparedRun, RateProtocol

COMPARISON_SCHEMA = 1
COMPARISON_FILE = "comparison.json"
TRUTH_FILE = "truth.json"


@dataclass(frozen=True)
class Comparison:
    """Everything that is known of a comparison, finished or not.

    Args:
        data: The data.
        budget: What each candidate gets.
        rates: How learning rates are chosen.
        seeds: Seeds of each candidate.
        candidates: In the order of the user.
        runs: Candidates in order, seeds within.
        settings: Settings shared by all runs, without paths of this machine.
        protocols: Protocols that score, the one that chooses first.
        primary: The figure of the first one that counts, for example "AP".
        scored_split: "test", or "val" where there is no test split.
        selection_split: The split that chose the best weights of each run.
        engine: "local" or "ray", and how many jobs at once, in words.
        device: What trained, for example "cpu (2 threads)".
        command: The command that repeats it, without paths of this machine.
        versions: Package to version.
        notes: Sentences for the reader: what is not alike, what was left out.
        truth: File of the truth of the scored split, or None.
        schema: Number of this layout.
    """

    data: ComparedData
    budget: Budget
    rates: RateProtocol
    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    runs: tuple[ComparedRun, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    protocols: tuple[str, ...] = ("coco",)
    primary: str = "AP"
    scored_split: str = "val"
    selection_split: str = "val"
    engine: str = "local"
    device: str = ""
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    truth: str | None = None
    schema: int = COMPARISON_SCHEMA

    def runs_of(self, candidate: str) -> tuple[ComparedRun, ...]:
        """The runs of a candidate."""
        return tuple(run for run in self.runs if run.candidate == candidate)


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """The record as JSON values."""
    return json.loads(json.dumps(asdict(comparison), allow_nan=False))


def comparison_from_dict(values: Mapping[str, Any], where: str = "the record") -> Comparison:
    """The record that ``comparison_to_dict`` gave; keys that this version does not know are left out.

    Raises:
        UsageError: Another schema, or something is missing; ``where`` is named.
    """
    schema = values.get("schema") if isinstance(values, Mapping) else None
    if schema != COMPARISON_SCHEMA:
        raise UsageError(f"{where} is a comparison of schema {schema}, this version reads {COMPARISON_SCHEMA}: use the version that wrote it")
    try:
        return build(Comparison, values)
    except (TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{where} is not a complete record of a comparison: {error}") from error


def load_comparison(path: str | Path) -> Comparison:
    """Read a ``comparison.json``, or the one in a folder.

    Raises:
        UsageError: There is none, or it is not a record of this version.
    """
    file = Path(path).expanduser()
    file = file / COMPARISON_FILE if file.is_dir() else file
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the comparison {file}: {error}") from error
    return comparison_from_dict(values, str(file))


def build(kind: Any, values: Mapping[str, Any]) -> Any:
    """A frozen dataclass, and those inside it, from JSON values; unknown keys are left out."""
    hints = get_type_hints(kind)
    return kind(**{item.name: _value(hints[item.name], values[item.name]) for item in fields(kind) if item.name in values})


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return None if value is None else _value(next(part for part in get_args(hint) if part is not type(None)), value)
    if is_dataclass(hint):
        return build(hint, value) if isinstance(value, Mapping) else value
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    return value
