"""Scores of detections: one evaluator per protocol, found by name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from backbones.errors import UsageError

if TYPE_CHECKING:
    from finetune.data.types import BoxSplit
    from finetune.evaluation.coco import CocoEvaluator

PROTOCOLS = ("coco",)


def list_protocols() -> tuple[str, ...]:
    """Names that ``create_evaluator`` takes, sorted."""
    return tuple(sorted(PROTOCOLS))


def create_evaluator(protocol: str, split: BoxSplit) -> CocoEvaluator:
    """Make the evaluator of a protocol.

    Args:
        protocol: One of ``list_protocols()``.
        split: The truth.

    Raises:
        UsageError: There is no such protocol.
    """
    if protocol not in PROTOCOLS:
        nearest = difflib.get_close_matches(protocol.lower(), PROTOCOLS, n=1, cutoff=0.3)
        hint = f": did you mean {nearest[0]!r}?" if nearest else ""
        raise UsageError(f"there is no protocol {protocol!r}{hint} Choose from {', '.join(list_protocols())}")
    from finetune.evaluation.coco import CocoEvaluator

    return CocoEvaluator(split)
