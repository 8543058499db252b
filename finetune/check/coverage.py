"""Boxes against anchors: which boxes the configured anchors and matcher can learn at this input size. Closed formulas, no search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.boxes import iou
from detectors.ssdlite.matcher import AtssMatcher, IoUMatcher
from finetune.check.reach import Grid, best_overlap, centres_inside, nearest_centre
from finetune.data.box_checks import input_scales
from finetune.data.types import BoxSplit

_BOXES_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class AnchorPlan:
    """Anchors of a detector at one input size, and the rule that matches them.

    Args:
        rule: "iou", "atss" or "tal".
        threshold: Of "iou"; 0 for the others.
        grids: One per level.
        anchors: [A, 4] xyxy in input pixels, in the order of the detector.
    """

    rule: str
    threshold: float
    grids: tuple[Grid, ...]
    anchors: torch.Tensor

    @property
    def shapes(self) -> list[tuple[float, float, int]]:
        """Width and height in input pixels and level of every anchor shape."""
        return [(float(width), float(height), level) for level, grid in enumerate(self.grids) for width, height in grid.shapes]


@dataclass(frozen=True, eq=False)
class Coverage:
    """What the anchors make of the boxes of one split; rows of the split's arrays.

    Args:
        split: Its name.
        boxes: Boxes that count.
        low: Rows whose best overlap is below the threshold ("iou" only): each learns from its one best anchor alone.
        between: Rows with no anchor centre inside: each learns from the nearest anchor alone.
        shared: Rows whose only anchor is another box's only anchor too.
    """

    split: str
    boxes: int
    low: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    between: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    shared: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))


@torch.no_grad()
def plan_of(detector: Any, channels: int, input_hw: tuple[int, int]) -> AnchorPlan:
    """Lay the anchors of an SSD-lite over the maps that its pyramid gives for an empty picture."""
    was_training = [module.training for module in detector.modules()]
    device = next(detector.parameters()).device
    maps = detector.eval().pyramid(torch.zeros(1, channels, *input_hw, device=device))
    for module, training in zip(detector.modules(), was_training, strict=True):
        module.training = training
    sizes = [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
    anchors, levels = detector.anchors(sizes, input_hw, torch.device("cpu"))
    grids = [Grid.of(anchors[levels == level].double().numpy(), size) for level, size in enumerate(sizes)]
    matcher = detector.matcher
    rule = "iou" if isinstance(matcher, IoUMatcher) else "atss" if isinstance(matcher, AtssMatcher) else "tal"
    return AnchorPlan(rule, matcher.threshold if isinstance(matcher, IoUMatcher) else 0.0, tuple(grids), anchors)


def cover(split: BoxSplit, plan: AnchorPlan, input_hw: tuple[int, int], resize: str) -> Coverage:
    """Say which boxes the anchors can learn; crowd and difficult boxes are left out, augmentation is not thought of.

    Args:
        split: Boxes in picture pixels.
        plan: Anchors and matcher.
        input_hw: Height and width of the network input.
        resize: "stretch" or "letterbox".
    """
    rows = np.flatnonzero(~split.ignore)
    image_of = np.repeat(np.arange(len(split)), np.diff(split.offsets))[rows]
    boxes = _to_input(split, rows, image_of, input_hw, resize)
    if plan.rule == "iou":
        low = np.flatnonzero(best_overlap(boxes, plan.grids) < plan.threshold)
        return Coverage(split.name, len(rows), low=rows[low], shared=rows[low[_repeated(image_of[low], _best_anchor(boxes[low], plan.anchors))]])
    inside = sum((centres_inside(boxes, grid) for grid in plan.grids), np.zeros(len(boxes), np.int64))
    alone = np.flatnonzero(inside == 0)
    return Coverage(split.name, len(rows), between=rows[alone], shared=rows[alone[_repeated(image_of[alone], nearest_centre(boxes[alone], plan.grids))]])


def cover_line(covers: Sequence[Coverage], plan: AnchorPlan) -> str:
    """One line about all splits, or "" where every box can be learnt."""
    total = sum(cover_.boxes for cover_ in covers)
    low, between, shared = (sum(len(getattr(cover_, name)) for cover_ in covers) for name in ("low", "between", "shared"))
    if not low + between + shared:
        return ""
    parts = [f"{low:,} of {total:,} boxes ({low / total:.1%}) overlap no anchor by {plan.threshold:g} and learn from their best one alone"] * bool(low)
    parts += [f"{between:,} of {total:,} boxes ({between / total:.1%}) are smaller than the finest cells and learn from the nearest anchor alone"] * bool(between)
    parts += [f"{shared:,} share{'s' * (shared == 1)} that anchor with another box and may not be learnt"] * bool(shared)
    return "anchors: " + "; ".join(parts)


def _to_input(split: BoxSplit, rows: NDArray[np.intp], image_of: NDArray[np.intp], input_hw: tuple[int, int], resize: str) -> NDArray[np.float64]:
    """[M, 4] boxes in input pixels."""
    scales = input_scales(split.original_hw, input_hw, resize)
    border = (np.array(input_hw, np.float64)[::-1] - split.original_hw[:, ::-1] * scales) / 2
    return split.boxes[rows] * np.tile(scales[image_of], 2) + np.tile(border[image_of], 2)


def _best_anchor(boxes: NDArray[np.float64], anchors: torch.Tensor) -> NDArray[np.int64]:
    """[M] the anchor that each box overlaps most, of several the first, as the matcher has it."""
    parts = [iou(part[:, None], anchors[None]).argmax(1) for part in torch.from_numpy(boxes).float().split(_BOXES_AT_ONCE)]
    return torch.cat(parts).numpy() if parts else np.zeros(0, np.int64)


def _repeated(image_of: NDArray[np.intp], anchor: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[M] whether an earlier box of the same image has the same anchor."""
    keys = image_of.astype(np.int64) * (int(anchor.max(initial=0)) + 1) + anchor
    repeated = np.ones(len(keys), np.bool_)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated
