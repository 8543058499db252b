"""The same pictures through each candidate: what was found, what was wrong, what was missed. Each picture is embedded once and drawn on by the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from finetune.report.box_errors import KINDS, BoxErrors, working_score
from finetune.report.entries import Entry, RunFindings
from finetune.report.saved import Shapes, Truth

MOST_PICTURES, MOST_PANELS = 12, 8
_LONGEST = 480
_MOST_BYTES = 1_900_000  # of all pictures, as text


def embed_pictures(folder: Path, truth: Truth, notes: list[str], most: int = MOST_PICTURES) -> dict[int, dict[str, Any]]:
    """Copies of pictures as JPEG in text, downscaled: picture index to source and size of the original; no more than the page may weigh."""
    embedded: dict[int, dict[str, Any]] = {}
    size = 0
    for index, picture in enumerate(truth.pictures):
        if picture.copy is None or len(embedded) >= most:
            continue
        file = (folder / picture.copy).resolve()
        try:
            if folder.resolve() not in file.parents:
                raise OSError("it lies outside the comparison")
            with Image.open(file) as image:
                small = image.convert("RGB")
            small.thumbnail((_LONGEST, _LONGEST))
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=78, optimize=True)
        except (OSError, UnidentifiedImageError, ValueError) as error:
            notes.append(f"The copy of {picture.file} could not be read: {str(error).replace(str(folder), '')}")
            continue
        source = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
        size += len(source)
        if size > _MOST_BYTES:
            notes.append(f"Only {len(embedded)} pictures are shown, so that the page stays small.")
            break
        embedded[index] = {"source": source, "width": picture.width, "height": picture.height, "file": picture.file}
    return embedded


def compare_pictures(folder: Path, truth: Truth, entries: Sequence[Entry], notes: list[str], most: int = MOST_PICTURES) -> list[dict[str, Any]]:
    """One row a picture, those first where the candidates differ most: the truth, then a panel a candidate.

    Each candidate is shown by its run with the middle score, at the score where its F1 over the whole split is best.
    """
    shown = [(entry, entry.findings[entry.typical]) for entry in chosen_entries(entries) if entry.typical is not None]
    judged = [(entry, _judge(truth, findings)) for entry, findings in shown if findings is not None]
    if not judged:
        return []
    rows = []
    for index, picture in embed_pictures(folder, truth, notes, most).items():
        objects = np.flatnonzero(truth.shapes.image == index)
        panels = [_panel(entry, verdict, truth, index, objects) for entry, verdict in judged]
        shares = np.mean([verdict["reached"][objects] for _, verdict in judged], axis=0) if len(objects) else np.zeros(0)
        differ = int(((shares > 0) & (shares < 1) & ~truth.ignore[objects]).sum()) + float(np.std([panel["wrong"] for panel in panels]))
        marks = [{**_mark(truth.shapes, row, truth), "state": _truth_state(truth, row, share)} for row, share in zip(objects.tolist(), shares.tolist(), strict=True)]
        rows.append({**picture, "index": index, "differ": differ, "truth": marks, "panels": panels, "disputed": int(((shares > 0) & (shares < 1) & ~truth.ignore[objects]).sum())})
    return sorted(rows, key=lambda row: -row["differ"])


def chosen_entries(entries: Sequence[Entry]) -> list[Entry]:
    """The best candidates, at most as many as there is room for, in the order of the user."""
    best = sorted((entry for entry in entries if entry.mean is not None), key=lambda entry: -(entry.mean or 0.0))[:MOST_PANELS]
    return sorted(best, key=lambda entry: entry.number)


def _judge(truth: Truth, findings: RunFindings) -> dict[str, Any]:
    """Which detections of a run are shown, what each is, and which objects they reach."""
    errors, scores = findings.errors, findings.found.scores
    reached = np.zeros(len(truth.shapes), np.bool_)
    if isinstance(errors, BoxErrors):
        least = working_score(errors, scores, int((~truth.ignore).sum()))
        kept = scores >= least
        reached[errors.partner[errors.right & kept]] = True
        kinds = np.array([*KINDS, ""], dtype=object)[errors.kind]
    else:
        least, kept = 0.0, np.ones(len(scores), np.bool_)
        reached = errors.word == 0
        kinds = np.where(errors.background, "background", "poor outline").astype(object)
    return {"found": findings.found, "kept": kept & ~errors.neutral, "right": errors.right, "kinds": kinds, "reached": reached, "least": least}


def _panel(entry: Entry, verdict: dict[str, Any], truth: Truth, index: int, objects: NDArray[np.int64]) -> dict[str, Any]:
    found = verdict["found"]
    rows = np.flatnonzero((found.shapes.image == index) & verdict["kept"])
    states = ["right" if right else "wrong" for right in verdict["right"][rows].tolist()]
    marks = [
        {**_mark(found.shapes, row, truth), "state": state, "text": _words(found.shapes, row, truth, found.scores[row], "" if state == "right" else verdict["kinds"][row])}
        for row, state in zip(rows.tolist(), states, strict=True)
    ]
    lost = objects[~verdict["reached"][objects] & ~truth.ignore[objects]]
    marks += [{**_mark(truth.shapes, row, truth), "state": "missed", "text": f"missed: {truth.class_names[truth.shapes.label[row]]}"} for row in lost.tolist()]
    right = int(verdict["right"][rows].sum())
    return {"name": entry.name, "number": entry.number, "marks": marks, "right": right, "wrong": len(rows) - right, "missed": len(lost), "least": verdict["least"]}


def _words(shapes: Shapes, row: int, truth: Truth, score: float, kind: str) -> str:
    return f"{truth.class_names[shapes.label[row]]} {score:.2f}" + (f", wrong: {kind}" if kind else "")


def _mark(shapes: Shapes, row: int, truth: Truth) -> dict[str, Any]:
    """Corners of a box or word as points of a polygon."""
    if shapes.outlines is not None:
        corners = shapes.outlines.points[shapes.outlines.offsets[row] : shapes.outlines.offsets[row + 1]]
    else:
        x1, y1, x2, y2 = shapes.boxes[row]
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
    return {"points": " ".join(f"{x:.0f},{y:.0f}" for x, y in corners), "text": truth.class_names[shapes.label[row]]}


def _truth_state(truth: Truth, row: int, share: float) -> str:
    return "ignored" if truth.ignore[row] else "all" if share == 1 else "none" if share == 0 else "some"
