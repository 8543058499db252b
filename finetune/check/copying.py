"""A copy of a data set in the making: where its files go, and what is noted as changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from finetune.check.examine import Examination


class Change(NamedTuple):
    """One difference between the data and the copy: kind of finding, file, annotation id or None, what was there, what is there now."""

    kind: str
    file: str
    annotation: int | str | None
    before: str
    after: str


@dataclass(eq=False)
class Copy:
    """A copy.

    Args:
        exam: What was found in the original.
        out: Where it is made.
        changes: What was changed so far.
        copied: Pictures that are there, by their path in the data set.
    """

    exam: Examination
    out: Path
    changes: list[Change] = field(default_factory=list)
    copied: dict[Path, Path] = field(default_factory=dict)

    def place(self, path: Path, folder: str) -> Path:
        """Where a file goes: to the same place as in the data set; to ``folder`` where it lies outside."""
        root = self.exam.gathered.root
        base, whole = (Path(os.path.abspath(item)) for item in (root if root.is_dir() else root.parent, path))  # noqa: PTH100 - links stay links
        if whole.is_relative_to(base):
            return self.out / whole.relative_to(base)
        target, number = self.out / folder / path.name, 2
        while target in self.copied.values():
            target, number = self.out / folder / f"{path.stem}-{number}{path.suffix}", number + 1
        return target

    def add_picture(self, path: Path, target: Path | None = None) -> None:
        """Link a picture, or copy it where links are not possible; to ``target`` where its place changes."""
        if path in self.copied:
            return
        target = self.copied[path] = target or self.place(path, "images")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path.resolve(), target)
        except OSError:
            shutil.copy2(path, target)

    def note(self, kind: str, file: Path, annotation: int | str | None, before: str, after: str) -> None:
        """Note a change."""
        change = Change(kind, self.exam.show(file), annotation, before, after)
        if change not in self.changes[-50:]:  # one file may be read for two splits
            self.changes.append(change)
