"""From pictures to detections, and the decoding of raw outputs alone, at COCO-like scores; detections are equal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList

from bench.scenes import SIZE, coco_like_detector, coco_like_logits, coco_like_targets, our_twin, set_threads
from detectors.ssdlite.model import SSDLiteOutputs
from finetune.allocator import keep_freed_memory
from tests.detectors.ssdlite.reference import random_images

_PIXEL = 0.25  # detections are compared in quarters of a pixel, scores in thousandths


class PredictionSide:
    """Detections of a batch; pictures have the size of the input, as resizing is timed in the data path."""

    def __init__(self, side: str, settings: Mapping[str, Any]) -> None:
        self.is_ours, self.only_decoding, count = side == "ours", settings["only_decoding"], settings["batch"]
        self.theirs = coco_like_detector()
        self.ours = our_twin(self.theirs)
        if settings["channels_last"]:
            self.theirs.to(memory_format=torch.channels_last)
            self.ours.to(memory_format=torch.channels_last)
        self.images = (random_images(count, seed=3) * 60 + 128).clamp(0, 255).to(torch.uint8)
        with torch.inference_mode():
            empty = self.ours(torch.zeros(1, 3, *SIZE))
        self.anchors, self.levels = empty.anchors, empty.levels
        self.logits = coco_like_logits(coco_like_targets(count), self.anchors)
        self.deltas = torch.randn(count, len(self.anchors), 4, generator=torch.Generator().manual_seed(1))
        self.format = torch.channels_last if settings["channels_last"] else torch.contiguous_format

    def _found(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes, scores and labels from 0 of each picture."""
        if self.is_ours:
            outputs = SSDLiteOutputs(self.logits, self.deltas, self.anchors, self.levels)
            if not self.only_decoding:
                images = ((self.images.float() / 255 - 0.5) / 0.5).contiguous(memory_format=self.format)
                outputs = self.ours(images)
            return [(found.boxes, found.scores, found.labels) for found in self.ours.decode(outputs, SIZE)]
        if self.only_decoding:
            raw = {"cls_logits": self.logits, "bbox_regression": self.deltas}
            found = self.theirs.postprocess_detections(raw, [self.anchors] * len(self.logits), ImageList(self.images, [SIZE] * len(self.images)).image_sizes)
        else:
            found = self.theirs(list((self.images.float() / 255).contiguous(memory_format=self.format)))
        return [(one["boxes"], one["scores"], one["labels"] - 1) for one in found]

    @torch.inference_mode()
    def time(self) -> float:
        """Seconds of one batch."""
        start = time.perf_counter()
        self._found()
        return time.perf_counter() - start

    @torch.inference_mode()
    def result(self) -> list[float]:
        """Per picture: how many, the sum of their scores, and of the hundred best boxes and labels those that do not hang on a tie in the last bit."""
        numbers: list[float] = []
        for boxes, scores, labels in self._found():
            order = torch.argsort(scores[:100].mul(1e4).round() * 1000 + labels[:100], descending=True, stable=True)
            numbers += [float(len(boxes)), float(scores.sum()), *scores[:100].tolist(), *(boxes[:100][order].sum(1)).tolist()]
        return numbers


def build(side: str, settings: Mapping[str, Any]) -> PredictionSide:
    """A side: "ours" or "theirs"."""
    if side == "ours":
        keep_freed_memory()
    set_threads(settings["threads"])
    return PredictionSide(side, settings)
