"""Whether data holds boxes of objects or words of scene text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from backbones.errors import DataError
from finetune.config import DataConfig
from finetune.data.gather import locate
from finetune.data.layouts import NothingFoundError
from finetune.data.sources import EMBEDDED
from finetune.data.splits import DataSplits
from finetune.data.text.layouts import text_places
from finetune.data.text.sources import FORMATS
from finetune.data.text.splits import load_text_splits, locate_text
from finetune.data.text_preprocess import TextPreprocess
from finetune.data.types import TextSplit


def data_kind(config: DataConfig) -> Literal["boxes", "text"]:
    """What ``config`` finds: what it says where it names a format, else COCO and VOC first, then the formats of text.

    Raises:
        DataError: Neither is there; the message names the places of both.
    """
    if config.format in FORMATS:
        return "text"
    if config.root == "words" and not Path("words").exists():
        return "text"
    if config.format != "auto" or config.root == "signs":
        return "boxes"
    no_boxes: DataError | None = None
    try:
        if locate(config)[1].sources:  # none where splits are named, if only as left out, and nothing is found beside them
            return "boxes"
    except DataError as error:
        no_boxes = error
    try:
        locate_text(config)
    except DataError:
        if no_boxes is None:
            return "boxes"
        if isinstance(no_boxes, NothingFoundError):
            raise NothingFoundError(f"{no_boxes}; nor is there scene text, looked for {text_places()}") from None
        raise no_boxes from None
    return "text"


def load_words(config: DataConfig, seed: int = 0, preprocess: TextPreprocess | None = None) -> DataSplits[TextSplit]:
    """The splits for a detector of words; arguments as of ``load_text_splits``.

    Raises:
        DataError: What is found are boxes, or nothing.
    """
    try:
        return load_text_splits(config, seed, preprocess)
    except DataError as error:
        if config.root not in EMBEDDED and _holds_boxes(config):
            remedy = "choose a detector for boxes (--detector ssdlite), or data in one of the formats of text (docs/data.md)"
            raise DataError(f"{config.root} holds boxes of objects, no words of scene text: {remedy}") from error
        raise


def _holds_boxes(config: DataConfig) -> bool:
    try:
        return data_kind(config) == "boxes"
    except DataError:
        return False
