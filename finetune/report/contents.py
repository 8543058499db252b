"""Everything that the report says, gathered once; page, JSON and Markdown are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune.compare.record import Comparison
from finetune.report.answer import Answer, find_answer, say_correlation
from finetune.report.certainty import Certainty, measure_certainty
from finetune.report.correlation import Correlation, correlate
from finetune.report.entries import Entry, read_entries
from finetune.report.error_view import error_rows
from finetune.report.limits import Limits
from finetune.report.plots import COSTS, accuracy_plot, curve_plot
from finetune.report.saved import Truth
from finetune.report.side_by_side import compare_pictures
from finetune.report.table import Column, make_columns


@dataclass(frozen=True, eq=False)
class Contents:
    """The parts of the report.

    Args:
        comparison: As recorded.
        limits: Of the user.
        entries: All candidates.
        truth: Of the scored split, where it was saved.
        certainty: Columns are the entries that have scores, in order; None without any.
        answer: In words.
        correlations: (ImageNet top-1 against accuracy, MACs against latency), each with its sentence.
        columns: Of the table.
        notes: What could not be read.
    """

    comparison: Comparison
    limits: Limits
    entries: tuple[Entry, ...]
    truth: Truth | None
    certainty: Certainty | None
    answer: Answer
    correlations: tuple[tuple[str, Correlation, str], ...]
    columns: tuple[Column, ...]
    notes: list[str]

    @property
    def scored(self) -> list[Entry]:
        """Entries that have scores."""
        return [entry for entry in self.entries if entry.scores]


def gather_contents(folder: Path, comparison: Comparison, limits: Limits) -> Contents:
    """Read what the comparison saved and compute everything but the drawings."""
    entries, truth, notes = read_entries(folder, comparison)
    scored = [entry for entry in entries if entry.scores]
    certainty = measure_certainty([entry.scores for entry in scored], [entry.redrawn() for entry in scored]) if scored else None
    own = "own" in (comparison.budget.kind, comparison.rates.kind)
    answer = find_answer(entries, certainty, limits, comparison.primary, comparison.scored_split, own)
    columns = make_columns(comparison.primary, comparison.data.class_names)
    return Contents(comparison, limits, tuple(entries), truth, certainty, answer, _correlations(scored, comparison.primary), tuple(columns), notes)


def _correlations(scored: Sequence[Entry], primary: str) -> tuple[tuple[str, Correlation, str], ...]:
    """The two questions of this program; untrained weights have no ImageNet accuracy to speak of."""
    top1 = [entry.candidate.imagenet_top1 if entry.candidate.weights != "none" else None for entry in scored]
    first = correlate(_column(top1), _column([entry.mean for entry in scored]))
    second = correlate(_column([entry.costs["macs"] for entry in scored]), _column([entry.costs["network"] for entry in scored]))
    return (
        ("top1_and_accuracy", first, say_correlation(first, "ImageNet top-1", f"{primary} after fine-tuning")),
        ("macs_and_latency", second, say_correlation(second, "MACs", "measured latency of the network")),
    )


def _column(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def drawings(folder: Path, contents: Contents, pictures: int) -> dict[str, Any]:
    """The plots, pictures and errors of the page."""
    comparison, scored = contents.comparison, contents.scored
    limits = {"latency": contents.limits.latency_ms, "params": contents.limits.params}
    protocol, primary = comparison.protocols[0], comparison.primary
    curves = [curve_plot(scored, f"val/{protocol}/{primary}", f"{primary} on {comparison.selection_split}"), curve_plot(scored, "train/loss", "training loss")]
    truth = contents.truth
    return {
        "plots": [plot for cost in COSTS if (plot := accuracy_plot(scored, cost, primary, limits.get(cost))) is not None],
        "curves": [curve for curve in curves if curve is not None],
        "pictures": compare_pictures(folder, truth, contents.entries, contents.notes, pictures) if truth is not None else [],
        "errors": error_rows(contents.entries, truth) if truth is not None else [],
    }
