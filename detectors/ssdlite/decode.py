"""From scores and boxes to detections: batched up to the suppression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from detectors.types import BoxDetections


@dataclass(frozen=True)
class DecodeSettings:
    """Thresholds of the decoding; see ``SSDLiteConfig`` for each."""

    score_threshold: float = 0.001
    nms_iou: float = 0.55
    candidates_per_class: int = 300
    max_detections: int = 300


def decode_detections(boxes: Tensor, scores: Tensor, input_hw: tuple[int, int], settings: DecodeSettings) -> list[BoxDetections]:
    """Clip, take the best of each class, suppress overlaps within a class.

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
    by_class = scores.float().transpose(1, 2)  # [B, C, A]
    best, index = by_class.topk(min(settings.candidates_per_class, by_class.shape[2]), dim=2)
    keep = best > settings.score_threshold
    labels = torch.arange(by_class.shape[1], device=boxes.device)[:, None].expand(best.shape[1:])
    found = []
    for image, kept in enumerate(keep):
        image_boxes, image_scores, image_labels = boxes[image, index[image][kept]], best[image][kept], labels[kept]
        chosen = batched_nms(image_boxes, image_scores, image_labels, settings.nms_iou)[: settings.max_detections]
        found.append(BoxDetections(image_boxes[chosen], image_scores[chosen], image_labels[chosen]))
    return found
