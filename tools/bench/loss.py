"""Matching and loss of a batch, with gradients of the raw outputs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bench.scenes import SIZE, coco_like_detector, coco_like_logits, coco_like_targets, our_twin, set_threads
from detectors.ssdlite.model import SSDLiteOutputs
from finetune.allocator import keep_freed_memory
from tests.detectors.ssdlite.reference import theirs_losses_of


class LossSide:
    """Losses and gradients from the same logits, deltas, anchors and targets."""

    def __init__(self, side: str, settings: Mapping[str, Any]) -> None:
        self.theirs = coco_like_detector()
        self.ours = our_twin(self.theirs)
        self.is_ours = side == "ours"
        self.targets = coco_like_targets(settings["batch"])
        with torch.no_grad():
            empty = self.ours(torch.zeros(1, 3, *SIZE))
        self.anchors, self.levels = empty.anchors, empty.levels
        self.logits = coco_like_logits(self.targets, self.anchors)
        self.deltas = torch.randn(*self.logits.shape[:2], 4, generator=torch.Generator().manual_seed(1))

    def _losses(self, logits: Tensor, deltas: Tensor) -> dict[str, Tensor]:
        if self.is_ours:
            return dict(self.ours.loss(SSDLiteOutputs(logits, deltas, self.anchors, self.levels), self.targets))
        return theirs_losses_of(self.theirs, logits, deltas, [self.anchors] * len(self.targets), self.targets)

    def _run(self) -> tuple[float, dict[str, Tensor], Tensor]:
        logits, deltas = self.logits.clone().requires_grad_(), self.deltas.clone().requires_grad_()
        start = time.perf_counter()
        losses = self._losses(logits, deltas)
        torch.stack(list(losses.values())).sum().backward()
        seconds = time.perf_counter() - start
        if logits.grad is None:
            raise RuntimeError("no gradient")
        return seconds, losses, logits.grad

    def time(self) -> float:
        """Seconds of losses and gradients."""
        return self._run()[0]

    def result(self) -> list[float]:
        """Both losses, box loss first, and the gradient's norm."""
        _, losses, gradient = self._run()
        names = ("box", "class") if self.is_ours else ("bbox_regression", "classification")
        return [*(float(losses[name].detach()) for name in names), float(gradient.norm())]


def build(side: str, settings: Mapping[str, Any]) -> LossSide:
    """A side: "ours" or "theirs"."""
    if side == "ours":
        keep_freed_memory()
    set_threads(settings["threads"])
    return LossSide(side, settings)
