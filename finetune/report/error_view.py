"""Errors of each candidate, the mean over its runs, as bars of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.report import box_errors, word_errors
from finetune.report.box_errors import BoxErrors, ap_lost, count_errors, working_score
from finetune.report.entries import Entry, RunFindings
from finetune.report.saved import Truth
from finetune.report.word_errors import WordErrors, count_word_errors

BOX_KINDS = (*box_errors.KINDS, "missed")


def error_rows(entries: Sequence[Entry], truth: Truth) -> list[dict[str, Any]]:
    """One row a candidate with detections: for boxes what each kind costs in AP50 and how often it occurs; for words counts of words by kind."""
    rows = []
    for entry in entries:
        measured = [_measure(truth, findings) for findings in entry.findings if findings is not None]
        if measured:
            rows.append({"name": entry.name, "number": entry.number, **{part: _mean([row[part] for row in measured]) for part in measured[0]}})
    return rows


def meanings(kind: str) -> dict[str, str]:
    """What the kinds mean."""
    return word_errors.MEANINGS if kind == "words" else box_errors.MEANINGS


def _measure(truth: Truth, findings: RunFindings) -> dict[str, dict[str, float]]:
    errors, found = findings.errors, findings.found
    if isinstance(errors, WordErrors):
        return {"counts": {name: float(count) for name, count in count_word_errors(errors).items()}}
    if not isinstance(errors, BoxErrors):
        return {}
    least = working_score(errors, found.scores, int((~truth.ignore).sum()))
    counts = {name: float(count) for name, count in count_errors(truth, found, errors, least).items()}
    return {"lost": ap_lost(truth, found, errors), "counts": counts | {"score": least}}


def _mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
