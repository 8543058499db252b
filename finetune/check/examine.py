"""Everything that the doctor looks at, in one go: what would be trained, and all that was found on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backbones.errors import FinetuneError, one_line
from finetune.check.class_checks import check_classes
from finetune.check.coverage import AnchorPlan, Coverage, cover, plan_of
from finetune.check.picture_checks import check_copies, check_pictures, check_unlisted
from finetune.check.pictures import Picture, PictureTable, scan_pictures
from finetune.check.voc_checks import check_one_based, check_unlisted_xml
from finetune.check.words import examine_words, gather_words, looks_at_words
from finetune.config import RunConfig
from finetune.data.assemble import build_split
from finetune.data.box_checks import check_boxes, note_rows
from finetune.data.findings import SEVERITIES, Findings
from finetune.data.gather import Gathered, gather
from finetune.data.kinds import ANCHOR_LOW, ANCHOR_SHARED, PICTURE_EMPTY, TRAIN_EMPTY
from finetune.data.partition import select_images
from finetune.data.raw import RawSplit
from finetune.data.text.boxes import boxes_of_split
from finetune.data.text.raw import RawText
from finetune.data.types import BoxSplit, TextSplit

Advance = Callable[[str, int, int], None]  # what is done, how many more, of how many


@dataclass(frozen=True, eq=False)
class Examination:
    """A data set as the doctor has seen it.

    Args:
        config: All settings of the run that would train on it.
        gathered: What the annotation files say.
        raws: The same, without pictures that cannot be read.
        splits: The boxes that training would get; of scene text the upright ones around the words.
        table: Every picture.
        findings: Everything that was found.
        plan: The anchors; None where they could not be laid.
        covers: What the anchors make of the boxes, per split.
        seconds: How long it took.
        words: The words of scene text, split by split; nothing where boxes are examined.
    """

    config: RunConfig
    gathered: Gathered
    raws: Mapping[str, RawSplit | RawText]
    splits: Mapping[str, BoxSplit]
    table: PictureTable
    findings: Findings
    plan: AnchorPlan | None
    covers: tuple[Coverage, ...]
    notes: tuple[str, ...]
    seconds: float
    words: Mapping[str, TextSplit] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the data set, as runs have it."""
        root = self.gathered.root
        return self.config.data.root if self.config.data.root in ("signs", "words") else root.stem if root.is_file() else root.resolve().name

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {severity: sum(self.findings.count(kind) for kind in self.findings.kinds() if kind.severity == severity) for severity in SEVERITIES}

    def show(self, path: Path) -> str:
        """A path as people and reports see it: relative to the data set where it lies in it."""
        base = self.gathered.root if self.gathered.root.is_dir() else self.gathered.root.parent
        return one_line(path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix())


def examine(
    config: RunConfig, *, near: bool = True, threads: int = 0, advance: Advance = lambda what, more, of: None, known: Mapping[Path, Picture] | None = None, anchors: bool = True
) -> Examination:
    """Read every annotation and decode every picture.

    Args:
        config: The settings that would train on the data.
        near: Look for pictures that are almost alike.
        threads: Pictures decoded at once; 0 is one per core.
        advance: Told of progress.
        known: Pictures that were decoded already.
        anchors: Compare the boxes with the anchors.

    Raises:
        DataError: There is nothing to examine.
        UsageError: Settings that do not fit the data.
    """
    started, data = time.perf_counter(), config.data
    findings = Findings(lenient=True)
    is_text = looks_at_words(config)
    gathered = gather_words(data, config.seed, findings) if is_text else gather(data, config.seed, findings)
    listed = {name: [image.path for image in raw.images] for name, raw in gathered.raws.items()}
    paths = list(dict.fromkeys(path for part in listed.values() for path in part))
    fresh = [path for path in paths if path not in (known or {})]
    pictures = {**(known or {}), **scan_pictures(fresh, threads, lambda more: advance("decoding pictures", more, len(fresh))).by_path()}
    table = PictureTable(tuple(paths), tuple(pictures[path] for path in paths))
    raws: dict[str, Any] = {}
    splits: dict[str, BoxSplit] = {}
    words: dict[str, TextSplit] = {}
    for name, raw in gathered.raws.items():
        check_pictures(pictures, listed[name], name, findings)
        usable = [(header := pictures[path].header) is not None and not pictures[path].fault for path in listed[name]]
        headers = [header for path in listed[name] if not pictures[path].fault and (header := pictures[path].header) is not None]
        if isinstance(raw, RawText):
            raws[name], words[name] = examine_words(name, raw, usable, headers, config, findings)
            splits[name] = boxes_of_split(words[name], clip=True)
            continue
        raws[name] = select_images(raw, usable)
        splits[name] = build_split(name, raws[name], gathered.class_map, findings, headers=headers)
        check_boxes(splits[name], raws[name].images, data.input_size, data.resize, findings, thorough=True)
        check_one_based(name, raw, {path: pictures[path].header for path in listed[name]}, findings)
        _check_empty(name, raws[name], splits[name], findings)
    if not is_text:
        check_classes(splits, [category for raw in gathered.raws.values() if isinstance(raw, RawSplit) for category in raw.categories], gathered.root, findings)
    check_copies(table, listed, findings, near, threads, lambda more: advance("comparing pictures", more, len(paths)))
    check_unlisted(paths, findings)
    if not is_text:
        check_unlisted_xml(gathered.layout, gathered.raws, findings)
    plan, covers, notes = _check_anchors(config, raws, splits, findings) if anchors and not is_text else (None, (), [])
    findings.split = ""
    return Examination(config, gathered, raws, splits, table, findings, plan, covers, (*gathered.notes[1:], *notes), time.perf_counter() - started, words)


def _check_empty(name: str, raw: RawSplit, split: BoxSplit, findings: Findings) -> None:
    for row in np.flatnonzero(np.diff(split.offsets) == 0).tolist():
        findings.add(PICTURE_EMPTY, raw.images[row].path, image=raw.images[row].path)
    if name == "train" and not (~split.ignore).any():
        findings.add(TRAIN_EMPTY, raw.images[0].annotation_file if raw.images else Path(name))


def _check_anchors(config: RunConfig, raws: Mapping[str, Any], splits: Mapping[str, BoxSplit], findings: Findings) -> tuple[AnchorPlan | None, tuple[Coverage, ...], list[str]]:
    """Lay the anchors of the detector that would be trained, and note the boxes that they miss."""
    if not any(len(split.boxes) for split in splits.values()):
        return None, (), []
    from finetune.build import build_detector  # with Lightning, which takes seconds

    try:
        detector = build_detector(config, max(1, len(next(iter(splits.values())).class_names)), weights="none")
    except FinetuneError as error:
        return None, (), [f"boxes were not compared with anchors: {error}"]
    if not hasattr(detector, "anchors"):
        return None, (), []
    plan = plan_of(detector, config.data.channels, config.data.input_size)
    covers = tuple(cover(split, plan, config.data.input_size, config.data.resize) for split in splits.values())
    for name, found in zip(splits, covers, strict=True):
        findings.split = name
        for kind, rows in ((ANCHOR_LOW, found.low), (ANCHOR_SHARED, found.shared)):
            note_rows(findings, kind, rows, splits[name], raws[name].images)
    return plan, covers, []
