"""SSD-lite: a feature pyramid, a depthwise head, anchors, and the loss and decoding that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from backbones.frozen import FrozenFeatures, input_size
from backbones.pyramid import FeaturePyramid
from backbones.types import Backbone, ImageStats
from detectors.boxes import pad_targets
from detectors.ssdlite.anchors import AnchorGenerator
from detectors.ssdlite.box_coder import BoxCoder
from detectors.ssdlite.decode import DecodeSettings, decode_detections
from detectors.ssdlite.head import SeparateHead, SharedHead
from detectors.ssdlite.loss import SSDLiteLoss
from detectors.ssdlite.matcher import Matcher, Predictions
from detectors.types import BoxDetections, BoxTarget


class SSDLiteOutputs(NamedTuple):
    """Raw outputs: logits [B, A, K], deltas [B, A, 4], anchors [A, 4] f32 xyxy in input pixels, levels [A] i64.

    K is the number of classes, plus background in column 0 when the class loss is a softmax.
    """

    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    levels: Tensor


class SSDLite(nn.Module):
    """SSD-lite (arXiv:1801.04381, section 6.2) over any feature pyramid.

    Args:
        pyramid: Where the maps come from.
        head: Turns maps into logits and deltas.
        anchors: Lays anchors over the maps.
        matcher: Gives each anchor its part.
        loss: Scores a matched batch.
        decoding: Thresholds of the decoding.
        num_classes: Classes of the data, without background.
    """

    def __init__(
        self,
        pyramid: FeaturePyramid,
        head: SeparateHead | SharedHead,
        anchors: AnchorGenerator,
        matcher: Matcher,
        loss: SSDLiteLoss,
        decoding: DecodeSettings,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.head = head
        self.anchors = anchors
        self.matcher = matcher
        self.criterion = loss
        self.decoding = decoding
        self.num_classes = num_classes
        self.image_stats: ImageStats = pyramid.image_stats

    @property
    def backbone(self) -> Backbone:
        """The pretrained network below."""
        return self.pyramid.backbone

    @property
    def coder(self) -> BoxCoder:
        """How deltas and boxes belong together."""
        return self.criterion.coder

    @property
    def has_background(self) -> bool:
        """Whether column 0 of the logits is background (softmax) or every column is a class (sigmoid)."""
        return self.criterion.class_loss == "softmax-mining"

    def new_modules(self) -> Sequence[nn.Module]:
        """Pyramid layers and head."""
        return [*self.pyramid.new_modules(), self.head]

    def forward(self, images: Tensor | FrozenFeatures) -> SSDLiteOutputs:
        """Map normalised images [B, C, H, W], or what frozen stages gave for them, to raw outputs."""
        maps = self.pyramid(images)
        logits, deltas = self.head(maps)
        sizes = [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
        anchors, levels = self.anchors(sizes, input_size(images), maps[0].device)
        return SSDLiteOutputs(logits, deltas, anchors, levels)

    def scores(self, logits: Tensor) -> Tensor:
        """Class scores [B, A, C] in 0..1, without background."""
        logits = logits.float()
        return logits.softmax(-1)[..., 1:] if self.has_background else logits.sigmoid()

    def loss(self, outputs: SSDLiteOutputs, targets: Sequence[BoxTarget]) -> Mapping[str, Tensor]:
        """Losses "class" and "box" of raw outputs against one target per image."""
        padded = pad_targets(targets)
        logits, deltas = outputs.logits.float(), outputs.deltas.float()
        with torch.no_grad():
            predictions = Predictions(outputs.anchors, outputs.levels, lambda: self.coder.decode(deltas, outputs.anchors), lambda: self.scores(logits))
            matches = self.matcher(predictions, padded)
        return self.criterion(logits, deltas, outputs.anchors, matches, padded)

    def decode(self, outputs: SSDLiteOutputs, input_hw: tuple[int, int]) -> list[BoxDetections]:
        """Detections per image in input pixels, score descending."""
        boxes = self.coder.decode(outputs.deltas.float(), outputs.anchors)
        return decode_detections(boxes, self.scores(outputs.logits), input_hw, self.decoding)
