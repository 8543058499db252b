"""What the sides work on: torchvision's SSD-lite with COCO-like scores, ours with the same weights, and targets as crowded as COCO's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from detectors.ssdlite.model import SSDLite
from detectors.types import BoxTarget
from tests.detectors.ssdlite.reference import SIZE, build_ours, build_theirs, random_target

CLASSES = 90
BOXES_PER_IMAGE = 7.3  # COCO train2017
BACKGROUND_LEAD = 11.0  # logits; then about one score in a hundred passes 0.001, some thousand in a picture, as in a detector that has learnt
_SPREAD = 4.0  # of the random class layers, so that some scores are high


def set_threads(threads: int) -> None:
    """Threads of torch, where a number is given."""
    if threads:
        torch.set_num_threads(threads)


def coco_like_detector(seed: int = 0) -> Any:
    """Torchvision's detector, random but for its class layers: background leads everywhere, a few anchors rise above it."""
    model = build_theirs(seed)
    for block in model.head.classification_head.module_list:
        with torch.no_grad():
            block[1].weight *= _SPREAD
            block[1].bias.view(-1, CLASSES + 1)[:, 0] += BACKGROUND_LEAD
    return model


def our_twin(theirs: Any) -> SSDLite:
    """Our detector with the same weights."""
    return build_ours(theirs)


def coco_like_targets(count: int, seed: int = 0) -> list[BoxTarget]:
    """Targets with numbers of boxes spread as widely as in COCO, and boxes of all sizes."""
    generator = torch.Generator().manual_seed(seed)
    shares = -torch.rand(count, generator=generator).log()
    return [random_target(max(1, round(float(share) * BOXES_PER_IMAGE)), CLASSES, generator=generator) for share in shares]


def coco_like_logits(targets: list[BoxTarget], anchors: Tensor, seed: int = 0) -> Tensor:
    """Logits [B, A, 1 + C] of a detector that has learnt: background leads, near objects their class does."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(targets), len(anchors), CLASSES + 1, generator=generator)
    logits[..., 0] += BACKGROUND_LEAD
    for image, target in zip(logits, targets, strict=True):
        pairs = box_iou(anchors, target.boxes)
        pairs[pairs.argmax(0), torch.arange(len(target.boxes))] = 0.9  # the best anchor has learnt its box
        overlap, row = pairs.max(1)
        near = overlap > 0.3
        image[near, 0] -= BACKGROUND_LEAD * overlap[near]
        image[near, target.labels[row[near]] + 1] += BACKGROUND_LEAD * overlap[near]
    return logits


__all__ = ["CLASSES", "SIZE", "coco_like_detector", "coco_like_logits", "coco_like_targets", "our_twin", "set_threads"]
