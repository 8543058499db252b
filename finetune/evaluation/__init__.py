"""Scores of detections: one evaluator per protocol, found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbones.errors import UsageError
from finetune.nearest import did_you_mean

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit
    from finetune.evaluation.base import Evaluator

PROTOCOLS = ("coco", "voc2007-11pt", "voc2012-area")


def list_protocols() -> tuple[str, ...]:
    """Names that ``create_evaluator`` takes, sorted."""
    return tuple(sorted(PROTOCOLS))


def check_protocol(protocol: str) -> None:
    """Raise UsageError, with the nearest name, where there is no such protocol."""
    if protocol not in PROTOCOLS:
        raise UsageError(f"there is no protocol {protocol!r}{did_you_mean(protocol, PROTOCOLS)} (choose from {', '.join(list_protocols())})")


def create_evaluator(protocol: str, split: BoxSplit) -> Evaluator:
    """Make the evaluator of a protocol.

    Args:
        protocol: One of ``list_protocols()``.
        split: The truth.

    Raises:
        UsageError: There is no such protocol.
    """
    check_protocol(protocol)
    if protocol == "coco":
        from finetune.evaluation.coco import CocoEvaluator

        return CocoEvaluator(split)
    from finetune.evaluation.voc import VocEvaluator

    return VocEvaluator(split, protocol)
