"""Drawings as places of marks, which the page's template turns into SVG: accuracy against cost, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.report.axes import Axis, make_axis, tick_label
from finetune.report.entries import Entry
from finetune.report.pareto import pareto_front

WIDTH, HEIGHT = 420.0, 320.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 14.0, 14.0, 42.0
COLOURS = 8  # of the style sheet; later candidates take them again, and are told apart by their numbers
COSTS = {"latency": ("latency", "ms a picture, network and decoding", 1.0), "params": ("parameters", "million parameters", 1e6), "macs": ("MACs", "billion multiply-adds", 1e9)}


def accuracy_plot(entries: Sequence[Entry], cost: str, primary: str, limit: float | None = None) -> dict[str, Any] | None:
    """Accuracy against one cost; None where fewer than two candidates have both."""
    title, unit, scale = COSTS[cost]
    known = [(entry, value / scale, entry.mean) for entry in entries if (value := entry.costs[cost]) is not None and entry.mean is not None]
    if len(known) < 2:
        return None
    limit = None if limit is None else limit / scale
    across = make_axis([value for _, value, _ in known], _LEFT, WIDTH - _RIGHT, may_be_log=True)
    scores = [score for entry, _, _ in known for score in entry.scores]
    up = make_axis(scores, HEIGHT - _BOTTOM, _TOP, least=0.0, most=1.0)
    front = pareto_front(np.array([value for _, value, _ in known]), np.array([mean for _, _, mean in known]))
    marks: list[dict[str, Any]] = [
        {
            "x": across.place(value),
            "y": up.place(mean),
            "low": up.place(min(entry.scores)),
            "high": up.place(max(entry.scores)),
            "number": entry.number,
            "colour": (entry.number - 1) % COLOURS,
            "front": bool(on_front),
            "name": entry.name,
            "text": f"{entry.name}: {primary} {mean:.3f}, {value:.3g} {unit}",
        }
        for (entry, value, mean), on_front in zip(known, front.tolist(), strict=True)
    ]
    steps = sorted((mark["x"], mark["y"]) for mark in marks if mark["front"])
    inside = limit is not None and across.low <= limit <= across.high
    return {
        "title": f"{primary} against {title}",
        "unit": unit,
        "front_names": [mark["name"] for mark in sorted(marks, key=lambda mark: mark["x"]) if mark["front"]],
        "missing": [entry.name for entry in entries if entry.mean is not None and entry.costs[cost] is None],
        "marks": marks,
        "stairs": _stairs(steps, across.end),
        "limit": across.place(limit) if inside and limit is not None else None,
        "log": across.log,
        **_frame(across, up, f"{unit}{' (logarithmic)' if across.log else ''}", primary),
    }


def _stairs(steps: Sequence[tuple[float, float]], end: float) -> str:
    """The best accuracy that each cost buys."""
    points = []
    for number, (x, y) in enumerate(steps):
        points.append(f"{x},{y}")
        points.append(f"{steps[number + 1][0] if number + 1 < len(steps) else end},{y}")
    return " ".join(points)


def curve_plot(entries: Sequence[Entry], column: str, title: str) -> dict[str, Any] | None:
    """One line a run over its epochs: whole up to the best epoch, dashed after it; None without any evaluated epochs."""
    lines: list[tuple[Entry, Any, list[tuple[float, float]]]] = []
    for entry in entries:
        for run in entry.runs:
            points = [(float(row["epoch"] or 0), float(value)) for row in run.curve if row.get("epoch") is not None and (value := row.get(column)) is not None and math.isfinite(value)]
            if points:
                lines.append((entry, run, points))
    epochs, values = [epoch for _, _, points in lines for epoch, _ in points], [value for _, _, points in lines for _, value in points]
    if len(set(epochs)) < 2:
        return None
    across = Axis(min(epochs), max(epochs), _LEFT, WIDTH - _RIGHT - 12)
    up = make_axis(values, HEIGHT - _BOTTOM, _TOP, margin=0.04, least=0.0)
    drawn = []
    for entry, run, points in lines:
        best = run.best_epoch if run.best_epoch is not None else points[-1][0]
        places = [(epoch, f"{across.place(epoch)},{up.place(value)}") for epoch, value in points]
        marked = next(((across.place(epoch), up.place(value)) for epoch, value in points if epoch == best), None)
        overfits = any("verfitting" in note for note in run.notes)
        drawn.append({
            "whole": " ".join(place for epoch, place in places if epoch <= best),
            "after": " ".join(place for epoch, place in places if epoch >= best),
            "best": marked,
            "overfits": overfits,
            "colour": (entry.number - 1) % COLOURS,
            "text": f"{entry.name}, seed {run.seed}: best epoch {run.best_epoch} of {run.epochs}{', overfitting' if overfits else ''}",
            "end": (across.place(points[-1][0]) + 7, up.place(points[-1][1]) + 4, entry.number),
        })
    return {"title": title, "lines": drawn, **_frame(across, up, "epoch", "", whole=True)}


def _frame(across: Axis, up: Axis, below: str, beside: str, whole: bool = False) -> dict[str, Any]:
    ticks = [tick for tick in across.ticks() if not whole or tick == int(tick)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": min(across.start, across.end),
        "right": max(across.start, across.end),
        "top": up.end,
        "bottom": up.start,
        "x_ticks": [{"place": across.place(tick), "label": tick_label(tick)} for tick in ticks],
        "y_ticks": [{"place": up.place(tick), "label": tick_label(tick)} for tick in up.ticks()],
        "below": below,
        "beside": beside,
    }
