"""Findings about pictures, whatever is annotated in them: unreadable, damaged, turned, copies of one another, named by nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from finetune.check.near import ALIKE, group_alike, group_equal, likeness
from finetune.check.pictures import Picture, PictureTable
from finetune.data.file_listing import IMAGE_SUFFIXES
from finetune.data.findings import Findings, Kind
from finetune.data.kinds import LEAK, LEAK_NEAR, PICTURE_BYTES, PICTURE_DAMAGED, PICTURE_ROTATED, PICTURE_UNLISTED, PICTURE_UNREADABLE, SAME_PICTURE, SIMILAR_PICTURE
from finetune.data.sources import SPLITS

_MOST_PARTNERS = 200  # members of a group that one picture is compared with; frames of a film are hundreds


class Place(NamedTuple):
    """Where a picture is used: row of the table, split, its path there."""

    row: int
    split: str
    path: Path


def check_pictures(pictures: Mapping[Path, Picture], paths: Iterable[Path], split: str, findings: Findings) -> None:
    """Note pictures of one split that cannot be used, or that are odd."""
    findings.split = split
    for path in dict.fromkeys(paths):
        picture = pictures[path]
        if picture.fault:
            findings.add(PICTURE_UNREADABLE, path, value=f"({picture.fault.removeprefix(str(path)).strip()})")
        elif picture.damage:
            findings.add(PICTURE_DAMAGED, path, value=f"({picture.damage})", image=path)
        elif picture.remark:
            findings.add(PICTURE_BYTES, path, value=f"({picture.remark})", image=path)
        if picture.header is not None and picture.header.orientation != 1:
            findings.add(PICTURE_ROTATED, path, value=f"(orientation {picture.header.orientation})", image=path)


def check_copies(table: PictureTable, places: Mapping[str, Iterable[Path]], findings: Findings, near: bool = True, threads: int = 0, advance: Callable[[int], None] = lambda count: None) -> None:
    """Note pictures that are there twice, and pictures that are almost alike; between splits that is a leak.

    Args:
        table: Pictures that were decoded.
        places: Split to the paths of its pictures, as often as they are listed.
        findings: Gets what was found.
        near: Compare looks too.
        threads: As in ``group_alike``.
        advance: As in ``group_alike``.
    """
    row_of = {path: row for row, path in enumerate(table.paths)}
    by_row: dict[int, list[Place]] = {}
    for split in SPLITS:
        for path in places.get(split, ()):
            by_row.setdefault(row_of[path], []).append(Place(row_of[path], split, path))
    equal = group_equal([picture.digest for picture in table.pictures])
    together = {row for rows in equal for row in rows}
    for rows in [*equal, *([row] for row in by_row if row not in together)]:
        members = [place for row in rows for place in by_row.get(row, ())]
        if len(members) > 1:
            _note_group(members, findings, LEAK, SAME_PICTURE, lambda place, other: "the same file as" if place.path == other.path else "the same pixels as")
    if not near:
        return
    copies = {row for rows in equal for row in rows[1:]}
    usable = [row for row, picture in enumerate(table.pictures) if picture.look is not None and not picture.plain and row not in copies]
    looks = np.stack([look for row in usable if (look := table.pictures[row].look) is not None]) if usable else np.zeros((0, 1, 1), np.uint8)
    hashes = np.array([table.pictures[row].hash for row in usable], np.uint64)
    for group in group_alike(hashes, looks, threads, advance):
        members = [place for position in group for place in by_row.get(usable[position], ())]
        _note_group(members, findings, LEAK_NEAR, SIMILAR_PICTURE, lambda place, other: _alike(table, place, other))


def check_unlisted(paths: Iterable[Path], findings: Findings) -> None:
    """Note pictures that lie in the folders of those that are used, and are not used themselves."""
    used = {path.resolve() for path in paths}
    known = {finding.file.resolve() for finding in findings.rows if finding.image is not None}
    findings.split = ""
    for folder in sorted({path.parent for path in used}):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in IMAGE_SUFFIXES and path not in used and path not in known and path.is_file():
                findings.add(PICTURE_UNLISTED, path, image=path)


def _alike(table: PictureTable, place: Place, other: Place) -> str | None:
    """How alike two pictures are, in words; None for those that are in one group only through others."""
    looks = [table.pictures[row].look for row in (place.row, other.row)]
    value = float(likeness(looks[0].reshape(1, -1), looks[1].reshape(1, -1))[0]) if looks[0] is not None and looks[1] is not None else 0.0
    return f"{value:.0%} like" if value >= ALIKE else None


def _note_group(members: list[Place], findings: Findings, between: Kind, within: Kind, compare: Callable[[Place, Place], str | None]) -> None:
    """Note each member that has a partner in a later split, else each that has an earlier one in its own split."""
    for position, place in enumerate(members):
        later = [other for other in members if SPLITS.index(other.split) > SPLITS.index(place.split)]
        earlier = [other for other in members[:position] if other.split == place.split]
        for kind, others in ((between, later), (within, earlier)):
            found = next(((other, words) for other in others[::-1][:_MOST_PARTNERS] if (words := compare(place, other)) is not None), None)
            if found is not None:
                other, words = found
                findings.split = place.split
                name = other.path.name if other.path.name != place.path.name or other.path == place.path else str(other.path)
                findings.add(kind, place.path, value=f"({words} {name} of {other.split})" if kind is not within else f"({words} {name})", image=place.path, other=other.path)
                break
