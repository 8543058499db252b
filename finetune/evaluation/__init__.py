"""Scores of detections: one evaluator per protocol, found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbones.errors import UsageError
from finetune.nearest import did_you_mean

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit, TextSplit
    from finetune.evaluation.base import Evaluator

BOX_PROTOCOLS = ("coco", "voc2007-11pt", "voc2012-area")
TEXT_PROTOCOLS = ("icdar2015-iou", "icdar2013-deteval", "polygon-iou")  # the usual one first
PROTOCOLS = BOX_PROTOCOLS + TEXT_PROTOCOLS


def list_protocols() -> tuple[str, ...]:
    """Names that ``create_evaluator`` takes, sorted."""
    return tuple(sorted(PROTOCOLS))


def check_protocol(protocol: str) -> None:
    """Raise UsageError, with the nearest name, where there is no such protocol."""
    if protocol not in PROTOCOLS:
        raise UsageError(f"there is no protocol {protocol!r}{did_you_mean(protocol, PROTOCOLS)} (choose from {', '.join(list_protocols())})")


def create_evaluator(protocol: str, split: BoxSplit | TextSplit) -> Evaluator:
    """Make the evaluator of a protocol.

    Args:
        protocol: One of ``list_protocols()``.
        split: The truth: boxes, or words for the protocols of scene text.

    Raises:
        UsageError: There is no such protocol, or it scores another kind of truth.
    """
    check_protocol(protocol)
    words = not hasattr(split, "boxes")  # asked without importing the types: they bring numpy
    if words != (protocol in TEXT_PROTOCOLS):
        fitting, kind = (TEXT_PROTOCOLS, "words of scene text") if words else (BOX_PROTOCOLS, "boxes")
        raise UsageError(f"protocol {protocol} cannot score {kind}, which these data are: choose from {', '.join(fitting)}")
    if protocol == "icdar2013-deteval":
        from finetune.evaluation.text_deteval import DetEvalEvaluator

        return DetEvalEvaluator(split)  # type: ignore[arg-type]
    if protocol in TEXT_PROTOCOLS:
        from finetune.evaluation.text_iou import TextIouEvaluator

        return TextIouEvaluator(split, protocol)  # type: ignore[arg-type]
    if protocol == "coco":
        from finetune.evaluation.coco import CocoEvaluator

        return CocoEvaluator(split)  # type: ignore[arg-type]
    from finetune.evaluation.voc import VocEvaluator

    return VocEvaluator(split, protocol)  # type: ignore[arg-type]
