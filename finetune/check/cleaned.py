"""A copy of a data set without its errors, in the same format, and the list of what changed in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones.errors import FinetuneError, UsageError
from finetune.check.cleaned_boxes import cleaned_boxes
from finetune.check.cleaned_coco import write_coco
from finetune.check.cleaned_voc import write_voc
from finetune.check.cleaned_words import check_words_fit, write_words
from finetune.check.copying import Change, Copy
from finetune.check.examine import Examination, examine
from finetune.data.findings import Findings
from finetune.data.gather import read_sources
from finetune.data.kinds import LEAK, PICTURE_DAMAGED, PICTURE_UNREADABLE
from finetune.data.sources import CocoSource, Source

NOTES = "cleaning"  # folder in the copy: where no reader takes its files for annotations
_UNUSABLE = (LEAK, PICTURE_DAMAGED, PICTURE_UNREADABLE)


def check_copy_free(out: Path) -> None:
    """Raise UsageError where a copy cannot be made."""
    if out.exists() or out.is_symlink():
        raise UsageError(f"--write-cleaned {out} exists and is not overwritten: name a new folder")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--write-cleaned {out}: there is no folder {out.absolute().parent}; create it, or choose another place")


def write_cleaned(exam: Examination, out: Path) -> tuple[list[Change], list[str]]:
    """Write the copy.

    Pictures that cannot be used, and those of train that are in val or test too, are left out; so is what the readers
    pass over; boxes are clipped, and empty ones and exact copies left out. Everything else is as it was.

    Args:
        exam: What was found.
        out: Folder to create.

    Returns:
        What changed, and the errors that are left in the copy, in words.

    Raises:
        UsageError: The folder exists, or scene text would lose something in the format of the copy.
        FinetuneError: It cannot be written.
    """
    check_copy_free(out)
    check_words_fit(exam)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    copy = Copy(exam, partial)
    try:
        partial.mkdir()
        for name, sources in exam.gathered.layout.sources.items():
            for source in sources:
                _write_source(copy, name, source)
        if exam.words:
            write_words(copy)
        _write_notes(copy)
        partial.rename(out)
    except OSError as error:
        raise FinetuneError(f"--write-cleaned {out}: {error.strerror or error}; free some space, or choose another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return copy.changes, _errors_left(copy, out)


def _write_source(copy: Copy, name: str, source: Source) -> None:
    """Write what is left of one annotation file, or of one folder of them."""
    exam = copy.exam
    findings = Findings(lenient=True)
    raw = read_sources((source,), exam.config.data, findings, [], name)
    for finding in findings.rows:
        if finding.kind.severity == "error":
            copy.note(finding.kind.name, finding.file, finding.annotation, finding.value, "left out")
    if raw is None:
        return
    # a validation share that is cut from train has no file of its own
    served = {name, *(exam.splits.keys() - exam.gathered.layout.sources.keys() if name == "train" else ())}
    reasons = {finding.file: finding for finding in exam.findings.rows if finding.kind in _UNUSABLE and finding.split in served}
    pictures = exam.table.by_path()
    kept = []
    for image in raw.images:
        if (reason := reasons.get(image.path)) is not None:
            copy.note(reason.kind.name, image.path, None, f"in {name} {reason.value}".rstrip(), "left out")
        elif image.path in pictures and pictures[image.path].header is not None:
            kept.append(image)
    left = cleaned_boxes(raw, kept, {image.path: pictures[image.path].header for image in kept}, copy.note)
    if isinstance(source, CocoSource):
        write_coco(copy, source, left)
    else:
        write_voc(copy, source, left)
    for image in kept:
        copy.add_picture(image.path)


def _write_notes(copy: Copy) -> None:
    """changes.json for programs and changes.txt for people; of scene text changes.jsonl, because a .json file beside it would be taken for COCO."""
    folder = copy.out / NOTES
    folder.mkdir()
    content: dict[str, Any] = {"schema": 1, "from": copy.exam.gathered.root.resolve().as_posix(), "changes": [change._asdict() for change in copy.changes]}
    if copy.exam.words:
        rows = [json.dumps(change, ensure_ascii=False) + "\n" for change in content["changes"]]
        (folder / "changes.jsonl").write_text("".join(rows), encoding="utf-8")
    else:
        (folder / "changes.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = [
        f"A copy of {copy.exam.name}, made by finetune check --write-cleaned, with {len(copy.changes)} change{'s' * (len(copy.changes) != 1)}.",
        "Pictures are hard links to the originals where the disk allows it: replace one if you must, but do not edit it in place.",
        "",
    ]
    for change in copy.changes:
        number = "" if change.annotation is None else f", annotation {change.annotation}"
        lines.append(f"{change.kind}: {change.file}{number}: {change.before} -> {change.after}")
    (folder / "changes.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _errors_left(copy: Copy, out: Path) -> list[str]:
    """Errors that the copy still has, such as a split without pictures: it is examined, but no picture is decoded again."""
    exam, pictures = copy.exam, copy.exam.table.by_path()
    known = {out / target.relative_to(copy.out): pictures[path] for path, target in copy.copied.items()}
    inside = exam.config.data.images is not None and not Path(exam.config.data.images).is_absolute() and (out / exam.config.data.images).is_dir()
    data = replace(exam.config.data, root=out.as_posix(), images=exam.config.data.images if inside else None)
    if exam.words:
        data = replace(data, format="icdar", train=None, val=None, test=None, images=None)
    try:
        findings = examine(replace(exam.config, data=data), near=False, known=known, anchors=False).findings
    except FinetuneError as error:
        return [str(error)]
    return [kind.phrase(findings.count(kind)) for kind in findings.kinds() if kind.severity == "error"]
