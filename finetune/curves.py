"""Curves of a run as a picture, and what they say in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

Rows = Sequence[Mapping[str, float | None]]

_FALLEN = 0.9  # share of its best value below which a figure has clearly fallen
_RISEN = 1.5  # a training loss that grew by this much over its least is no noise
_SHORTEST = 5  # evaluations below which a trend is not one


def draw_curves(rows: Rows, path: Path) -> None:
    """Draw losses, figures and learning rates over epochs.

    Args:
        rows: One mapping per epoch, as in metrics.csv.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), dpi=100)
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if name.split("/")[0] in ("train", "val") and name.count("/") == 1]
    figures = [name for name in names if name.startswith("val/") and name.split("/")[-1] in ("AP", "AP50", "mAP")]
    rates = [name for name in names if name.startswith("lr/")]
    left, middle, right = figure.subplots(1, 3, gridspec_kw={"left": 0.05, "right": 0.98, "bottom": 0.13, "top": 0.91, "wspace": 0.2})
    _plot(left, rows, losses, "loss")
    _plot(middle, rows, figures, "validation")
    middle.set_ylim(0, 1)
    _plot(right, rows, rates, "learning rate")
    for axes in (left, middle, right):
        _mark(axes, thaws(rows))
    figure.savefig(path, format="png")


def _plot(axes: Any, rows: Rows, names: Sequence[str], title: str) -> None:
    for name in names:
        points = _series(rows, name)
        style = "--" if name.startswith("val/") and title == "loss" else "-"
        axes.plot([epoch for epoch, _ in points], [value for _, value in points], style, marker="o", markersize=2.5, label=name)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.grid(visible=True, alpha=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if names:
        axes.legend(fontsize=7)


def _mark(axes: Any, changes: Mapping[int, Sequence[str]]) -> None:
    """A line where an epoch began with more parameters to train, and which."""
    for epoch, names in changes.items():
        axes.axvline(epoch - 0.5, color="0.35", linestyle=":", linewidth=1)
        text = "thaws: stage " + ", ".join(name.removeprefix("backbone.") for name in names)
        ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
        axes.text(epoch - 0.5, 0.98, text, transform=axes.get_xaxis_transform(), rotation=90, va="top", ha="center", fontsize=6.5, color="0.25", bbox=ground)


def thaws(rows: Rows) -> dict[int, list[str]]:
    """Epoch to the groups that began to train in it: those whose rate was zero in the epoch before."""
    changes: dict[int, list[str]] = {}
    for before, row in pairwise(rows):
        names = [name.removeprefix("lr/") for name, rate in row.items() if name.startswith("lr/") and rate and before.get(name) == 0]
        if names:
            changes[int(row["epoch"] or 0)] = names
    return changes


def _series(rows: Rows, name: str) -> list[tuple[int, float]]:
    """(epoch, value) where there is a finite one."""
    return [(int(row["epoch"] or 0), value) for row in rows if (value := row.get(name)) is not None and math.isfinite(value)]


def read_curves(rows: Rows, figure: str) -> list[str]:
    """Sentences about what thawed when, and about overfitting, divergence and a budget that was too small.

    Args:
        rows: One mapping per epoch, as in metrics.csv.
        figure: Name of the figure of the run, for example "val/coco/AP".

    Returns:
        No sentence when there is nothing to say.
    """
    return [*_thaw_sentence(rows), *_trend(rows, figure)]


def _thaw_sentence(rows: Rows) -> list[str]:
    changes = [f"{', '.join(names)} from epoch {epoch}" for epoch, names in thaws(rows).items()]
    return [f"Gradual unfreezing: {'; '.join(changes)}."] if changes else []


def _trend(rows: Rows, figure: str) -> list[str]:
    train, held_out, scores = _series(rows, "train/loss"), _series(rows, "val/loss"), _series(rows, figure)
    short = figure.removeprefix("val/")
    if sentence := _diverged(train):
        return [sentence]
    if len(scores) < _SHORTEST:
        return []
    best_epoch, best = max(scores, key=lambda point: point[1])
    last_epoch, last = scores[-1]
    train_fell = bool(train) and train[-1][1] <= min(value for epoch, value in train if epoch <= best_epoch)
    if best > 0 and last < _FALLEN * best and train_fell:
        return [
            f"Overfitting: {short} was best after epoch {best_epoch} ({best:.3f}) and fell to {last:.3f} by epoch {last_epoch}, while the training loss still fell; "
            "the saved weights are the best ones. Train for fewer epochs, use stronger augmentation (data.augment) or more images."
        ]
    if len(held_out) >= _SHORTEST and train_fell:
        least_epoch, least = min(held_out, key=lambda point: point[1])
        if held_out[-1][1] > 1.2 * least and least_epoch < held_out[-1][0] - 2:
            return [
                f"First signs of overfitting: the validation loss was least after epoch {least_epoch} ({least:.3f}) and rose to {held_out[-1][1]:.3f}, while the training loss still fell. "
                "Stronger augmentation (data.augment) or more images would help."
            ]
    before = max(value for _, value in scores[: -max(2, len(scores) // 5)])
    if best_epoch == last_epoch and best > 1.02 * before:
        return [f"{short} was still rising at the last epoch ({before:.3f} to {best:.3f}): more epochs (train.epochs) would probably help."]
    return []


def _diverged(train: Sequence[tuple[int, float]]) -> str | None:
    if len(train) < 3:
        return None
    least_epoch, least = min(train, key=lambda point: point[1])
    last_epoch, last = train[-1]
    if last > _RISEN * least and train[-2][1] > least and last_epoch - least_epoch >= 2:
        rise = f"rose from {least:.3f} (epoch {least_epoch}) to {last:.3f} (epoch {last_epoch})"
        return f"Divergence: the training loss {rise}. Lower the learning rate (train.lr, try a third) or lengthen train.warmup."
    return None
