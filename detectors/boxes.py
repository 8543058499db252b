"""Batched box arithmetic: xyxy, pixels, any leading dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detectors.types import BoxTarget


def area(boxes: Tensor) -> Tensor:
    """Areas [...] of boxes [..., 4]."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """Elementwise intersection areas of boxes [..., 4] that broadcast against each other."""
    width = torch.minimum(first[..., 2], second[..., 2]) - torch.maximum(first[..., 0], second[..., 0])
    height = torch.minimum(first[..., 3], second[..., 3]) - torch.maximum(first[..., 1], second[..., 1])
    return width.clamp_(min=0) * height.clamp_(min=0)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Elementwise intersection over union of boxes [..., 4] that broadcast; 0 where both are empty."""
    shared = intersection(first, second)
    return shared / (area(first) + area(second) - shared).clamp_(min=torch.finfo(shared.dtype).tiny)


def pairwise_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union [T, A] of boxes [T, 4] with anchors [A, 4]; 0 where both are empty.

    The same arithmetic as ``iou``, over whole rows of one coordinate instead of over every fourth number.
    """
    left, top, right, bottom = anchors.t().contiguous()
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    shared = torch.minimum(x2, right).sub_(torch.maximum(x1, left)).clamp_(min=0)
    shared *= torch.minimum(y2, bottom).sub_(torch.maximum(y1, top)).clamp_(min=0)
    union = ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top)).sub_(shared)
    return shared.div_(union.clamp_(min=torch.finfo(shared.dtype).tiny))


def generalized_iou(first: Tensor, second: Tensor) -> Tensor:
    """Elementwise GIoU in -1..1 (arXiv:1902.09630) of boxes [..., 4] that broadcast; boxes may be empty, never inverted."""
    tiny = torch.finfo(first.dtype).eps
    shared = intersection(first, second)
    union = area(first) + area(second) - shared
    width = torch.maximum(first[..., 2], second[..., 2]) - torch.minimum(first[..., 0], second[..., 0])
    height = torch.maximum(first[..., 3], second[..., 3]) - torch.minimum(first[..., 1], second[..., 1])
    hull = width * height
    return shared / (union + tiny) - (hull - union) / (hull + tiny)


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """Elementwise CIoU (arXiv:1911.08287) of predicted and true boxes [..., 4] that broadcast: IoU less distance of centres and difference of shape."""
    tiny = torch.finfo(first.dtype).eps
    overlap = iou(first, second)
    hull = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    angle = torch.atan2(second[..., 2] - second[..., 0], second[..., 3] - second[..., 1]) - torch.atan2(first[..., 2] - first[..., 0], first[..., 3] - first[..., 1])
    shape = 4 / math.pi**2 * angle.square()
    with torch.no_grad():
        weight = shape / (1 - overlap + shape + tiny)
    return overlap - apart.square().sum(-1) / (hull.square().sum(-1) + tiny) - weight * shape


@dataclass(frozen=True, eq=False)
class PaddedTargets:
    """Targets of a batch as rectangles of numbers: M is the largest count in the batch, at least 1.

    ``boxes`` [B, M, 4] f32, ``labels`` [B, M] i64, ``truth`` [B, M] bool (a box to learn), ``ignore`` [B, M] bool (a region that is
    neither truth nor background). Padding is False in both.
    """

    boxes: Tensor
    labels: Tensor
    truth: Tensor
    ignore: Tensor


def pad_targets(targets: Sequence[BoxTarget]) -> PaddedTargets:
    """Stack targets of different lengths."""
    device = targets[0].boxes.device
    counts = torch.tensor([len(t.boxes) for t in targets])
    most = max(1, int(counts.max()))
    real = (torch.arange(most) < counts[:, None]).to(device)
    boxes = torch.zeros(len(targets), most, 4, device=device)
    labels = torch.zeros(len(targets), most, dtype=torch.int64, device=device)
    ignore = torch.zeros(len(targets), most, dtype=torch.bool, device=device)
    boxes[real] = torch.cat([t.boxes for t in targets]).to(boxes.dtype)
    labels[real] = torch.cat([t.labels for t in targets])
    ignore[real] = torch.cat([t.ignore for t in targets])
    return PaddedTargets(boxes, labels, real & ~ignore, ignore)
