"""Training steps from files to updated weights, the same network on both sides."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.data_path import Ours, Theirs, load_split
from bench.scenes import our_twin, set_threads
from finetune.allocator import keep_freed_memory
from finetune.task import DetectionTask
from tests.detectors.ssdlite.reference import build_theirs

_LR, _MOMENTUM, _DECAY = 0.01, 0.9, 1e-4


def _rows(count: int, batch: int) -> Iterator[tuple[int, range]]:
    """Epoch and rows of one batch after the other, without end."""
    number = 0
    while True:
        epoch, place = divmod(number * batch, count - count % batch or count)
        yield epoch, range(place, place + batch)
        number += 1


class OurTraining:
    """Our data path, task and loss, driven as a Lightning trainer drives them."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        split = load_split(settings)
        self.source, self.rows = Ours(split), _rows(len(split), settings["batch"])
        self.task = DetectionTask(our_twin(build_theirs()), lr=_LR, backbone_lr_scale=1.0, channels_last=settings["channels_last"])
        if settings["compile"]:
            self.task.detector.forward = torch.compile(self.task.detector.forward)
        groups = self.task._groups(self.task.detector.backbone, self.task.detector.new_modules())
        self.optimizer = torch.optim.SGD(groups, momentum=_MOMENTUM, nesterov=True)
        self.task.train()

    def step(self) -> float:
        """One step; the loss."""
        batch = self.source.batch(*next(self.rows))
        loss = torch.stack(list(self.task._losses(self.task(batch.images), batch).values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


class TheirTraining:
    """transforms.v2 and torchvision's detector in its training mode: it resizes, normalises, matches and scores."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        split = load_split(settings)
        self.source, self.rows = Theirs(split), _rows(len(split), settings["batch"])
        self.model = build_theirs().train()
        self.format = torch.channels_last if settings["channels_last"] else torch.contiguous_format
        self.model.to(memory_format=self.format)
        if settings["compile"]:
            self.model.backbone.forward = torch.compile(self.model.backbone.forward)
            self.model.head.forward = torch.compile(self.model.head.forward)
        norms = {id(p) for m in self.model.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
        plain = [p for n, p in self.model.named_parameters() if id(p) not in norms and not n.endswith("bias")]
        rest = [p for n, p in self.model.named_parameters() if id(p) in norms or n.endswith("bias")]
        groups = [{"params": plain, "weight_decay": _DECAY}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(groups, lr=_LR, momentum=_MOMENTUM, nesterov=True)

    def step(self) -> float:
        """One step; the loss."""
        images, targets = self.source.batch(*next(self.rows))
        floats: Tensor = (images.float() / 255).contiguous(memory_format=self.format)
        loss = torch.stack(list(self.model(list(floats), [{**target, "labels": target["labels"] + 1} for target in targets]).values())).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


class TrainingSide:
    """Some steps at a time."""

    def __init__(self, side: str, settings: Mapping[str, Any]) -> None:
        self.training = OurTraining(settings) if side == "ours" else TheirTraining(settings)
        self.steps = settings["steps"]
        for _ in range(2):  # memory, and compiled code
            self.training.step()

    def time(self) -> float:
        """Seconds of some steps."""
        start = time.perf_counter()
        for _ in range(self.steps):
            self.training.step()
        return time.perf_counter() - start

    def result(self) -> list[float]:
        """Nothing: augmentation is drawn by chance. That losses and gradients are equal is checked in the comparison of the loss."""
        return []


def build(side: str, settings: Mapping[str, Any]) -> TrainingSide:
    """A side: "ours" or "theirs"."""
    if side == "ours" and settings.get("keep", True):
        keep_freed_memory()
    set_threads(settings["threads"])
    torch.manual_seed(0)
    return TrainingSide(side, settings)
