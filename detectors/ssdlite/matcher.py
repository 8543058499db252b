"""Which anchor learns which box: fixed IoU, ATSS or task-aligned, each over the whole batch at once.

The boxes of a batch are one list without padding, T of them; what an anchor and a box have to do with each other is worked out for
the few pairs that can match, P of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from detectors.boxes import PaddedTargets, area, intersection, iou, pairwise_iou

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


class Predictions:
    """What the network says now, without gradient.

    Args:
        anchors: [A, 4] px.
        levels: [A] i64, the level of each.
        boxes: [B, A, 4] px, or a function that gives them; it is called when a matcher asks.
        scores: [B, A, C], or such a function.
    """

    def __init__(self, anchors: Tensor, levels: Tensor, boxes: Tensor | Callable[[], Tensor], scores: Tensor | Callable[[], Tensor]) -> None:
        self.anchors = anchors
        self.levels = levels
        self._boxes = boxes
        self._scores = scores

    @cached_property
    def boxes(self) -> Tensor:
        """Predicted boxes [B, A, 4] px."""
        return self._boxes if isinstance(self._boxes, Tensor) else self._boxes()

    @cached_property
    def scores(self) -> Tensor:
        """Predicted scores [B, A, C] in 0..1."""
        return self._scores if isinstance(self._scores, Tensor) else self._scores()


class Matcher(Protocol):
    """Assigns targets to anchors."""

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        ...


class _Truth(NamedTuple):
    """The boxes to learn: image [T] and row [T] of each in the padded targets, boxes [T, 4] px, labels [T]."""

    image: Tensor
    row: Tensor
    boxes: Tensor
    labels: Tensor


def _truth(targets: PaddedTargets) -> _Truth:
    image, row = targets.truth.nonzero(as_tuple=True)
    return _Truth(image, row, targets.boxes[image, row], targets.labels[image, row])


def _claim(truth: _Truth, box: Tensor, anchor: Tensor, strength: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Settle which box has an anchor: the strongest claim, of equals the box that stands first.

    Args:
        truth: The boxes.
        box: [P] entry of ``truth`` in each claim.
        anchor: [P] the anchor it claims.
        strength: [P] not negative.
        shape: B and A.

    Returns:
        Index [B, A] as in Matches, and which claims [P] won.
    """
    batch, anchors = shape
    place, row = truth.image[box] * anchors + anchor, truth.row[box]
    best = strength.new_full((batch * anchors,), -1.0).scatter_reduce(0, place, strength, "amax")
    strongest = strength == best[place]
    last = torch.iinfo(row.dtype).max
    index = row.new_full((batch * anchors,), last).scatter_reduce(0, place[strongest], row[strongest], "amin")
    return torch.where(index == last, BACKGROUND, index).view(shape), strongest & (row == index[place])


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
        anchors, truth = predictions.anchors, _truth(targets)
        shape = (len(targets.boxes), len(anchors))
        overlap = pairwise_iou(truth.boxes, anchors)  # [T, A]
        box, anchor = (overlap >= self.threshold).nonzero(as_tuple=True)
        index, _ = _claim(truth, box, anchor, overlap[box, anchor], shape)
        favourite = truth.image * len(anchors) + overlap.argmax(1)
        forced = torch.full_like(index, BACKGROUND).view(-1).scatter_reduce(0, favourite, truth.row, "amax").view(shape)
        index = torch.where(forced >= 0, forced, index)
        return Matches(_with_ignored(index, anchors, targets), (index >= 0).float())


class _Centres:
    """Where the centres of anchors [A, 4] lie relative to boxes [T, 4]."""

    def __init__(self, anchors: Tensor, boxes: Tensor) -> None:
        self._x, self._y = ((anchors[:, :2] + anchors[:, 2:]) / 2).t().contiguous()
        self._boxes = boxes[:, :, None]

    def inside(self) -> Tensor:
        """[T, A] whether strictly inside the box."""
        left, top, right, bottom = self._boxes.unbind(1)
        return (self._x > left) & (self._x < right) & (self._y > top) & (self._y < bottom)

    def distance(self) -> Tensor:
        """[T, A] squared distance from the centre of the box, not by a matrix product, which loses the small ones that decide."""
        x, y = ((self._boxes[:, :2] + self._boxes[:, 2:]) / 2).unbind(1)
        return (self._x - x).square_().add_((self._y - y).square_())


