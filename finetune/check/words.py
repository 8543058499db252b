"""What the doctor looks at in data of scene text; words are shown as the upright boxes around them, of the class text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.config import DataConfig
from finetune.data.classes import build_class_map
from finetune.data.findings import Findings
from finetune.data.gather import Gathered
from finetune.data.images import ImageHeader
from finetune.data.kinds import PICTURE_WITHOUT_WORDS, TRAIN_WORDLESS
from finetune.data.layouts import Layout
from finetune.data.text.assemble import build_text_split
from finetune.data.text.boxes import boxes_of_split
from finetune.data.text.checks import check_words
from finetune.data.text.raw import RawText
from finetune.data.text.splits import gather_text, scales_of, select_pictures
from finetune.data.types import BoxSplit


def gather_words(config: DataConfig, seed: int, findings: Findings) -> Gathered:
    """What the annotation files say, in the form that the doctor has for boxes; there are no sources that a cleaned copy could be written from."""
    found = gather_text(config, seed, findings)
    raws: dict[str, Any] = dict(found.raws)
    return Gathered(found.root, Layout(found.layout.name), raws, build_class_map([{"text": 1}], (), {}), found.notes)


def examine_words(name: str, raw: RawText, usable: Sequence[bool], headers: Sequence[ImageHeader], config: DataConfig, findings: Findings) -> tuple[RawText, BoxSplit]:
    """Check the words of one split.

    Args:
        name: The split.
        raw: What its files say.
        usable: For each picture whether it can be read.
        headers: Of the pictures that can.
        config: The data settings.
        findings: Gets what was found.

    Returns:
        What is left of ``raw``, and its boxes.
    """
    left = select_pictures(raw, usable)
    split = build_text_split(name, left, findings, headers=headers)
    check_words(split, [image.annotation_file for image in left.images], scales_of(split, config), findings, thorough=True)
    for row in np.flatnonzero(np.diff(split.offsets) == 0).tolist():
        findings.add(PICTURE_WITHOUT_WORDS, left.images[row].path, image=left.images[row].path)
    if name == "train" and not (~split.ignore).any():
        findings.add(TRAIN_WORDLESS, left.images[0].annotation_file if left.images else Path(name))
    return left, boxes_of_split(split, clip=True)
