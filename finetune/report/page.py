"""Writes the report of a comparison: report.html with everything in it, and the same as JSON, CSV and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from backbones.errors import UsageError
from finetune.compare.record import Comparison, comparison_from_dict, comparison_to_dict, load_comparison
from finetune.evaluation.word_fates import WORD_KINDS
from finetune.profile.rules import RULES
from finetune.report.contents import Contents, drawings, gather_contents
from finetune.report.error_view import BOX_KINDS, meanings
from finetune.report.limits import Limits
from finetune.report.shown_text import say_share, without_paths
from finetune.report.side_by_side import MOST_PICTURES
from finetune.report.table import csv_text, markdown_table, page_rows, shown_columns
from finetune.run_folder import write_atomic

REPORT_SCHEMA = 1
PAGE, VALUES, TABLE, TEXT = "report.html", "report.json", "report.csv", "report.md"


def write_report(folder: str | Path, limits: Limits | None = None, pictures: int = MOST_PICTURES, attribution: str | None = None) -> Path:
    """Write the report of a comparison into its folder; a former one is replaced.

    Args:
        folder: Of the comparison, finished or not.
        limits: What the user's device allows.
        pictures: On the page, at most.
        attribution: Who made the pictures and under which licence; None is what the comparison says.

    Returns:
        The page. Beside it lie report.json, report.csv and report.md.

    Raises:
        UsageError: There is no comparison.
        WriteError: The files cannot be written.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"{root} is not the folder of a comparison: give the one that finetune compare wrote")
    comparison = _clean(load_comparison(root))
    if attribution is not None:
        comparison = replace(comparison, data=replace(comparison.data, attribution=attribution))
    contents = gather_contents(root, comparison, limits or Limits())
    drawn = drawings(root, contents, pictures)
    texts = {PAGE: _page(contents, drawn), VALUES: _json(contents, drawn), TABLE: csv_text(contents.columns, contents.entries), TEXT: _markdown(contents)}
    for name, text in texts.items():
        write_atomic(root / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return root / PAGE


def _clean(comparison: Comparison) -> Comparison:
    """The record without absolute paths, whoever wrote it; file names within the comparison stay as they are."""
    return comparison_from_dict(without_paths(comparison_to_dict(comparison)))


def _page(contents: Contents, drawn: Mapping[str, Any]) -> str:
    comparison = contents.comparison
    folder = files("finetune.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["share"] = say_share
    columns = shown_columns(contents.columns, contents.entries)
    profiles = [entry.profile for entry in contents.entries if entry.profile is not None]
    return environment.from_string((folder / "page.html").read_text(encoding="utf-8")).render(
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup((folder / "page.js").read_text(encoding="utf-8")),
        comparison=comparison,
        contents=contents,
        answer=contents.answer,
        columns=columns,
        rows=page_rows(columns, contents.entries),
        intervals=_intervals(contents),
        kinds=WORD_KINDS if comparison.data.kind == "words" else BOX_KINDS,
        meanings=meanings(comparison.data.kind),
        rules=RULES,
        profile=profiles[0] if profiles else None,
        settings=json.dumps(comparison.settings, indent=2, ensure_ascii=False),
        notes=[*comparison.notes, *contents.notes],
        **drawn,
    )


def _intervals(contents: Contents) -> list[dict[str, Any]]:
    """Per candidate with scores: mean, where 95% of the draws lie, and how often it is the first."""
    certainty, scored = contents.certainty, contents.scored
    if certainty is None or not certainty.known:
        return []
    rows = []
    for column, entry in enumerate(scored):
        low, high = certainty.interval(column)
        share = certainty.first_share(column, range(len(scored)))
        rows.append({"name": entry.name, "number": entry.number, "mean": entry.mean, "low": low, "high": high, "first": share, "scores": list(entry.scores)})
    return sorted(rows, key=lambda row: -row["mean"])


def _json(contents: Contents, drawn: Mapping[str, Any]) -> str:
    comparison = contents.comparison
    content = {
        "schema": REPORT_SCHEMA,
        "answer": asdict(contents.answer),
        "limits": asdict(contents.limits),
        "data": asdict(comparison.data),
        "protocol": comparison.protocols[0],
        "primary": comparison.primary,
        "split": comparison.scored_split,
        "candidates": [
            {
                "number": entry.number,
                **{column.key: column.value(entry) for column in contents.columns if not column.key.startswith("class ")},
                "scores": list(entry.scores),
                "per_class": entry.per_class(),
                "failures": list(entry.failures),
            }
            for entry in contents.entries
        ],
        "certainty": {"sources": contents.certainty.sources, "seed_spread": contents.certainty.seed_spread, "candidates": _intervals(contents)} if contents.certainty else None,
        "correlations": {name: {**asdict(found), "sentence": sentence} for name, found, sentence in contents.correlations},
        "fronts": {plot["title"]: plot["front_names"] for plot in drawn["plots"]},
        "errors": drawn["errors"],
        "notes": [*comparison.notes, *contents.notes],
        "command": comparison.command,
        "versions": dict(comparison.versions),
        "device": comparison.device,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _markdown(contents: Contents) -> str:
    comparison, answer = contents.comparison, contents.answer
    columns = shown_columns(contents.columns, contents.entries)
    failed = [f"- {entry.name}: {failure}" for entry in contents.entries for failure in entry.failures]
    parts = [
        f"# Backbones compared on {comparison.data.name}",
        f"**{answer.headline}**" + (f" **{answer.limit_sentence}**" if answer.limit_sentence else ""),
        " ".join(answer.certainty),
        markdown_table(columns, contents.entries).rstrip("\n"),
        "\n".join(f"- {sentence}" for _, _, sentence in contents.correlations),
        "Failed or missing:\n\n" + "\n".join(failed) if failed else "",
        f"{comparison.primary} by {comparison.protocols[0]} on {comparison.scored_split} of {comparison.data.name} (fingerprint {comparison.data.fingerprint}), {comparison.device}.",
        f"Pictures: {comparison.data.attribution}" if comparison.data.attribution else "",
        f"```sh\n{comparison.command}\n```" if comparison.command else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
