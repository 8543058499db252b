"""Figures for people: one table of values and one of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from finetune.console import console
from finetune.evaluation.text_heights import height_table, rows_to_json

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit, TextSplit
    from finetune.evaluation.base import EvalResult

MEANINGS = {
    "AP": "mean over IoU 0.50 to 0.95",
    "AP50": "at IoU 0.50",
    "AP75": "at IoU 0.75",
    "APs": "objects under 32 x 32 pixels",
    "APm": "32 x 32 to 96 x 96",
    "APl": "over 96 x 96",
    "AR1": "recall with 1 detection per image and class",
    "AR10": "with 10",
    "AR100": "with 100",
    "ARs": "with 100, objects under 32 x 32",
    "ARm": "32 x 32 to 96 x 96",
    "ARl": "over 96 x 96",
    "mAP": "mean over classes",
    "precision": "share of the detections that are right",
    "recall": "share of the words that are found",
    "hmean": "harmonic mean of precision and recall",
}
RANKED = "mean precision at the ranks of found words, by confidence"


def result_to_json(result: EvalResult) -> dict[str, Any]:
    """The result as JSON values: fractions, unrounded, null for n/a; with conditions and figures of single images where the protocol has them."""
    content: dict[str, Any] = {"protocol": result.protocol, "values": dict(result.values), "per_class": {name: dict(figures) for name, figures in result.per_class.items()}}
    if result.conditions:
        content["conditions"] = list(result.conditions)
    if result.by_height:
        content["by_height"] = rows_to_json(result.by_height)
    if result.per_image:
        content["per_image"] = {image_id: dict(figures) for image_id, figures in result.per_image.items()}
    return content


def format_figure(value: float | None) -> str:
    """Six digits, as pycocotools' figures are compared, or n/a."""
    return "n/a" if value is None else f"{value:.6f}"


def print_result(result: EvalResult, split: BoxSplit | TextSplit, conditions: Sequence[str]) -> None:
    """Print a result with the conditions under which it holds (input size, run, file, thresholds of the protocol)."""
    overall = Table(title=escape(f"{result.protocol}: {'; '.join(dict.fromkeys((*result.conditions, *conditions)))}"), title_justify="left", box=None, pad_edge=False)
    overall.add_column("figure", style="bold")
    overall.add_column("value", justify="right")
    overall.add_column("meaning", style="dim")
    for key, value in result.values.items():
        overall.add_row(key, format_figure(value), RANKED if key == "AP" and "hmean" in result.values else MEANINGS.get(key, ""))
    console().print(overall)
    console().print()
    if result.per_class:
        console().print(_class_table(result, split))
    if result.by_height:
        console().print(height_table(result.by_height))
    for note in result.notes:
        console().print(f"note: {note}", markup=False)
    console().print()


def _class_table(result: EvalResult, split: Any) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("class", style="bold")
    table.add_column("objects", justify="right")
    keys = list(next(iter(result.per_class.values()), {}))
    for key in keys:
        table.add_column(key, justify="right")
    for label, (name, figures) in enumerate(result.per_class.items()):
        objects = int(((split.labels == label) & ~split.ignore).sum())
        table.add_row(escape(name), str(objects), *(format_figure(figures[key]) for key in keys))
    return table
