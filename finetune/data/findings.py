"""What is wrong or odd in the data: noted by the readers, by the checks before training, and by the data doctor.

There are two ways to note something. ``add``: training goes on (the item was repaired or left out). ``fault``: training
cannot go on. A strict sink (training) collects faults until ``raise_faults`` turns them into one DataError; a lenient one
(the doctor) records them like everything else, and who reported one skips the item and reads on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from backbones.errors import DataError, one_line

NAMED = 3
_MOST_IN_ERROR = 3  # kinds

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """A kind of finding; all of them stand in ``finetune/data/kinds.py``.

    Args:
        name: For machines, never renamed: "box-outside".
        severity: "error" (training stops at it, throws something away, or its scores cannot be trusted), "warning" (training
            goes on, but may be worse for it) or "note" (worth knowing).
        what: End of a sentence that starts with a count; [one|several] are the forms for one and for several: "box[|es] [is|are] clipped".
        remedy: What to do about it.
    """

    name: str
    severity: Severity
    what: str
    remedy: str

    def phrase(self, count: int) -> str:
        """The count and what it is of: "2 boxes without area dropped"."""
        return f"{count:,} " + re.sub(r"\[([^|\]]*)\|([^\]]*)\]", r"\1" if count == 1 else r"\2", self.what)


class Finding(NamedTuple):
    """One thing that was found.

    Args:
        kind: What it is.
        split: train, val, test, or "" where it concerns all.
        file: The annotation file or the picture at fault.
        annotation: Annotation id, or "file.xml#2"; None where it is not about one annotation.
        value: What stands there, in words.
        remedy: What to do, where that is more exact than the kind's own.
        image: The picture that shows it.
        box: x1, y1, x2, y2 at pixel edges of the picture, to mark it.
        other: A second picture that it is about.
    """

    kind: Kind
    split: str
    file: Path
    annotation: int | str | None = None
    value: str = ""
    remedy: str = ""
    image: Path | None = None
    box: tuple[float, float, float, float] | None = None
    other: Path | None = None

    @property
    def place(self) -> str:
        """File name, annotation and value: "train.json, annotation 7 (1, 2, 1, 2)"."""
        number, file = self.annotation, self.file.name
        where = file if number is None else str(number) if str(number).startswith(file) else f"{file}, annotation {number}"
        return f"{where} {self.value}".rstrip()


class Findings:
    """A sink for findings.

    Args:
        lenient: Record everything and never raise; otherwise only counts and the first few of a kind are kept.

    Attributes:
        split: The split that is being read: findings are noted under it.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.lenient = lenient
        self.split = ""
        self.rows: list[Finding] = []
        self._counts: dict[Kind, int] = {}
        self._places: dict[Kind, list[Finding]] = {}
        self._faults: list[Finding] = []

    def add(
        self,
        kind: Kind,
        file: Path,
        annotation: int | str | None = None,
        value: str = "",
        *,
        remedy: str = "",
        image: Path | None = None,
        box: tuple[float, float, float, float] | None = None,
        other: Path | None = None,
    ) -> None:
        """Note something that training survives; arguments as in ``Finding``."""
        self._keep(Finding(kind, self.split, file, annotation, shorten(value), remedy, image, box, other))

    def fault(
        self,
        kind: Kind,
        file: Path,
        annotation: int | str | None = None,
        value: str = "",
        remedy: str = "",
        *,
        image: Path | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Note something that training cannot go on with, then skip the item; arguments as in ``Finding``.

        At the end of the file, or at once where nothing more can be read, the caller asks for ``raise_faults``.
        """
        finding = Finding(kind, self.split, file, annotation, shorten(value), remedy, image, box)
        if self.lenient:
            self._keep(finding)
        else:
            self._faults.append(finding)

    def raise_faults(self) -> None:
        """Raise one DataError for all faults that were noted since the last call; a lenient sink has none."""
        faults, self._faults = self._faults, []
        if faults:
            raise DataError(fault_line(faults))

    def count_more(self, kind: Kind, count: int) -> None:
        """Count ``count`` more of a kind without saying where; for strict sinks, whose first few are noted already."""
        if count > 0:
            self._counts[kind] = self.count(kind) + count

    def count(self, kind: Kind) -> int:
        """How many of ``kind`` were seen."""
        return self._counts.get(kind, 0)

    def kinds(self) -> list[Kind]:
        """Kinds that were seen, errors first, most frequent first."""
        return sorted(self._counts, key=lambda kind: (SEVERITIES.index(kind.severity), -self._counts[kind]))

    def lines(self) -> list[str]:
        """One line for each kind: the count, the kind, the first few places."""
        return [f"{kind.phrase(count)}: {name_some([finding.place for finding in self._places[kind]], count)}" for kind in self.kinds() if (count := self._counts[kind])]

    def _keep(self, finding: Finding) -> None:
        self._counts[finding.kind] = self._counts.get(finding.kind, 0) + 1
        named = self._places.setdefault(finding.kind, [])
        if len(named) < NAMED:
            named.append(finding)
        if self.lenient:
            self.rows.append(finding)


def fault_line(faults: Sequence[Finding]) -> str:
    """Faults as one line: per kind the file, the count, the first few places and the remedy."""
    groups: dict[Kind, list[Finding]] = {}
    for finding in faults:
        groups.setdefault(finding.kind, []).append(finding)
    parts = []
    for kind, rows in list(groups.items())[:_MOST_IN_ERROR]:
        alone = len({row.file for row in rows}) == 1
        named = [_within(row) if alone else f"{row.file} {_within(row)}".rstrip() for row in rows[:NAMED] if not alone or _within(row)]
        shown = name_some(named, len(rows))
        parts.append((f"{rows[0].file}: " if alone else "") + kind.phrase(len(rows)) + (f": {shown}" if named else "") + f"; {rows[0].remedy or kind.remedy}")
    more = len(groups) - len(parts)
    return "; ".join(parts) + (f"; and {more} more kind{'s' * (more > 1)} of faults (finetune check lists all)" if more > 0 else "")


def _within(finding: Finding) -> str:
    """Where in its file, and what stands there."""
    number = "" if finding.annotation is None else str(finding.annotation) if str(finding.annotation).startswith(finding.file.name) else f"annotation {finding.annotation}"
    return " ".join(word for word in (number, finding.value) if word)


def name_some(places: list[str] | tuple[str, ...], count: int | None = None, most: int = NAMED) -> str:
    """Join the first few of ``places`` for a message and say how many more there are of ``count`` (default: of all)."""
    total = len(places) if count is None else count
    shown = [shorten(place) for place in places[:most]]
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def shorten(text: str, most: int = 240) -> str:
    """``text`` as one printable line of at most ``most`` characters, without its middle where it is longer: names in damaged files have any length."""
    line = one_line(text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}")
    return line if len(line) <= 2 * most else line[: 2 * most] + " ..."
