"""SSD-lite from plain settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from torch import nn

from backbones.errors import UsageError
from backbones.pyramid import DEFAULT_NORM, NormLayer, create_pyramid
from backbones.types import Backbone
from detectors.ssdlite.anchors import AnchorGenerator, AnchorKind
from detectors.ssdlite.box_coder import BoxCoder
from detectors.ssdlite.decode import DecodeSettings
from detectors.ssdlite.head import SeparateHead, SharedHead, set_prior
from detectors.ssdlite.loss import BoxLossKind, ClassLossKind, SSDLiteLoss
from detectors.ssdlite.matcher import AtssMatcher, IoUMatcher, Matcher, TaskAlignedMatcher
from detectors.ssdlite.model import SSDLite

_MATCHERS: dict[str, type[IoUMatcher] | type[AtssMatcher] | type[TaskAlignedMatcher]] = {"iou": IoUMatcher, "atss": AtssMatcher, "tal": TaskAlignedMatcher}
_REFERENCE_CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
_PLAIN_CODER = BoxCoder((1.0, 1.0, 1.0, 1.0))  # for IoU losses, whose gradient the weights would only shrink
_GIOU_WEIGHT = 2.0
# a focal loss forgives easy background; plain cross-entropy does not, and from 0.01 on pictures with few objects it never recovers
_PRIORS = {"focal": 0.01, "quality-focal": 0.01, "quality-bce": 0.0005}

NormKind = Literal["default", "reference"]
_NORMS: dict[str, NormLayer] = {"default": DEFAULT_NORM, "reference": partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)}


def build_ssdlite(
    backbone: Backbone,
    *,
    num_classes: int,
    input_size: tuple[int, int] = (320, 320),
    pyramid: Mapping[str, Any] | None = None,
    head_depth: int = 2,
    shared_head: bool = True,
    anchors: AnchorKind = "square",
    matcher: str = "atss",
    class_loss: ClassLossKind = "softmax-mining",
    box_loss: BoxLossKind = "giou",
    min_negatives: int = 16,
    score_threshold: float = 0.02,
    nms_iou: float = 0.6,
    candidates_per_class: int = 300,
    max_detections: int = 300,
    norm: NormKind = "default",
) -> SSDLite:
    """Build SSD-lite over a backbone; the arguments are those of ``SSDLiteConfig`` and ``PyramidConfig``.

    Args:
        backbone: Where features come from.
        num_classes: Classes of the data, without background.
        input_size: Height and width in pixels.
        pyramid: Keyword arguments of ``create_pyramid``.
        head_depth: Blocks before the predictions of a shared head.
        shared_head: One head for all levels.
        anchors: Kind of anchors.
        matcher: "iou", "atss" or "tal".
        class_loss: Kind of class loss.
        box_loss: Kind of box loss.
        min_negatives: Least negatives mined in each image; 0 is the reference.
        score_threshold: Detections must score more.
        nms_iou: Overlap from which two boxes of a class are one.
        candidates_per_class: Boxes per class that enter the suppression.
        max_detections: Detections per image.
        norm: BatchNorm of pyramid and head: "default" (torch's eps and momentum) or "reference" (torchvision's SSD-lite: 0.001 and 0.03).

    Returns:
        The detector.

    Raises:
        UsageError: A value that is not allowed, or settings that do not go together.
    """
    if matcher not in _MATCHERS:
        raise UsageError(f"ssdlite.matcher is {matcher!r}; allowed are {', '.join(_MATCHERS)}")
    if not shared_head and head_depth:
        raise UsageError("ssdlite.head_depth is for a shared head: set it to 0, or shared_head to true")
    if norm not in _NORMS:
        raise UsageError(f"ssdlite.norm is {norm!r}; allowed are {', '.join(_NORMS)}")
    layer = _NORMS[norm]
    neck = create_pyramid(backbone, **{"input_size": input_size, "norm": layer, **(pyramid or {})})
    generator = AnchorGenerator(anchors, len(neck.specs))
    columns = num_classes + (class_loss == "softmax-mining")
    head: SeparateHead | SharedHead
    head = SharedHead(neck.specs, generator.per_cell, columns, head_depth, layer) if shared_head else SeparateHead(neck.specs, generator.per_cell, columns, layer)
    if class_loss in _PRIORS:
        set_prior(head, _PRIORS[class_loss])
    coder, weight = (_REFERENCE_CODER, 1.0) if box_loss == "smooth-l1" else (_PLAIN_CODER, _GIOU_WEIGHT)
    chosen: Matcher = _MATCHERS[matcher]()
    loss = SSDLiteLoss(class_loss, box_loss, coder, weight, min_negatives)
    return SSDLite(neck, head, generator, chosen, loss, DecodeSettings(score_threshold, nms_iou, candidates_per_class, max_detections), num_classes)
