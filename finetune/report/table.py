"""The table of candidates: the same columns on the page, in CSV and in Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune.report.entries import Entry
from finetune.report.shown_text import say_bytes, say_millions, say_seconds

_OTHER_FIGURES = ("AP50", "precision", "recall")  # beside the one that chooses, where a protocol has them
_MOST_CLASSES = 12  # of the page and Markdown; CSV and JSON have all


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        key: Name in CSV.
        title: Name for people.
        value: The plain value of an entry, None where it is not known.
        show: The same for people.
        more_is_better: For the mark of the best value; None for text.
    """

    key: str
    title: str
    value: Callable[[Entry], Any]
    show: Callable[[Any], str]
    more_is_better: bool | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is sorted as text."""
        return self.key in ("candidate", "weights", "weights_licence")


def make_columns(primary: str, class_names: Sequence[str]) -> list[Column]:
    """All columns, those of classes last."""

    def cost(key: str) -> Callable[[Entry], Any]:
        return lambda entry: entry.costs[key]

    def figure(name: str) -> Callable[[Entry], Any]:
        return lambda entry: entry.figure(name)

    def of_class(name: str) -> Callable[[Entry], Any]:
        return lambda entry: entry.per_class().get(name)

    return [
        Column("candidate", "backbone", lambda entry: entry.name, str),
        Column(primary, primary, lambda entry: entry.mean, _fraction, True),
        Column("spread", "\u00b1 seeds", lambda entry: entry.spread, _fraction),
        *(Column(name, name, figure(name), _fraction, True) for name in _OTHER_FIGURES if name != primary),
        Column("latency_ms", "latency", cost("latency"), _ms, False),
        Column("macs", "MACs", cost("macs"), lambda value: say_millions(value, 1e9, "B"), False),
        Column("parameters", "parameters", cost("params"), lambda value: say_millions(value, 1e6, "M"), False),
        Column("memory_bytes", "memory", cost("memory"), say_bytes, False),
        Column("training_seconds", "training time", cost("seconds"), say_seconds, False),
        Column("imagenet_top1", "ImageNet top-1", lambda entry: entry.candidate.imagenet_top1, lambda value: "" if value is None else f"{100 * value:.1f}%", True),
        Column("network_ms", "network alone", cost("network"), _ms, False),
        Column("p95_ms", "p95", cost("p95"), _ms, False),
        Column("training_memory_bytes", "memory, training", cost("training_memory"), say_bytes, False),
        Column("seeds", "seeds", lambda entry: len(entry.scores), str),
        Column("weights", "weights", lambda entry: entry.candidate.weights, str),
        Column("weights_licence", "licence of weights", lambda entry: entry.candidate.weights_licence, lambda value: value or ""),
        Column("lr", "learning rate", lambda entry: entry.candidate.lr, lambda value: "" if value is None else f"{value:.3g}"),
        *(Column(f"class {name}", name, of_class(name), _fraction, True) for name in class_names),
    ]


def shown_columns(columns: Sequence[Column], entries: Sequence[Entry]) -> list[Column]:
    """Columns in which some entry has a value; no more classes than fit."""
    classes = [column for column in columns if column.key.startswith("class ")]
    left_out = {column.key for column in classes[_MOST_CLASSES:]} | ({classes[0].key} if len(classes) == 1 else set())
    return [column for column in columns if column.key not in left_out and any(column.value(entry) not in (None, "") for entry in entries)]


def page_rows(columns: Sequence[Column], entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Rows of the page, best first: text, sorting value and whether it is the best of its column."""
    best = {column.key: _best(column, entries) for column in columns}
    rows = []
    for entry in sorted(entries, key=lambda entry: (entry.mean is None, -(entry.mean or 0.0))):
        cells = []
        for column in columns:
            value = column.value(entry)
            text = column.show(value) if value is not None else ""
            cells.append({"text": text, "value": "" if value is None else value, "best": value is not None and value == best[column.key]})
        rows.append({"entry": entry, "cells": cells})
    return rows


def _best(column: Column, entries: Sequence[Entry]) -> Any:
    values = [value for entry in entries if (value := column.value(entry)) is not None]
    if column.more_is_better is None or len(set(values)) < 2:
        return None
    return max(values) if column.more_is_better else min(values)


def csv_text(columns: Sequence[Column], entries: Sequence[Entry]) -> str:
    """Plain values, unrounded, empty where unknown. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_harmless(column.key) for column in columns])
    for entry in entries:
        writer.writerow(["" if (value := column.value(entry)) is None else _harmless(value) for column in columns])
    return stream.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def markdown_table(columns: Sequence[Column], entries: Sequence[Entry]) -> str:
    """The table for a README, best first."""
    rows = [[_cell(column.title) for column in columns], ["---" if number == 0 else "---:" for number in range(len(columns))]]
    rows += [[_cell(cell["text"]) for cell in row["cells"]] for row in page_rows(columns, entries)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"
