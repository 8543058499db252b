"""Which anchor learns which box: fixed IoU, ATSS or task-aligned, each over the whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from detectors.boxes import PaddedTargets, area, intersection, iou

BACKGROUND = -1
NEITHER = -2


@dataclass(frozen=True, eq=False)
class Matches:
    """The part that each anchor plays.

    ``index`` [B, A] i64: row of its target, -1 for background, -2 for neither (inside an ignore region).
    ``quality`` [B, A] f32 in 0..1: the score a matched anchor should give; 0 elsewhere.
    """

    index: Tensor
    quality: Tensor


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the network says now, without gradient: anchors [A, 4] px, their level [A], boxes [B, A, 4] px, scores [B, A, C]."""

    anchors: Tensor
    levels: Tensor
    boxes: Tensor
    scores: Tensor


class Matcher(Protocol):
    """Assigns targets to anchors."""

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        ...


def _with_ignored(index: Tensor, anchors: Tensor, targets: PaddedTargets) -> Tensor:
    """Mark unmatched anchors that lie mostly inside an ignore region as neither."""
    if not bool(targets.ignore.any()):
        return index
    inside = intersection(anchors[None, None], targets.boxes[:, :, None]) > 0.5 * area(anchors)
    ignored = (inside & targets.ignore[:, :, None]).any(1)
    return torch.where((index == BACKGROUND) & ignored, NEITHER, index)


@dataclass(frozen=True)
class IoUMatcher:
    """SSD: an anchor takes the box it overlaps most, from ``threshold`` on, and every box takes its best anchor (arXiv:1512.02325).

    Where two boxes want one anchor, the later box has it, as in torchvision.
    """

    threshold: float = 0.5

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        overlap = iou(targets.boxes[:, :, None], predictions.anchors[None, None])  # [B, M, A]
        overlap = overlap.masked_fill(~targets.truth[:, :, None], -1.0)
        best, index = overlap.max(1)
        index = torch.where(best >= self.threshold, index, BACKGROUND)
        rows = torch.arange(targets.boxes.shape[1], device=index.device).expand(targets.boxes.shape[:2])
        forced = torch.where(targets.truth, rows, BACKGROUND)
        claimed = torch.full_like(index, BACKGROUND).scatter_reduce(1, overlap.argmax(2), forced, "amax")
        index = torch.where(claimed >= 0, claimed, index)
        matched = index >= 0
        return Matches(_with_ignored(index, predictions.anchors, targets), matched.float())


def _centre_distance(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Distances [B, M, A] between centres of boxes [B, M, 4] and anchors [A, 4]."""
    box_centres, anchor_centres = (boxes[..., :2] + boxes[..., 2:]) / 2, (anchors[:, :2] + anchors[:, 2:]) / 2
    # not by matrix products, which lose the small distances that decide here
    return torch.cdist(box_centres, anchor_centres.expand(len(boxes), -1, 2), compute_mode="donot_use_mm_for_euclid_dist")


def _centre_inside(anchors: Tensor, boxes: Tensor) -> Tensor:
    """[B, M, A] whether an anchor's centre lies strictly inside a box."""
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    return torch.minimum((centre - boxes[:, :, None, :2]).amin(-1), (boxes[:, :, None, 2:] - centre).amin(-1)) > 0


def _strongest(chosen: Tensor, strength: Tensor) -> Tensor:
    """Index [B, A]: of the boxes that chose an anchor, the one with the greatest strength; -1 where none did."""
    best, index = strength.masked_fill(~chosen, -1.0).max(1)
    return torch.where(best >= 0, index, BACKGROUND)


@dataclass(frozen=True)
class AtssMatcher:
    """ATSS (arXiv:1912.02424): per level the ``nearest`` anchors; of those, the ones above mean + deviation of their IoU and with the centre inside."""

    nearest: int = 9

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        anchors = predictions.anchors
        overlap = iou(targets.boxes[:, :, None], anchors[None, None])
        distance = _centre_distance(anchors, targets.boxes)
        near = torch.zeros_like(overlap, dtype=torch.bool)
        for level in range(int(predictions.levels.max()) + 1):
            here = (predictions.levels == level).nonzero().squeeze(1)
            closest = distance[:, :, here].topk(min(self.nearest, len(here)), dim=2, largest=False).indices
            near.scatter_(2, here[closest], True)
        candidates = overlap.masked_fill(~near, torch.nan)
        mean = candidates.nanmean(2, keepdim=True)
        spread = ((candidates - mean) ** 2).nansum(2, keepdim=True).div((near.sum(2, keepdim=True) - 1).clamp(min=1)).sqrt()
        chosen = near & (overlap >= mean + spread) & _centre_inside(anchors, targets.boxes) & targets.truth[:, :, None]
        index = _strongest(chosen, overlap)
        reached = iou(predictions.boxes, _rows(targets.boxes, index))
        return Matches(_with_ignored(index, anchors, targets), reached * (index >= 0))


@dataclass(frozen=True)
class TaskAlignedMatcher:
    """Task-aligned assignment (TOOD, arXiv:2108.07755): the ``top`` anchors by score ** alpha * IoU ** beta of the prediction itself.

    Candidates have their centre inside the box, or are the one nearest to its centre, so that a box smaller than a cell is learnt too.
    """

    top: int = 13
    alpha: float = 0.5
    beta: float = 6.0

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        anchors, boxes = predictions.anchors, targets.boxes
        count = len(anchors)
        nearest = torch.zeros(*boxes.shape[:2], count, dtype=torch.bool, device=boxes.device)
        nearest.scatter_(2, _centre_distance(anchors, boxes).argmin(2, keepdim=True), True)
        candidates = (_centre_inside(anchors, boxes) | nearest) & targets.truth[:, :, None]
        overlap = iou(boxes[:, :, None], predictions.boxes[:, None]) * candidates  # [B, M, A]
        scores = predictions.scores.transpose(1, 2).gather(1, targets.labels[:, :, None].expand(-1, -1, count))
        alignment = (scores.clamp(min=1e-6) ** self.alpha * (overlap + 1e-6) ** self.beta) * candidates
        best = alignment.topk(min(self.top, count), dim=2)
        chosen = torch.zeros_like(candidates).scatter_(2, best.indices, best.values > 0)
        index = _strongest(chosen, overlap)
        mine = (torch.arange(boxes.shape[1], device=index.device)[:, None] == index[:, None]) & chosen
        alignment, overlap = alignment * mine, overlap * mine
        scaled = alignment / alignment.amax(2, keepdim=True).clamp(min=torch.finfo(alignment.dtype).tiny) * overlap.amax(2, keepdim=True)
        return Matches(_with_ignored(index, anchors, targets), scaled.amax(1))


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Rows of values [B, M, n] at index [B, A]; negative entries give row 0."""
    return values.gather(1, index.clamp(min=0)[..., None].expand(-1, -1, values.shape[-1]))
