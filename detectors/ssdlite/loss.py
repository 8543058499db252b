"""Losses of SSD-lite over a matched batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from detectors.boxes import PaddedTargets, complete_iou, generalized_iou
from detectors.ranks import reduced_count
from detectors.ssdlite.box_coder import BoxCoder
from detectors.ssdlite.matcher import NEITHER, Matches
from detectors.ssdlite.mining import softmax_mining_loss

ClassLossKind = Literal["softmax-mining", "focal", "quality-focal", "quality-bce"]
BoxLossKind = Literal["smooth-l1", "giou", "ciou"]


def sigmoid_focal_loss(logits: Tensor, matches: Matches, labels: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Focal loss over C independent classes (arXiv:1708.02002), summed; ignored anchors count for neither side.

    Args:
        logits: [B, A, C].
        matches: The part of each anchor.
        labels: [B, A] i64 class of the matched box.
        alpha: Weight of positives.
        gamma: Focus on hard examples.
    """
    target = F.one_hot(labels, logits.shape[-1]).to(logits.dtype) * (matches.index >= 0)[..., None]
    probability = logits.sigmoid()
    wrong = probability + target - 2 * probability * target
    weight = alpha * target + (1 - alpha) * (1 - target)
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight * wrong**gamma
    return (loss * (matches.index != NEITHER)[..., None]).sum()


def quality_focal_loss(logits: Tensor, matches: Matches, labels: Tensor, beta: float = 2.0) -> Tensor:
    """Quality focal loss (arXiv:2006.04388): the score learns the quality of the box; summed, ignored anchors left out.

    Args:
        logits: [B, A, C].
        matches: The part of each anchor, with its quality.
        labels: [B, A] i64 class of the matched box.
        beta: Focus on scores far from their target; 0 is plain binary cross-entropy with soft targets, which learns much faster from few images.
    """
    if beta == 0:  # without the target in full: softplus for every score, less quality * logit of the matched ones
        easy = (F.softplus(logits).sum(-1) * (matches.index != NEITHER)).sum()
        return easy - (logits.gather(2, labels[..., None]).squeeze(2) * matches.quality).sum()
    target = F.one_hot(labels, logits.shape[-1]).to(logits.dtype) * matches.quality[..., None]
    scale = (logits.detach().sigmoid() - target).abs() ** beta
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * scale
    return (loss * (matches.index != NEITHER)[..., None]).sum()


@dataclass(frozen=True)
class SSDLiteLoss:
    """Class and box loss of a matched batch, each divided by the number of positives over the batch.

    With "quality-focal" and "quality-bce" both are weighted by the quality of the match and divided by its sum.
    """

    class_loss: ClassLossKind
    box_loss: BoxLossKind
    coder: BoxCoder
    box_weight: float = 1.0
    min_negatives: int = 0

    def __call__(self, logits: Tensor, deltas: Tensor, anchors: Tensor, matches: Matches, targets: PaddedTargets) -> dict[str, Tensor]:
        """Named scalar losses: "class" and "box"."""
        positive = matches.index >= 0
        row = matches.index.clamp(min=0)
        labels = targets.labels.gather(1, row)
        weight = matches.quality[positive] if self.class_loss.startswith("quality") else positive[positive].float()
        count = reduced_count(weight.sum())
        if self.class_loss == "softmax-mining":
            classes = softmax_mining_loss(logits, matches, labels, self.min_negatives)
        elif self.class_loss == "focal":
            classes = sigmoid_focal_loss(logits, matches, labels)
        else:
            classes = quality_focal_loss(logits, matches, labels, beta=0.0 if self.class_loss == "quality-bce" else 2.0)
        image, anchor = positive.nonzero(as_tuple=True)
        truth = targets.boxes[image, row[image, anchor]]
        mine = anchors[anchor]
        if self.box_loss == "smooth-l1":
            per_box = F.smooth_l1_loss(deltas[image, anchor], self.coder.encode(truth, mine), reduction="none").sum(-1)
        else:
            overlap = complete_iou if self.box_loss == "ciou" else generalized_iou
            per_box = 1 - overlap(self.coder.decode(deltas[image, anchor], mine), truth)
        return {"class": classes / count, "box": self.box_weight * (per_box * weight).sum() / count}
