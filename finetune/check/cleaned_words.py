"""Scene text of a cleaned copy: folders of pictures and of files as ICDAR 2015 has them, corners in order, faulty words left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backbones.errors import UsageError
from finetune.check.copying import Copy
from finetune.data.findings import Kind
from finetune.data.kinds import (
    LEAK,
    PICTURE_DAMAGED,
    PICTURE_MISSING,
    PICTURE_UNANNOTATED,
    PICTURE_UNREADABLE,
    SEVERAL_FILES,
    WORD_ANTICLOCKWISE,
    WORD_CROSSED,
    WORD_EMPTY,
    WORD_OFF,
    WORD_TWICE,
    WORD_UNREADABLE,
)
from finetune.data.text.checks import quad_text
from finetune.data.text.icdar_lines import unquoted
from finetune.data.text.quads import mend
from finetune.data.text.raw import IGNORED_TEXT
from finetune.data.types import TextSplit

if TYPE_CHECKING:
    from finetune.check.examine import Examination

_LEFT_OUT = (LEAK, PICTURE_DAMAGED, PICTURE_MISSING, PICTURE_UNANNOTATED, PICTURE_UNREADABLE, SEVERAL_FILES, WORD_UNREADABLE)


def check_words_fit(exam: Examination) -> None:
    """Raise UsageError where the format of ICDAR 2015 would lose something."""
    curved = sum(int((np.diff(split.polygon_offsets) > 0).sum()) for split in exam.words.values())
    characters = sum(len(split.char_quads) for split in exam.words.values())
    if curved or characters:
        what = f"outlines of {curved:,} word{'s' * (curved != 1)}" if curved else f"{characters:,} characters"
        raise UsageError(f"--write-cleaned writes the quads of ICDAR 2015, which would lose {what} of {exam.name}: mend the lines that the report names, by hand")


def write_words(copy: Copy) -> None:
    """Write ``train_images``, ``train_gts`` and their like; a share of train that is validated on goes back into train."""
    exam = copy.exam
    for finding in exam.findings.rows:
        if finding.kind in _LEFT_OUT:
            copy.note(finding.kind.name, finding.file, finding.annotation, finding.value, "left out")
    names: dict[str, set[str]] = {}
    for name, split in exam.words.items():
        target = name if name in exam.gathered.layout.sources else "train"
        leaked = {finding.file for finding in exam.findings.rows if finding.kind == LEAK and finding.split == name}
        lines = _lines(copy, name, split)
        for folder in (f"{target}_images", f"{target}_gts"):
            (copy.out / folder).mkdir(exist_ok=True)
        for row, path in enumerate(split.paths):
            if path in leaked:
                continue
            stem = _free_name(path.stem, split.image_ids[row], names.setdefault(target, set()))
            copy.add_picture(path, copy.out / f"{target}_images" / f"{stem}{path.suffix}")
            content = "".join(f"{lines[word]}\n" for word in range(*split.offsets[row : row + 2].tolist()) if lines[word])
            (copy.out / f"{target}_gts" / f"gt_{stem}.txt").write_bytes(content.encode("utf-8", "replace"))


def _lines(copy: Copy, name: str, split: TextSplit) -> list[str]:
    """The line of each word, "" of those that are left out; notes what differs."""
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))
    files = [image.annotation_file for image in copy.exam.raws[name].images]
    mended = mend(split.quads)
    hw = split.original_hw[image_of].astype(np.float64)
    off = (split.quads.max(1) <= 0).any(1) | (split.quads.min(1) >= hw[:, ::-1]).any(1)
    seen: set[tuple[int, bytes, str]] = set()
    lines = []
    for row, (quad, text) in enumerate(zip(mended.quads, split.texts, strict=True)):
        key = (int(image_of[row]), split.quads[row].tobytes(), text)
        bad: Kind | None = WORD_EMPTY if mended.empty[row] else WORD_OFF if off[row] else WORD_TWICE if key in seen else None
        seen.add(key)
        moved = WORD_CROSSED if mended.crossed[row] else WORD_ANTICLOCKWISE if mended.anticlockwise[row] else None
        if (kind := bad or moved) is not None:
            after = "left out" if bad else quad_text(quad)
            copy.note(kind.name, files[image_of[row]], split.annotation_ids[row], quad_text(split.quads[row]), after)
        lines.append("" if bad else _line(quad, IGNORED_TEXT if split.ignore[row] else text))
    return lines


def _line(quad: NDArray[np.float64], text: str) -> str:
    corners = ",".join(str(int(value)) if value == int(value) else f"{value:.3f}" for value in quad.reshape(-1).tolist())
    if unquoted(text) != text:  # quotes around it that are its own
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{corners},{text}"


def _free_name(stem: str, image_id: str, taken: set[str]) -> str:
    """The name of the picture, or its id with the folder where the name is taken."""
    name, number = stem if stem not in taken else Path(image_id).as_posix().replace("/", "_"), 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    taken.add(name)
    return name
