"""What was found, in the terminal: worst first, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from finetune.check.class_checks import class_counts
from finetune.check.coverage import cover_line
from finetune.check.examine import Examination
from finetune.check.word_report import words_of_split
from finetune.config import DataConfig
from finetune.console import console
from finetune.data.findings import NAMED, Finding, Kind, shorten

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_ALL_CLASSES = 8  # up to so many classes have a column
_NAMED_CLASSES = 5


def say_summary(exam: Examination) -> None:
    """Print splits, classes, findings by kind, and the anchors."""
    pictures, boxes = sum(map(len, exam.splits.values())), sum(len(split.boxes) for split in exam.splits.values())
    names = exam.gathered.class_map.class_names
    what = f"{boxes:,} boxes, {len(names)} class{'es' * (len(names) != 1)}"
    if exam.words:
        what = f"{sum(len(split.quads) for split in exam.words.values()):,} words"
    _say(f"{exam.name}: {pictures:,} pictures, {what} ({exam.gathered.layout.name} in {exam.gathered.root})")
    for note in exam.notes:
        _say(note)
    console().print(_word_table(exam) if exam.words else _split_table(exam))
    if exam.words:
        _say(f"letter heights: of 5%, half and 95% of the words that count, no more than so many pixels of the input, whose longer side is {exam.config.craft.canvas} at most (craft.canvas)")
    if len(names) > _ALL_CLASSES:
        _say(_class_line(exam))
    counts = exam.counts
    _say(", ".join(f"{count:,} {name}{'s' * (count != 1)}" for name, count in counts.items()) + f" in {exam.seconds:.1f} s")
    for kind in exam.findings.kinds():
        _say_kind(exam, kind, [finding for finding in exam.findings.rows if finding.kind == kind])
    if exam.plan is not None:
        height, width = exam.config.data.input_size
        _say(cover_line(exam.covers, exam.plan) or f"anchors: every box can be learnt at {height}x{width} (matcher {exam.plan.rule})")


def say_next(lines: Sequence[tuple[str, str]]) -> None:
    """Print commands and what they do, in columns."""
    if lines:
        wide = max(len(command) for command, _ in lines)
        _say("next:")
        for command, what in lines:
            _say(f"  {command.ljust(wide)}   {what}")


def command_of(exam: Examination, *words: str, verb: str = "check", root: str | None = None) -> str:
    """The command that does something with the same data and data settings.

    Args:
        exam: What was examined.
        words: More words.
        verb: "check" or "train".
        root: Other data, with the same settings.
    """
    first = [root or exam.config.data.root] if verb == "check" else ["--data", root or exam.config.data.root]
    return shlex.join(["finetune", verb, *first, *_changed_settings(exam.config.data), *words])


def _changed_settings(data: DataConfig) -> list[str]:
    """Flags for the data settings that are not the default ones."""
    flags: list[str] = []
    for key, value in asdict(data).items():
        if key == "root" or value == getattr(DataConfig(), key):
            continue
        written = [f"{old}={new}" for old, new in value.items()] if isinstance(value, dict) else list(map(str, value)) if isinstance(value, tuple) else [str(value)]
        flags += [f"--data.{key}", *(written or ["[]"])]
    return flags


def _say_kind(exam: Examination, kind: Kind, findings: Sequence[Finding]) -> None:
    line = Text(f"  {kind.severity:<9}", style=_COLOURS[kind.severity])
    line.append(kind.phrase(len(findings)), style="bold" if kind.severity == "error" else "default")
    console().print(line)
    places = [shorten(_place(finding, exam), 120) for finding in findings[:NAMED]]
    if kind.severity == "note":
        places = [", ".join(places)]
    for place in places:
        _say(f"            {place}")
    if len(findings) > NAMED:
        _say(f"            and {len(findings) - NAMED:,} more")
    if kind.severity != "note":
        _say(f"          > {findings[0].remedy or kind.remedy}")


def _place(finding: Finding, exam: Examination) -> str:
    """File, annotation and value; only the value where it is about the whole data set."""
    return finding.value if finding.file == exam.gathered.root and finding.value else finding.place


def _split_table(exam: Examination) -> Table:
    names = exam.gathered.class_map.class_names
    shown = names if len(names) <= _ALL_CLASSES else ()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("split")
    for column in ("pictures", "boxes", "ignored", "without boxes", *shown):
        table.add_column(Text(shorten(column, 24)), justify="right")
    for name, split in exam.splits.items():
        counts = class_counts(split)[: len(shown)]
        empty = sum(int(first == last) for first, last in zip(split.offsets, split.offsets[1:], strict=False))
        table.add_row(name, *(f"{count:,}" for count in (len(split), len(split.boxes), int(split.ignore.sum()), empty, *counts.tolist())))
    return table


def _word_table(exam: Examination) -> Table:
    """Words of each split; letters in input pixels. What no split has gets no column."""
    rows = {name: words_of_split(split, exam.config) for name, split in exam.words.items()}
    some = {key: any(row[key] for row in rows.values()) for key in ("without_text", "curved", "characters")}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("split")
    extra = [(key, title) for key, title in (("without_text", "without text"), ("curved", "curved"), ("characters", "characters")) if some[key]]
    for column in ("pictures", "words", "ignored", "without words", *(title for _, title in extra), "letter heights"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        split, heights = exam.words[name], row["letter_height_at_input"] or {}
        share = f"{row['ignored']:,}" + (f" ({row['ignored_share']:.0%})" if row["ignored"] else "")
        numbers = [f"{len(split):,}", f"{row['words']:,}", share, f"{int((split.offsets[1:] == split.offsets[:-1]).sum()):,}", *(f"{row[key]:,}" for key, _ in extra)]
        table.add_row(name, *numbers, ", ".join(f"{value:g}" for value in heights.values()))
    return table


def _class_line(exam: Examination) -> str:
    """Classes with the most and the fewest boxes in train (or whatever split there is)."""
    split = exam.splits.get("train") or next(iter(exam.splits.values()))
    counts = class_counts(split)
    order = sorted(range(len(counts)), key=lambda label: -counts[label])
    some = [label for label in order if counts[label]]
    most, fewest = some[:_NAMED_CLASSES], some[_NAMED_CLASSES:][-_NAMED_CLASSES:]

    def listed(labels: Sequence[int]) -> str:
        return ", ".join(f"{split.class_names[label]} {counts[label]:,}" for label in labels)

    return f"classes in {split.name}: {listed(most)}" + (f" ... {listed(fewest)}" if fewest else "") + (f"; {len(order) - len(some)} without boxes" if len(some) < len(order) else "")


def _say(line: str) -> None:
    console().print(line, markup=False)
