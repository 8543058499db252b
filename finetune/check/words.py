"""What the doctor looks at in data of scene text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.registry import TEXT_DETECTORS
from finetune.config import DataConfig, RunConfig
from finetune.data.classes import build_class_map
from finetune.data.findings import Findings
from finetune.data.gather import Gathered
from finetune.data.images import ImageHeader
from finetune.data.kinds import PICTURE_WITHOUT_WORDS, TRAIN_WORDLESS
from finetune.data.layouts import Layout
from finetune.data.text.assemble import build_text_split
from finetune.data.text.checks import check_words
from finetune.data.text.kind import data_kind
from finetune.data.text.raw import RawText
from finetune.data.text.splits import gather_text, scales_of, select_pictures
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit


def looks_at_words(config: RunConfig) -> bool:
    """Whether words are examined rather than boxes: the data is scene text, or the detector that would be trained finds words."""
    return config.detector.name in TEXT_DETECTORS or data_kind(config.data) == "text"


def word_preprocess(config: RunConfig) -> TextPreprocess:
    """How a detector of words would see the pictures, whatever detector is named."""
    return TextPreprocess(config.craft.canvas, config.craft.mag_ratio, channels=config.data.channels)


def word_scales(split: TextSplit, config: RunConfig) -> NDArray[np.float64]:
    """[N] input pixels for a pixel of each picture, as evaluation has it."""
    return scales_of(split, word_preprocess(config))


def gather_words(config: DataConfig, seed: int, findings: Findings) -> Gathered:
    """What the annotation files say, in the form that the doctor has for boxes; of the sources only the names of the splits."""
    found = gather_text(config, seed, findings)
    raws: dict[str, Any] = dict(found.raws)
    return Gathered(found.root, Layout(found.layout.name, {name: () for name in found.layout.sources}), raws, build_class_map([{"text": 1}], (), {}), found.notes)


def examine_words(name: str, raw: RawText, usable: Sequence[bool], headers: Sequence[ImageHeader], config: RunConfig, findings: Findings) -> tuple[RawText, TextSplit]:
    """Check the words of one split.

    Args:
        name: The split.
        raw: What its files say.
        usable: For each picture whether it can be read.
        headers: Of the pictures that can.
        config: All settings of the run that would train on it.
        findings: Gets what was found.

    Returns:
        What is left of ``raw``, and its words.
    """
    left = select_pictures(raw, usable)
    split = build_text_split(name, left, findings, headers=headers)
    check_words(split, [image.annotation_file for image in left.images], word_scales(split, config), findings, thorough=True)
    for row in np.flatnonzero(np.diff(split.offsets) == 0).tolist():
        findings.add(PICTURE_WITHOUT_WORDS, left.images[row].path, image=left.images[row].path)
    if name == "train" and not (~split.ignore).any():
        findings.add(TRAIN_WORDLESS, left.images[0].annotation_file if left.images else Path(name))
    return left, split