@dataclass(frozen=True)
class AtssMatcher:
    """ATSS (arXiv:1912.02424): per level the ``nearest`` anchors; of those, the ones above mean + deviation of their IoU and with the centre inside.

    A box between the centres of all anchors, which the paper leaves unlearnt, takes the one nearest to its own.
    """

    nearest: int = 9

    def __call__(self, predictions: Predictions, targets: PaddedTargets) -> Matches:
        """Match a batch."""
        anchors, truth = predictions.anchors, _truth(targets)
        centres = _Centres(anchors, truth.boxes)
        distance = centres.distance()
        near = []
        for level in range(int(predictions.levels.max()) + 1):
            here = (predictions.levels == level).nonzero().squeeze(1)
            near.append(here[distance[:, here].topk(min(self.nearest, len(here)), dim=1, largest=False).indices])
        candidates = torch.cat(near, 1)  # [T, K]
        overlap = pairwise_iou(truth.boxes, anchors).gather(1, candidates)
        mean = overlap.mean(1, keepdim=True)
        spread = ((overlap - mean) ** 2).sum(1, keepdim=True).div(max(1, candidates.shape[1] - 1)).sqrt()
        inside = centres.inside().gather(1, candidates)
        between = ~inside.any(1, keepdim=True) & (candidates == distance.argmin(1, keepdim=True))
        box, place = (((overlap >= mean + spread) & inside) | between).nonzero(as_tuple=True)
        index, _ = _claim(truth, box, candidates[box, place], overlap[box, place], (len(targets.boxes), len(anchors)))
        quality = torch.zeros_like(index, dtype=overlap.dtype)
        image, anchor = (index >= 0).nonzero(as_tuple=True)
        quality[image, anchor] = iou(predictions.boxes[image, anchor], targets.boxes[image, index[image, anchor]])
        return Matches(_with_ignored(index, anchors, targets), quality)


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
        anchors, truth = predictions.anchors, _truth(targets)
        centres = _Centres(anchors, truth.boxes)
        candidates = centres.inside().scatter_(1, centres.distance().argmin(1, keepdim=True), True)
        box, anchor = candidates.nonzero(as_tuple=True)
        alignment = torch.zeros(candidates.shape, device=box.device)
        alignment[box, anchor] = self._alignment(predictions, truth, box, anchor)[0]
        best = alignment.topk(min(self.top, len(anchors)), dim=1)
        box, place = (best.values > 0).nonzero(as_tuple=True)
        anchor = best.indices[box, place]
        strength, overlap = self._alignment(predictions, truth, box, anchor)
        index, won = _claim(truth, box, anchor, overlap, (len(targets.boxes), len(anchors)))
        box, anchor, strength, overlap = box[won], anchor[won], strength[won], overlap[won]
        greatest, reach = (torch.zeros(len(truth.boxes), device=box.device).scatter_reduce(0, box, values, "amax") for values in (strength, overlap))
        quality = torch.zeros(index.shape, device=index.device)
        quality[truth.image[box], anchor] = strength / greatest[box].clamp(min=torch.finfo(strength.dtype).tiny) * reach[box]
        return Matches(_with_ignored(index, anchors, targets), quality)

    def _alignment(self, predictions: Predictions, truth: _Truth, box: Tensor, anchor: Tensor) -> tuple[Tensor, Tensor]:
        """Alignment and IoU [P] of pairs of a box and an anchor."""
        image = truth.image[box]
        overlap = iou(truth.boxes[box], predictions.boxes[image, anchor])
        scores = predictions.scores[image, anchor, truth.labels[box]]
        return scores.clamp(min=1e-6) ** self.alpha * (overlap + 1e-6) ** self.beta, overlap
