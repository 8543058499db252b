"""From scores and boxes to detections: batched up to the suppression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from detectors.types import BoxDetections


@dataclass(frozen=True)
class DecodeSettings:
    """Thresholds of the decoding; see ``SSDLiteConfig`` for each."""

    score_threshold: float = 0.001
    nms_iou: float = 0.55
    candidates_per_class: int = 300
    max_detections: int = 300


_FIRST_LOOK = 4  # candidates per wanted detection that are looked at first; suppression rarely leaves fewer than a quarter
_ONE_PASS = 2000  # boxes; time grows with their square


def decode_detections(boxes: Tensor, scores: Tensor, input_hw: tuple[int, int], settings: DecodeSettings) -> list[BoxDetections]:
    """Clip, take the best of each class, suppress overlaps within a class.

    Whether a box is kept depends only on boxes with higher scores, so that the highest-scoring ones are enough until ``max_detections`` are kept;
    where suppression leaves fewer, more are looked at.

    Args:
        boxes: [B, A, 4] xyxy in input pixels.
        scores: [B, A, C] in 0..1, without background.
        input_hw: Height and width that boxes are clipped to.
        settings: Thresholds; a score must be greater than the threshold, not equal.

    Returns:
        One BoxDetections per image in input pixels, score descending.
    """
    height, width = input_hw
    boxes = boxes.float().clamp(min=0)
    boxes = torch.minimum(boxes, boxes.new_tensor([width, height, width, height]))
    scores = scores.float()
    highest = scores.amax(2)
    lowest = torch.nextafter(scores.new_tensor(settings.score_threshold), scores.new_tensor(torch.inf))
    found: list[BoxDetections | None] = [None] * len(boxes)
    looked_at, missing = _FIRST_LOOK * settings.max_detections, list(range(len(boxes)))
    while missing:
        rows = slice(None) if len(missing) == len(boxes) else torch.tensor(missing, device=boxes.device)
        floor = _floor(highest[rows], looked_at, lowest)
        for image, candidates, is_complete in zip(missing, _candidates(boxes[rows], scores[rows], floor), (floor == lowest).tolist(), strict=True):
            kept = _suppress(candidates, settings)
            found[image] = kept if is_complete or len(kept.scores) == settings.max_detections else None
        missing = [image for image in missing if found[image] is None]
        looked_at *= _FIRST_LOOK
    return [detections for detections in found if detections is not None]


def _floor(highest: Tensor, count: int, lowest: Tensor) -> Tensor:
    """The score [B] that ``count`` anchors reach with their best class [B, A]; ``lowest`` where fewer do."""
    if count >= highest.shape[1]:
        return lowest.expand(len(highest))
    return highest.topk(count, dim=1).values[:, -1].maximum(lowest)


def _candidates(boxes: Tensor, scores: Tensor, floor: Tensor) -> list[BoxDetections]:
    """Boxes of each image whose score is at least ``floor`` [B], score descending."""
    image, anchor, label = (scores >= floor[:, None, None]).nonzero(as_tuple=True)
    values = scores[image, anchor, label]
    counts = torch.bincount(image, minlength=len(scores)).tolist()
    parts = zip(values.split(counts), anchor.split(counts), label.split(counts), strict=True)
    listed = []
    for own, (value, row, column) in zip(boxes, parts, strict=True):
        value, order = value.sort(descending=True, stable=True)
        listed.append(BoxDetections(own[row[order]], value, column[order]))
    return listed


def _suppress(candidates: BoxDetections, settings: DecodeSettings) -> BoxDetections:
    """Non-maximum suppression within each class, over its best candidates; the best of all classes."""
    boxes, scores, labels = candidates.boxes, candidates.scores, candidates.labels
    if len(labels) and int(torch.bincount(labels).max()) > settings.candidates_per_class:
        within = _rank_in_class(labels) < settings.candidates_per_class
        boxes, scores, labels = boxes[within], scores[within], labels[within]
    first = _FIRST_LOOK * settings.max_detections
    while True:
        kept = _nms_by_class(boxes[:first], scores[:first], labels[:first], settings.nms_iou)[: settings.max_detections]
        if len(kept) == settings.max_detections or first >= len(scores):
            return BoxDetections(boxes[kept], scores[kept], labels[kept])
        first *= _FIRST_LOOK


def _nms_by_class(boxes: Tensor, scores: Tensor, labels: Tensor, overlap: float) -> Tensor:
    """Rows that are kept, score descending. Few boxes take one pass with the classes laid side by side, many one pass per class.

    Side by side in double precision: in single precision the shift would round boxes by thousandths of a pixel and change what is kept.
    """
    if not 0 < len(boxes) <= _ONE_PASS:
        return batched_nms(boxes, scores, labels, overlap)
    apart = boxes.double() + (labels * (boxes.max().ceil().double() + 1))[:, None]
    return nms(apart, scores.double(), overlap)


def _rank_in_class(labels: Tensor) -> Tensor:
    """How many entries of the same label stand before each."""
    order = labels.argsort(stable=True)
    grouped = labels[order]
    first = torch.searchsorted(grouped, grouped)
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels), device=labels.device) - first
    return rank
