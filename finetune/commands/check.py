"""``finetune check``: examine a data set, say what was found, and write page, findings and a cleaned copy where they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

from backbones.errors import DataError, FinetuneError, UsageError
from detectors.registry import TEXT_DETECTORS
from finetune.check.cleaned import NOTES, check_copy_free, write_cleaned
from finetune.check.examine import Examination, examine
from finetune.check.page import check_page_free, write_page
from finetune.check.report import report_of
from finetune.check.summary import command_of, say_next, say_summary
from finetune.check.tiles import augmented_tiles, box_tiles, finding_tiles, sheet_of
from finetune.console import console, write_json
from finetune.drawing import contact_sheet
from finetune.options import CheckOptions
from finetune.read_ahead import progress_bar

PAGE, FINDINGS = "check.html", "check.json"


def run(options: CheckOptions) -> int:
    """Examine and report.

    Returns:
        0, or 3 when there are errors.

    Raises:
        UsageError: Files or folders that cannot be written, before anything is read.
        DataError: There is nothing to examine.
    """
    _check_targets(options)
    exam = _examine(options)
    say_summary(exam)
    if options.html or options.out:
        _write_report(options, exam)
    if options.write_cleaned:
        _write_copy(Path(options.write_cleaned), exam)
    say_next(_next(options, exam))
    write_json(options.json, report_of(exam))
    return DataError.exit_code if exam.counts["error"] else 0


def _check_targets(options: CheckOptions) -> None:
    if options.augmented and not (options.html or options.out):
        raise UsageError("--augmented draws into a page or a folder: add --html FILE or --out FOLDER")
    if options.html:
        check_page_free(Path(options.html))
    if options.out and (Path(options.out).exists() or not Path(options.out).absolute().parent.is_dir()):
        raise UsageError(f"--out {options.out} exists already, or its parent folder does not: name a new folder, nothing is overwritten")
    if options.json not in (None, "-") and not Path(options.json).absolute().parent.is_dir():
        raise UsageError(f"--json {options.json}: there is no such folder; create it, or choose another place")
    if options.write_cleaned:
        check_copy_free(Path(options.write_cleaned))


def _examine(options: CheckOptions) -> Examination:
    """Examine with a progress bar, one line per step."""
    with progress_bar() as bar:
        tasks: dict[str, int] = {}

        def advance(what: str, more: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.advance(tasks[what], more)  # type: ignore[arg-type]

        return examine(options.run, near=options.near, threads=options.threads, advance=advance)


def _write_report(options: CheckOptions, exam: Examination) -> None:
    """The page, and with --out the findings as JSON and the sheets of pictures too."""
    worst, drawn = finding_tiles(exam), box_tiles(exam)
    augmented = list(augmented_tiles(exam)) if options.augmented else []
    commands = [(command, what) for command, what in _next(options, exam) if "--html" not in command]
    try:
        if options.html:
            write_page(Path(options.html), exam, worst, drawn, augmented, commands)
            console().print(f"written: {options.html}", markup=False)
        if options.out:
            folder = Path(options.out)
            folder.mkdir()
            write_page(folder / PAGE, exam, worst, drawn, augmented, commands)
            (folder / FINDINGS).write_text(json.dumps(report_of(exam), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            for name, tiles, columns in (("words" if exam.words else "boxes", drawn, 6), ("worst", worst, 6), ("augmented", [tile for row in augmented for tile in row], 4)):
                if tiles:
                    contact_sheet(sheet_of(tiles), columns).save(folder / f"{name}.jpg", quality=88)
            console().print(f"written: {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}", markup=False)
    except OSError as error:
        raise FinetuneError(f"the report cannot be written to {options.html or options.out}: {error.strerror or error}") from error


def _write_copy(out: Path, exam: Examination) -> None:
    changes, left = write_cleaned(exam, out)
    console().print(f"written: {out}, a copy with {len(changes):,} change{'s' * (len(changes) != 1)} ({out / NOTES / 'changes.txt'})", markup=False)
    for error in left:
        console().print(f"the copy still has an error that only you can mend: {error}", markup=False)


def _next(options: CheckOptions, exam: Examination) -> list[tuple[str, str]]:
    """Commands worth trying now."""
    lines, name = [], exam.name
    if not (options.html or options.out) and exam.findings.rows:
        lines.append((command_of(exam, "--html", f"check-{name}.html"), "all findings, with pictures"))
    if exam.counts["error"] and not options.write_cleaned and exam.gathered.layout.sources:
        lines.append((command_of(exam, "--write-cleaned", f"{name}-cleaned"), "a copy without the errors"))
    root = options.write_cleaned if options.write_cleaned else options.run.data.root
    if not exam.counts["error"] or options.write_cleaned:
        detector = [] if not exam.words else ["--detector", options.run.detector.name if options.run.detector.name in TEXT_DETECTORS else "craftlite"]
        lines.append((command_of(exam, *detector, root=root, verb="train"), "train on it"))
    return lines
