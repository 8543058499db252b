"""The page of ``finetune check``: one file with everything in it, no scripts, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from backbones.errors import UsageError
from finetune.check.coverage import cover_line
from finetune.check.examine import Examination
from finetune.check.report import all_sides, report_of
from finetune.check.tiles import Tile
from finetune.data.box_checks import TINY_SIDE
from finetune.data.findings import NAMED, shorten
from finetune.data.text.checks import LEAST_LETTERS

_MARK = '<meta name="generator" content="finetune check">'
_MOST_LISTED = 300
_MOST_CLASSES = 120
_MOST_DOTS = 1500
_SIDE, _MARGIN = 620.0, 46.0


def write_page(path: Path, exam: Examination, worst: Sequence[Tile], drawn: Sequence[Tile], augmented: Iterable[Sequence[Tile]], commands: Sequence[tuple[str, str]]) -> None:
    """Write the page; a former page of ours is replaced.

    Args:
        path: The file.
        exam: What was found.
        worst: Findings, as pictures.
        drawn: Annotated pictures.
        augmented: Rows of training samples.
        commands: Commands to go on with, and what they do.
    """
    report = report_of(exam)
    findings = report.pop("findings")
    for kind in report["kinds"]:
        kind["places"] = [_place(finding) for finding in findings if finding["kind"] == kind["kind"]][:NAMED]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    folder = files("finetune.check") / "templates"
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    text = template.render(
        **report,
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        pictures=sum(map(len, exam.splits.values())),
        boxes=sum(len(split.boxes) for split in exam.splits.values()),
        is_text=bool(exam.words),
        canvas=exam.config.craft.canvas,
        **_balance(report),
        plot=_plot(exam),
        anchor_line=_anchor_line(exam),
        augment=exam.config.data.augment,
        worst=[_embed(tile) for tile in worst],
        drawn=[_embed(tile) for tile in drawn],
        augmented=[[_embed(tile) for tile in row] for row in augmented],
        findings=[{**finding, "value": shorten(finding["value"])} for finding in findings[:_MOST_LISTED]],
        more_findings=max(0, len(findings) - _MOST_LISTED),
        commands=commands,
    )
    path.write_text(text, encoding="utf-8")


def check_page_free(path: Path) -> None:
    """Raise UsageError where a page cannot be written, or a file that is none of ours lies."""
    if path.is_dir():
        raise UsageError(f"--html {path} is a folder: name a file, for example {path / 'check.html'}")
    if not path.parent.is_dir():
        raise UsageError(f"--html {path}: there is no folder {path.parent}; create it, or choose another place")
    if path.is_file() and _MARK.encode() not in path.read_bytes()[:2000]:
        raise UsageError(f"--html {path} exists and is no page of finetune check: choose another name")


def _place(finding: dict[str, Any]) -> str:
    number = finding["annotation"]
    file = finding["file"]
    where = file if number is None else str(number) if str(number).startswith(file.rpartition("/")[2]) else f"{file}, annotation {number}"
    return shorten(finding["value"] if finding["kind"].startswith("class-") and finding["value"] else f"{where} {finding['value']}".rstrip(), 160)


def _embed(tile: Tile) -> dict[str, Any]:
    stream = io.BytesIO()
    tile.image.convert("RGB").save(stream, "JPEG", quality=82, optimize=True)
    source = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"source": source, "caption": tile.caption, "severity": tile.severity, "width": tile.image.width, "height": tile.image.height}


def _balance(report: dict[str, Any]) -> dict[str, Any]:
    """Classes with one bar per split, most boxes first where there are many."""
    splits = report["splits"]
    names = [row["name"] for row in report["classes"]]
    largest = {name: max([1, *split["classes"].values()]) for name, split in splits.items()}
    if len(names) > _MOST_CLASSES:
        names.sort(key=lambda name: -sum(split["classes"][name] for split in splits.values()))
    rows = [
        {"name": name, "bars": [{"count": split["classes"][name], "width": round(70 * split["classes"][name] / largest[key], 2)} for key, split in splits.items()]} for name in names[:_MOST_CLASSES]
    ]
    return {"balance": rows, "more_classes": max(0, len(names) - _MOST_CLASSES)}


def _anchor_line(exam: Examination) -> str:
    if exam.plan is None:
        return "The boxes were not compared with anchors."
    return cover_line(exam.covers, exam.plan) or "Every box can be learnt by some anchor at this input size."


def _plot(exam: Examination) -> dict[str, Any] | None:
    """Places of dots, anchors and ticks on logarithmic axes, in units of the drawing."""
    sides = all_sides(exam)
    if not len(sides):
        return None
    total = len(sides)
    if total > _MOST_DOTS:
        sides = sides[np.sort(np.random.default_rng(exam.config.seed).permutation(total)[:_MOST_DOTS])]
    longest = float(exam.config.craft.canvas if exam.words else max(exam.config.data.input_size))
    tiny = LEAST_LETTERS if exam.words else TINY_SIDE
    low, span = 1.0, np.log2(longest * 1.1)
    inner = _SIDE - _MARGIN - 14

    def across(value: float) -> float:
        return round(_MARGIN + inner * float(np.log2(max(value, low)) / span), 1)

    def down(value: float) -> float:
        return round(14 + inner - inner * float(np.log2(max(value, low)) / span), 1)

    ticks = [2**power for power in range(int(span) + 1)]
    shapes = [] if exam.plan is None else exam.plan.shapes
    return {
        "side": _SIDE,
        "low": _MARGIN,
        "high": _MARGIN + inner,
        "low_y": 14,
        "high_y": 14 + inner,
        "span": inner,
        "tiny": round(across(tiny) - _MARGIN, 1),
        "tiny_y": down(tiny),
        "ticks": [{"x": across(tick), "y": down(tick), "label": tick} for tick in ticks],
        "points": [(across(width), down(height)) for width, height in sides.tolist()],
        "anchors": [(across(width), down(height)) for width, height, _ in shapes],
        "rule": "none laid" if exam.plan is None else f"matcher {exam.plan.rule}",
        "total": total,
        "sampled": total > _MOST_DOTS,
    }
